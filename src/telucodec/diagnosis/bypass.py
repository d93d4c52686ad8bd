"""Where the waveform is lost: in the encoder, in the quantizer or in the decoder."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from telucodec.diagnosis.probe import Findings, Subject, untouched
from telucodec.errors import above, at_least
from telucodec.metrics.level import Moments


class QuantizerBypass:
    """Decodes held-out crops from the encoder's output itself, beside what the codes give.

    Logs `bypass/snr` in dB, `bypass/rho` and `bypass/rms_ratio`, pooled over the crops, without the quantizer, and
    `bypass/coded_snr`, `bypass/coded_rho` with it. Without it much better: the quantizer loses the waveform, or the
    decoder has not yet learned to read what it gives. No better: the encoder or the decoder does.

    Source: ours.
    """

    @torch.no_grad()
    def __call__(self, subject: Subject) -> Findings:
        codec, held = subject.codec, subject.held
        with untouched(codec):
            coded = codec.eval()(held)
            passed = codec.decode_latent(coded.encoded, codec.loudness(held), held.shape[-1])
        around, through = (Moments.of(held, audio).figures() for audio in (passed, coded.audio))
        found = {f"bypass/{name}": around[name] for name in ("snr", "rho", "rms_ratio")}
        return Findings(found | {f"bypass/coded_{name}": through[name] for name in ("snr", "rho")})


class OracleDecoder:
    """What the best linear decoder makes of the encoder's output, and of the quantized latent.

    A ridge regression gives the samples of each frame from its latent and those of its neighbours. It is fitted on the
    training crops and one half of the held-out ones, and scored on the other half, both ways round: so a latent
    without the waveform scores about 0. What it scores above the codec's own rho is there for the decoder to find; what
    it lacks may still be there for one that is not linear.

    Logs `oracle/encoded_rho`, and once codebooks have begun `oracle/latent_rho`, pooled over the held-out crops.

    Args:
        context: neighbouring frames on each side, >= 0.
        ridge: added to the diagonal of the normal equations, in units of its mean, > 0: more for fewer frames.

    Source: ours; Hoerl and Kennard 1970, Ridge regression, eq. 2.1.
    """

    def __init__(self, *, context: int, ridge: float) -> None:
        at_least(0, context=context)
        above(0, ridge=ridge)
        self.context, self.ridge = context, ridge

    @torch.no_grad()
    def __call__(self, subject: Subject) -> Findings:
        codec, targets = subject.codec, torch.cat([subject.held, subject.trained])
        with untouched(codec):
            coded, level = codec.eval()(targets), codec.loudness(targets)
        wanted = targets if level is None else targets / level
        latents = {"encoded": coded.encoded} | ({"latent": coded.quantized.latent} if codec.quantizer.begun else {})
        found = {}
        for name, latent in latents.items():
            decoded = self.decoded(latent, wanted, len(subject.held), codec.hop_length).to(wanted)
            decoded = decoded if level is None else decoded * level[: len(decoded)]
            found[f"oracle/{name}_rho"] = Moments.of(subject.held, decoded).figures()["rho"]
        return Findings(found)

    def decoded(self, latent: Tensor, wanted: Tensor, held: int, hop_length: int) -> Tensor:
        """The best linear decoder's audio of the first `held` items, each by a decoder that has not seen it.

        Args:
            latent: of held-out items, then of training items, [B, D, F].
            wanted: what to decode it to, [B, 1, T].
            held: number of held-out items.
            hop_length: samples a frame, F of which cover T.

        Returns:
            [held, 1, T] in float64 on the CPU.
        """
        seen, samples = self._features(latent.double().cpu()), wanted.shape[-1]
        frames = F.pad(wanted.double().cpu(), (0, latent.shape[-1] * hop_length - samples))
        frames = frames.view(len(latent), -1, hop_length)
        audio = torch.zeros(held, *frames.shape[1:], dtype=torch.float64)
        items = torch.arange(len(latent))
        for half in (items[0:held:2], items[1:held:2]):
            fit = items[~torch.isin(items, half)]
            audio[half] = seen[half] @ self._weights(seen[fit].flatten(0, 1), frames[fit].flatten(0, 1))
        return audio.view(held, 1, -1)[..., :samples]

    def _features(self, latent: Tensor) -> Tensor:
        """Each frame with its neighbours, [B, D, F] to [B, F, D (2 context + 1)]; every channel is brought to RMS 1."""
        centred = latent - latent.mean((0, 2), keepdim=True)
        scaled = centred / centred.square().mean((0, 2), keepdim=True).sqrt().clamp(min=1e-12)
        around = F.pad(scaled, (self.context, self.context)).unfold(-1, 2 * self.context + 1, 1)
        return around.permute(0, 2, 1, 3).flatten(2)

    def _weights(self, seen: Tensor, frames: Tensor) -> Tensor:
        """Ridge regression, [N, P], [N, H] -> [P, H], in the smaller of its two forms."""
        count, width = seen.shape
        ridge = self.ridge * float(seen.square().sum()) / width + 1e-12  # silence gives silence
        solve: Callable[[Tensor, Tensor], Tensor] = torch.linalg.solve
        if width <= count:
            return solve(seen.T @ seen + ridge * torch.eye(width, dtype=seen.dtype), seen.T @ frames)
        return seen.T @ solve(seen @ seen.T + ridge * torch.eye(count, dtype=seen.dtype), frames)


class OracleLatent:
    """What this decoder makes of the best latent that gradient descent finds, each held-out crop having its own.

    It starts from the quantized latent and follows the mean squared error; the decoder stays as it is. Where even that
    is poor the decoder cannot give the waveform, whatever it is told; where it is good, encoder and quantizer do not
    tell it.

    Logs `oracle/best_latent_snr`, in dB, pooled over the crops. Costs about three times a pass through the decoder in
    each step.

    Args:
        steps: of Adam, >= 1.
        rate: its learning rate, > 0, in units of the quantized latent's RMS.

    Source: ours; Kingma and Ba 2014, arXiv:1412.6980.
    """

    def __init__(self, *, steps: int, rate: float) -> None:
        at_least(1, steps=steps)
        above(0, rate=rate)
        self.steps, self.rate = steps, rate

    def __call__(self, subject: Subject) -> Findings:
        codec, held = subject.codec, subject.held
        # recurrent layers of cuDNN have no backward pass in evaluation mode
        with untouched(codec), torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            codec.eval().requires_grad_(False)
            start, level = codec(held).quantized.latent.detach(), codec.loudness(held)
            unit = start.square().mean().sqrt().clamp(min=1e-6)
            sought = (start / unit).requires_grad_()
            optimizer = torch.optim.Adam([sought], lr=self.rate)
            best = Moments.of(held, codec.decode_latent(start, level, held.shape[-1]))
            for _ in range(self.steps):
                audio = codec.decode_latent(sought * unit, level, held.shape[-1])
                (gradient,) = torch.autograd.grad((audio - held).square().mean(), sought)
                sought.grad = gradient
                optimizer.step()
                best = min(best, Moments.of(held, audio.detach()), key=lambda moments: moments.error_error)
        return Findings({"oracle/best_latent_snr": best.figures()["snr"]})
