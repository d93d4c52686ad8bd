"""Encoder, quantizer, decoder and output stage."""

from math import prod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from telucodec.models.decoder import Decoder
from telucodec.models.encoder import Encoder
from telucodec.models.output import Output
from telucodec.nn.conv import receptive_field
from telucodec.quantization.identity import Identity
from telucodec.quantization.residual import ResidualVQ
from telucodec.records import Coded


class Codes(NamedTuple):
    """What is transmitted."""

    codes: Tensor  # [B, K, F] with 0 <= code < codebook_size
    samples: int  # length of the signal they stand for


class Codec(nn.Module):
    """Signal to codes and back, of exactly the same length.

    Args:
        sample_rate: of all audio, Hz.
        encoder: waveform to latent.
        quantizer: latent to codes and latent.
        decoder: latent to waveform.
        output: the stage behind the decoder.

    Shape:
        - Input: audio [B, 1, T], any T >= 0. Output: `Coded` with audio [B, 1, T] and F = max(1, ceil(T / hop_length)).
    """

    def __init__(
        self, *, sample_rate: int, encoder: Encoder, quantizer: ResidualVQ | Identity, decoder: Decoder, output: Output
    ) -> None:
        super().__init__()
        if isinstance(quantizer, ResidualVQ) and quantizer.dim != encoder.dim:
            raise ValueError(f"quantizer.dim is {quantizer.dim}, but encoder.dim is {encoder.dim}: set them alike")
        self.sample_rate = sample_rate
        self.encoder, self.quantizer, self.decoder, self.output = encoder, quantizer, decoder, output

    def forward(self, audio: Tensor) -> Coded:
        encoded = self.encoder(self._padded(audio))
        quantized = self.quantizer(encoded)
        decoded = self.output(self.decoder(quantized.latent))[..., : audio.shape[-1]]
        return Coded(decoded, encoded, quantized)

    def encode(self, audio: Tensor) -> Codes:
        """Audio [B, 1, T] to codes."""
        return Codes(self.quantizer(self.encoder(self._padded(audio))).codes, audio.shape[-1])

    def decode(self, coded: Codes) -> Tensor:
        """Codes to audio [B, 1, T] of the length that was encoded."""
        audio: Tensor = self.output(self.decoder(self.quantizer.decode(coded.codes)))
        return audio[..., : coded.samples]

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
    def receptive_field(self) -> int:
        """Input samples that decide one output sample, at most."""
        frames = receptive_field(self.decoder)
        return receptive_field(self.encoder, frames)

    @property
    def parameter_count(self) -> int:
        """Learnable numbers, codewords included."""
        codewords = self.quantizer.n_q * self.quantizer.codebook_size * self.encoder.dim
        return sum(p.numel() for p in self.parameters()) + codewords

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

    def _padded(self, audio: Tensor) -> Tensor:
        samples = audio.shape[-1]
        return F.pad(audio, (0, max(self.hop_length, -(-samples // self.hop_length) * self.hop_length) - samples))
