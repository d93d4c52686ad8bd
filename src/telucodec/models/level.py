"""Loudness that travels beside the codes: normalise before the encoder, restore behind the decoder."""

import math

import torch
from torch import Tensor, nn

from telucodec.errors import above, at_least


class AsItIs(nn.Module):
    """Code the signal at its own level; nothing is transmitted but codes.

    Shape:
        - Input: audio [B, 1, T]. Output: None.
    """

    bits = 0

    def forward(self, audio: Tensor) -> Tensor | None:
        return None


class Transmitted(nn.Module):
    """The RMS level of each item, rounded as it is transmitted.

    The encoder sees audio / level, the decoder's output is multiplied by it: the codes need not carry loudness.

    Args:
        bits: of the transmitted level, >= 1; it is rounded in equal steps of dB.
        floor_dbfs: quietest level that is told apart, dBFS; full scale is the loudest.

    Shape:
        - Input: audio [B, 1, T]. Output: levels [B, 1, 1].

    Source: Defossez et al. 2022, arXiv:2210.13438, section 3.1 (the 48 kHz model); the rounding is ours.
    """

    def __init__(self, *, bits: int, floor_dbfs: float) -> None:
        super().__init__()
        at_least(1, bits=bits)
        above(-200, floor_dbfs=floor_dbfs)
        if floor_dbfs >= 0:
            raise ValueError(f"floor_dbfs must be < 0, got {floor_dbfs}")
        self.bits, self.floor_dbfs = bits, floor_dbfs

    def forward(self, audio: Tensor) -> Tensor | None:
        floor = math.log(10) * self.floor_dbfs / 20
        level = audio.detach().float().square().mean((1, 2), keepdim=True).sqrt().clamp(math.exp(floor), 1.0).log()
        steps = 2**self.bits - 1
        return torch.exp((level / floor * steps).round() / steps * floor)
