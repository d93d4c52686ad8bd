"""What every probe gets, what it gives, and how it leaves no trace."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from telucodec.adversarial.adversary import Adversary
from telucodec.losses.combine import Combine
from telucodec.losses.term import Scored, Terms
from telucodec.models.codec import Codec
from telucodec.records import Coded, Step

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Subject:
    """A codec in training, and audio to question it with."""

    index: int  # generator updates made so far
    codec: Codec
    adversary: Adversary
    terms: Terms
    combine: Combine
    held: Tensor  # [B, 1, T] crops of validation utterances
    trained: Tensor  # [B, 1, T] crops of training utterances

    def step(self, target: Tensor, coded: Coded, audio: Tensor | None = None) -> Step:
        """What the terms read, for a pass through the codec, with its audio or with another in its place."""
        heard = coded.audio if audio is None else audio
        return Step(self.index, target, heard, coded.encoded, coded.quantized, self.adversary)

    def scored(self, step: Step) -> dict[str, Scored]:
        """The terms in force at this index, evaluated."""
        scored: dict[str, Scored] = self.terms(step)
        return scored


@dataclass(frozen=True)
class Findings:
    """What a probe found."""

    figures: Mapping[str, float] = field(default_factory=dict)  # key of the log -> value; absent where undefined
    pictures: Mapping[str, "Figure"] = field(default_factory=dict)  # name -> picture


class Probe(Protocol):
    """One question to a codec in training."""

    def __call__(self, subject: Subject) -> Findings: ...


@contextmanager
def untouched(*modules: nn.Module) -> Iterator[None]:
    """While it lasts, modes, buffers, gradients' switches and random streams may change; then they are as before.

    Parameters are not looked after: a probe moves none. Codebooks that have not begun must not be run in training mode.
    """
    parts = [part for module in modules for part in module.modules()]
    modes = [part.training for part in parts]
    buffers = [(b, b.clone()) for module in modules for b in module.buffers()]
    switches = [(p, p.requires_grad) for module in modules for p in module.parameters()]
    devices = {b.device for b, _ in buffers} | {p.device for p, _ in switches}
    try:
        with torch.random.fork_rng(devices=[d for d in devices if d.type == "cuda"]):
            yield
    finally:
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        for parameter, switch in switches:
            parameter.requires_grad_(switch)
        for part, mode in zip(parts, modes, strict=True):
            part.training = mode
