"""Spectral losses, forward and backward: ours against descript-audio-codec's and auraloss's where they are the same.

    python benchmarks/losses.py
    python benchmarks/losses.py --loss mel_dac --rounds 100

Crops of 0.38 s and 1 s at 16 kHz, 4 and 16 of them. Values must agree to 1e-5 and gradients at the audio to 1e-2 before
anything is timed: the slope of a logarithm near 0 is what rounding makes it, and so is the sign of an L1 distance.
`mel_encodec` has no peer here: audiocraft alone computes it. Adversarial losses are part of step.py.
"""

import statistics
import warnings
from collections.abc import Callable
from typing import Any

import torch
from audiotools import AudioSignal
from auraloss.freq import MelSTFTLoss, MultiResolutionSTFTLoss
from dac.nn.loss import MelSpectrogramLoss, MultiScaleSTFTLoss
from pairs import in_turns, parser, ratio, same, say, settle, write
from torch import Tensor, nn

from telucodec.build import build
from telucodec.cli.compose import compose_config
from telucodec.records import Quantized, Step

RATE = 16000
CROPS = [(seconds, items) for seconds in (0.38, 1.0) for items in (4, 16)]
Distance = Callable[[Tensor, Tensor], Tensor]  # decoded and real audio [B, 1, T]


def by_dac(loss: nn.Module) -> Distance:
    """A loss of DAC, on signals of audiotools."""
    return lambda audio, target: loss(AudioSignal(audio, RATE), AudioSignal(target, RATE))


def mel_dac(device: torch.device) -> Distance:
    """DAC's seven resolutions."""
    return by_dac(
        MelSpectrogramLoss(
            n_mels=[5, 10, 20, 40, 80, 160, 320],
            window_lengths=[32, 64, 128, 256, 512, 1024, 2048],
            mel_fmin=[0] * 7,
            mel_fmax=[None] * 7,
            pow=1.0,
            clamp_eps=1e-5,
            mag_weight=0.0,
        ).to(device)
    )


def stft_dac(device: torch.device) -> Distance:
    """DAC's two resolutions."""
    return by_dac(MultiScaleSTFTLoss(window_lengths=[2048, 512]).to(device))


def stft(device: torch.device) -> Distance:
    """Auraloss's convergence and log magnitude."""
    return _resolutions(device, 1.0, 1.0, 0.0)


def perceptual(device: torch.device) -> Distance:
    """Auraloss's linear magnitudes, a mean over resolutions where ours is divided by their number."""
    return _resolutions(device, 0.0, 0.0, 1.0)


def _resolutions(device: torch.device, convergence: float, log: float, linear: float) -> Distance:
    sizes = [512, 1024, 2048]
    made: Distance = MultiResolutionSTFTLoss(
        fft_sizes=sizes,
        hop_sizes=[size // 4 for size in sizes],
        win_lengths=sizes,
        w_sc=convergence,
        w_log_mag=log,
        w_lin_mag=linear,
    ).to(device)
    return made


def mel(device: torch.device) -> Distance:
    """Auraloss's log mel magnitudes, one loss a resolution; it takes natural logarithms."""
    scales = [
        MelSTFTLoss(RATE, n_fft, n_fft // 4, n_fft, w_sc=0.0, n_mels=n_mels).to(device)
        for n_fft, n_mels in ((512, 40), (1024, 80), (2048, 80))
    ]
    return lambda audio, target: sum(loss(audio, target) for loss in scales) / 2.302585092994046


PEERS = {  # name -> the peer's, and what is chosen of ours
    "mel_dac": (mel_dac, "loss=[mel_dac]", "mel"),
    "stft_dac": (stft_dac, "loss=[stft_dac]", "stft"),
    "stft": (stft, "loss=[stft] loss.stft.floor=1.0e-4", "stft"),
    "perceptual": (perceptual, "loss=[perceptual] loss.perceptual.divisor=3", "perceptual"),
    "mel": (mel, "loss=[mel] loss.mel.n_ffts=[512,1024,2048] loss.mel.start=0", "mel"),
}


def ours(name: str, device: torch.device) -> Distance:
    """The term of a configuration."""
    _, overrides, term = PEERS[name]
    config = compose_config(["discriminator=[]", *overrides.split(), f"loss.{term}.weight=1"], None)
    made = build(config["training"]["terms"]["terms"][term], term).to(device)
    nothing = torch.zeros(1)

    def judge(_: Tensor) -> Any:
        raise AssertionError("a spectral loss asks no adversary")

    def distance(audio: Tensor, target: Tensor) -> Tensor:
        value: Tensor = made(Step(0, target, audio, nothing, Quantized(nothing, nothing), judge))
        return value

    return distance


def compare(name: str, seconds: float, items: int, rounds: int, device: torch.device) -> dict[str, Any]:
    """Hold values and gradients against each other, then time them."""
    samples = round(seconds * RATE)
    target = 0.1 * torch.randn(items, 1, samples).to(device)
    audio = (target + 0.03 * torch.randn(items, 1, samples).to(device)).requires_grad_()
    losses = {"ours": ours(name, device), "theirs": PEERS[name][0](device)}

    def run(loss: Distance) -> tuple[float, Tensor]:
        audio.grad = None
        value = loss(audio, target)
        value.backward()
        assert audio.grad is not None
        return float(value), audio.grad

    (value, gradient), (other, other_gradient) = run(losses["ours"]), run(losses["theirs"])
    same(f"{name}: values", [value], [other], 1e-5)
    apart = float((gradient - other_gradient).norm() / other_gradient.norm())
    same(f"{name}: gradients", [1 + apart], [1], 1e-2)
    ways = {who: lambda loss=loss: run(loss) for who, loss in losses.items()}
    spent = in_turns(ways, rounds, device, warm=3)
    found = ratio(spent["theirs"], spent["ours"])
    middle = {who: statistics.median(each) for who, each in spent.items()}
    own, their = (1000 * middle[who] for who in ("ours", "theirs"))
    say(f"{name:>10}, {items:>2} x {seconds} s: {found} times as fast; {own:.1f} ms, theirs {their:.1f} ms")
    return {"loss": name, "seconds": seconds, "items": items, "ratio": found, "spent": middle, "gradients": apart}


def main() -> None:
    """Compare each loss on each size of crops."""
    options = parser(__doc__, rounds=30)
    options.add_argument("--loss", choices=PEERS, action="append", help="which (default: all)")
    given = options.parse_args()
    warnings.filterwarnings("ignore")
    device = settle(given.device)
    rows = [compare(name, *crops, given.rounds, device) for name in given.loss or PEERS for crops in CROPS]
    write("losses", rows, device)


if __name__ == "__main__":
    main()
