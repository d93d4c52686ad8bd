"""One training step of descript-audio-codec 1.0.0, with its own networks, losses and order of work, on our weights.

Its training script is not part of the package; what a step does is told here from it: the codec's pass, the
discriminators' step on decoded and real audio, then the codec's step with all its losses, those that have no weight in
the published configuration too, and both gradients clipped. Its decoder loses samples at the odd stride of 16 kHz, so
that its own script stops there: the transposed convolution is completed by one sample, as ours is.
"""

from typing import Any

import torch
from audiotools import AudioSignal
from dac.model import DAC, Discriminator
from dac.nn.layers import Snake1d
from dac.nn.loss import GANLoss, L1Loss, MelSpectrogramLoss, MultiScaleSTFTLoss
from torch import Tensor, nn

from telucodec.nn.activation import Snake
from telucodec.quantization.codebook import Codebook
from telucodec.training.module import CodecTraining

RATE = 16000
WEIGHTS = {"mel": 15.0, "adversarial": 1.0, "feature": 2.0, "commitment": 0.25, "codebook": 1.0}  # 16khz.yml
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d)


class DacStep:
    """A codec and its discriminators as DAC trains them.

    Args:
        encoder_dim: width of the encoder's first layer.
        decoder_dim: width of the decoder's first layer.
        device: to train on.
        precision: bfloat16 where its script asks for mixed precision.
    """

    def __init__(self, encoder_dim: int, decoder_dim: int, device: torch.device, precision: torch.dtype) -> None:
        torch.backends.cudnn.benchmark = True  # as its script sets it
        self.codec = DAC(
            encoder_dim=encoder_dim,
            encoder_rates=[2, 4, 5, 8],
            decoder_dim=decoder_dim,
            decoder_rates=[8, 5, 4, 2],
            n_codebooks=12,
            sample_rate=RATE,
        ).to(device)
        for module in self.codec.modules():
            if isinstance(module, nn.ConvTranspose1d):
                module.output_padding = (module.stride[0] % 2,)
        self.judges = Discriminator(sample_rate=RATE).to(device)
        self.gan = GANLoss(self.judges)
        self.mel = MelSpectrogramLoss(
            n_mels=[5, 10, 20, 40, 80, 160, 320],
            window_lengths=[32, 64, 128, 256, 512, 1024, 2048],
            mel_fmin=[0] * 7,
            mel_fmax=[None] * 7,
            pow=1.0,
            clamp_eps=1e-5,
            mag_weight=0.0,
        )
        self.stft, self.waveform = MultiScaleSTFTLoss(window_lengths=[2048, 512]), L1Loss()
        self.of_codec = torch.optim.AdamW(self.codec.parameters(), lr=1e-4, betas=(0.8, 0.99))
        self.of_judges = torch.optim.AdamW(self.judges.parameters(), lr=1e-4, betas=(0.8, 0.99))
        self.device, self.precision = device, precision
        self.losses: dict[str, Tensor] = {}

    def __call__(self, audio: Tensor) -> None:
        """One step on audio [B, 1, T]; its losses are in `losses`."""
        signal = AudioSignal(audio, RATE)
        with self._shortened():
            out = self.codec(signal.audio_data, RATE)
            decoded = AudioSignal(out["audio"], RATE)
        with self._shortened():
            judged = self.gan.discriminator_loss(decoded, signal)
        self.of_judges.zero_grad()
        judged.backward()
        nn.utils.clip_grad_norm_(self.judges.parameters(), 10.0)
        self.of_judges.step()
        with self._shortened():
            losses = {"stft": self.stft(decoded, signal), "mel": self.mel(decoded, signal)}
            losses["waveform"] = self.waveform(decoded, signal)
            losses["adversarial"], losses["feature"] = self.gan.generator_loss(decoded, signal)
            losses |= {"commitment": out["vq/commitment_loss"], "codebook": out["vq/codebook_loss"]}
            whole = sum(weight * losses[name] for name, weight in WEIGHTS.items())
        self.of_codec.zero_grad()
        whole.backward()
        nn.utils.clip_grad_norm_(self.codec.parameters(), 1e3)
        self.of_codec.step()
        self.losses = {name: value.detach() for name, value in ({"judged": judged} | losses).items()}

    @torch.no_grad()
    def take_over(self, module: CodecTraining) -> None:
        """Have the weights of ours: layers of both are registered in one order."""
        for ours, theirs in ((module.codec, self.codec), (module.adversary, self.judges)):
            for a, b in zip(_convolutions(ours), _convolutions(theirs), strict=True):
                direction = a.parametrizations.weight
                assert direction.original1.shape == b.weight_v.shape
                b.weight_g.copy_(direction.original0)
                b.weight_v.copy_(direction.original1)
                if b.bias is not None:
                    b.bias.copy_(a.bias)
        books = [book for book in module.codec.modules() if isinstance(book, Codebook)]
        for book, quantizer in zip(books, self.codec.quantizer.quantizers, strict=True):
            quantizer.codebook.weight.copy_(book.codewords)
        pairs = (_of(Snake, module.codec), _of(Snake1d, self.codec))
        for snake, snake_1d in zip(*pairs, strict=True):
            snake_1d.alpha.copy_(snake.alpha)

    def _shortened(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision is torch.bfloat16)


def _of(kind: type, module: nn.Module) -> list[Any]:
    return [each for each in module.modules() if isinstance(each, kind)]


def _convolutions(module: nn.Module) -> list[Any]:
    return [each for each in module.modules() if isinstance(each, CONVOLUTIONS)]
