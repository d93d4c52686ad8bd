"""Encoder, quantizer, decoder and output stage."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from telucodec.errors import at_least, at_most
from telucodec.models.bottleneck import Narrowed, Widened
from telucodec.models.decoder import Decoder
from telucodec.models.encoder import Encoder
from telucodec.models.level import AsItIs, Transmitted
from telucodec.models.output import Output
from telucodec.nn.conv import receptive_field
from telucodec.quantization.quantizer import Quantizer
from telucodec.records import Coded


class Codes(NamedTuple):
    """What is transmitted."""

    codes: Tensor  # [B, K, F] with 0 <= code < codebook_size
    samples: int  # length of the signal they stand for
    level: Tensor | None = None  # [B, 1, 1] where loudness travels beside the codes


class Codec(nn.Module):
    """Signal to codes and back, of exactly the same length.

    Args:
        sample_rate: of all audio, Hz.
        encoder: waveform to latent.
        quantizer: latent to codes and latent.
        decoder: latent to waveform.
        output: the stage behind the decoder.
        loudness: whether each item's level is transmitted beside its codes.

    Shape:
        - Input: audio [B, 1, T], any T >= 0. Output: `Coded` with audio [B, 1, T] and F = max(1, ceil(T / hop_length)).
    """

    def __init__(
        self,
        *,
        sample_rate: int,
        encoder: Encoder | Narrowed,
        quantizer: Quantizer,
        decoder: Decoder | Widened,
        output: Output,
        loudness: AsItIs | Transmitted,
    ) -> None:
        super().__init__()
        at_least(1, sample_rate=sample_rate)
        at_most(1e6, sample_rate=sample_rate)
        for name, dim in (("quantizer", quantizer.dim), ("decoder", decoder.dim)):
            if dim is not None and dim != encoder.dim:
                raise ValueError(
                    f"the {name} takes a latent of width {dim}, but the encoder gives one of {encoder.dim}. "
                    f"{name}=... dim and encoder=... dim must be alike: leave {name}'s out, and it follows"
                )
        self.sample_rate, self.loudness = sample_rate, loudness
        self.encoder, self.quantizer, self.decoder, self.output = encoder, quantizer, decoder, output
        check_hop(self.hop_length, sample_rate, encoder.strides)

    def forward(self, audio: Tensor) -> Coded:
        level = self.loudness(audio)
        encoded = self._encoded(audio, level)
        quantized = self.quantizer(encoded)
        return Coded(self.decode_latent(quantized.latent, level, audio.shape[-1]), encoded, quantized)

    @torch.no_grad()
    def acquaint(self, parts: Sequence[Tensor]) -> None:
        """Let codebooks that have not begun start from a whole batch that comes in parts, each [B, 1, T]."""
        if not self.quantizer.begun:
            self.quantizer(torch.cat([self._encoded(part, self.loudness(part)) for part in parts]))

    def encode(self, audio: Tensor) -> Codes:
        """Audio [B, 1, T] to codes."""
        level = self.loudness(audio)
        return Codes(self.quantizer(self._encoded(audio, level)).codes, audio.shape[-1], level)

    def decode(self, coded: Codes) -> Tensor:
        """Codes to audio [B, 1, T] of the length that was encoded."""
        return self.decode_latent(self.quantizer.decode(coded.codes), coded.level, coded.samples)

    def decode_latent(self, latent: Tensor, level: Tensor | None, samples: int) -> Tensor:
        """Any latent [B, D, F] to audio [B, 1, T], at the level that `loudness` gave."""
        audio: Tensor = self.output(self.decoder(latent))[..., :samples]
        return audio if level is None else audio * level

    @property
    def hop_length(self) -> int:
        """Samples a frame."""
        return prod(self.encoder.strides)

    @property
    def frame_rate(self) -> float:
        """Frames a second, Hz."""
        return self.sample_rate / self.hop_length

    @property
    def bitrate(self) -> float:
        """Nominal rate in kbit/s: every code at its fixed length; infinite without a quantizer."""
        return self.quantizer.bits_per_frame * self.frame_rate / 1000

    @property
    def receptive_field(self) -> float:
        """Input samples that decide one output sample, at most; infinite with recurrence."""
        frames = receptive_field(self.decoder)
        return receptive_field(self.encoder, frames)

    @property
    def parameter_count(self) -> int:
        """Learned numbers, codewords included."""
        averaged = [b for name, b in self.named_buffers() if name.endswith(".codewords")]
        return sum(tensor.numel() for tensor in [*self.parameters(), *averaged])

    @torch.no_grad()
    def macs_per_second(self) -> float:
        """Multiply-adds that one second of audio costs, encoding and decoding, counted by running it."""
        device = next(self.parameters()).device
        training = self.training
        self.eval()
        with FlopCounterMode(display=False) as counter:
            self(torch.zeros(1, 1, self.sample_rate, device=device))
        self.train(training)
        return float(counter.get_total_flops()) / 2

    def _encoded(self, audio: Tensor, level: Tensor | None) -> Tensor:
        samples = audio.shape[-1]
        whole = max(self.hop_length, -(-samples // self.hop_length) * self.hop_length)
        encoded: Tensor = self.encoder(F.pad(audio if level is None else audio / level, (0, whole - samples)))
        return encoded


def check_hop(hop_length: int, sample_rate: int, strides: tuple[int, ...]) -> None:
    """Refuse strides that never make a whole number of frames out of 1, 2, 4, 8 ... seconds.

    Raises:
        ValueError: the message names both numbers and the nearest hop lengths that do.

    >>> check_hop(320, 16000, (2, 4, 5, 8))
    """
    odd = hop_length // (hop_length & -hop_length)
    if hop_length > sample_rate or sample_rate % odd:
        near = sorted(_useful(sample_rate), key=lambda hop: abs(hop - hop_length))[:2]
        raise ValueError(
            f"the product of encoder.strides {list(strides)} is {hop_length} samples, which does not divide "
            f"sample_rate {sample_rate} usefully ({sample_rate / hop_length:.4g} frames/s). "
            f"The nearest that do: {' and '.join(f'{hop} ({_strides(hop)})' for hop in sorted(near))}"
        )


def _strides(hop: int) -> list[int]:
    """Strides of at most 8, where its factors allow, whose product is a hop length."""
    found = []
    while hop > 1:
        found.append(next((d for d in range(8, 1, -1) if hop % d == 0), hop))
        hop //= found[-1]
    return found[::-1]


def _useful(sample_rate: int) -> Iterator[int]:
    for odd in (d for d in range(1, sample_rate + 1, 2) if sample_rate % d == 0):
        while odd <= sample_rate:
            yield odd
            odd *= 2
