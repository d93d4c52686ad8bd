"""The values that travel between floors.

Shapes: B batch, C audio channels, T samples, D latent width, F frames, K codebooks in use.
Audio is float in [-1, 1]; latents are float; codes are int64.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # records are also read where torch is too slow to import
    from torch import Tensor


class Broken(NamedTuple):
    """A training crop that could not be had, so that another stands in its place."""

    file: str
    why: str  # a sentence that names the file and the cure
    silent: bool = False  # the last of all tries: nothing could be read for this place, and it is silent


class Batch(NamedTuple):
    """Training crops."""

    audio: "Tensor"  # [B, C, T] the signal to reproduce
    files: tuple[str, ...]  # B paths, to name in reports
    broken: tuple[Broken, ...] = ()  # what could not be read on the way


@dataclass(frozen=True)
class Utterance:
    """One whole held-out recording."""

    audio: "Tensor"  # [1, C, T]
    name: str
    speaker: str | None
    language: str | None


@dataclass(frozen=True)
class Stage:
    """What one codebook saw and chose: the evidence quantizer losses and codebook updates are computed from."""

    wanted: "Tensor"  # [B, d, F] input of this codebook, d = codebook_dim
    chosen: "Tensor"  # [B, d, F] its nearest codeword
    codes: "Tensor"  # [B, F] which codeword that is
    kept: "Tensor | None" = None  # [B] of 0 and 1: whether it counts for an item (quantizer dropout); None: for all
    items: "Tensor | None" = None  # [B] of bool: the same on the host, which need not ask the device then


@dataclass(frozen=True)
class Quantized:
    """A quantizer's answer."""

    latent: "Tensor"  # [B, D, F] what the decoder sees
    codes: "Tensor"  # [B, K, F] with 0 <= code < codebook_size
    stages: tuple[Stage, ...] = ()
    semantic: "Tensor | None" = None  # [B, D, F] the part of the latent that a teacher may teach, with a graph


class Coded(NamedTuple):
    """One pass through the codec."""

    audio: "Tensor"  # [B, C, T] decoder output
    encoded: "Tensor"  # [B, D, F] encoder output, before quantization
    quantized: Quantized


@dataclass(frozen=True)
class Verdict:
    """Discriminator outputs: one entry per sub-discriminator."""

    logits: tuple["Tensor", ...]  # each [B, ...]
    features: tuple[tuple["Tensor", ...], ...]  # each [B, width, ...], from the input side to the logits


@dataclass(frozen=True)
class Step:
    """Everything one generator step knows. Verdicts are computed when first read."""

    index: int  # generator updates made before this one: the only clock
    target: "Tensor"  # [B, C, T]
    audio: "Tensor"  # [B, C, T]
    encoded: "Tensor"  # [B, D, F]
    quantized: Quantized
    judge: Callable[["Tensor"], Verdict] = field(repr=False)
    share: float = 1.0  # of the step's batch that this is: less than 1 for micro-batches

    @cached_property
    def fake(self) -> Verdict:
        """The adversary's verdict on the decoded audio, with a graph to it."""
        return self.judge(self.audio)

    @cached_property
    def real(self) -> Verdict:
        """The adversary's verdict on the target, without a graph."""
        import torch

        with torch.no_grad():
            return self.judge(self.target)
