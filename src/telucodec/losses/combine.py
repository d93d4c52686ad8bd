"""Evaluated terms -> one scalar to back-propagate."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from telucodec import ranks
from telucodec.errors import above, inside
from telucodec.losses.term import Scored
from telucodec.records import Step


class Combine(nn.Module):
    """Turns the evaluated terms into the scalar whose gradient moves the codec.

    A term without a graph, such as a constant, may be among them as long as one has one.

    Shape:
        - Input: dict of `Scored`, a `Step`. Output: scalar.
    """

    def forward(self, scored: Mapping[str, Scored], step: Step) -> Tensor:
        raise NotImplementedError

    def in_force(self, scored: Mapping[str, Scored], share: float = 1.0) -> dict[str, float]:
        """The factor on each term's gradient in that of the scalar; nothing is changed by asking.

        Args:
            scored: the evaluated terms, with their graphs.
            share: of the step's batch that they were evaluated on.

        Returns:
            Name -> factor, here the weight; NaN where it is not known yet.
        """
        return {name: s.weight for name, s in scored.items()}


class WeightedSum(Combine):
    """Sum of weight x value; terms of weight 0 stay out of the graph.

    Shape:
        - Input: dict of `Scored`, a `Step`. Output: scalar.
    """

    def forward(self, scored: Mapping[str, Scored], step: Step) -> Tensor:
        weighted = [s.weight * s.value for s in scored.values() if s.weight]
        assert weighted, "Terms sees to it that one starts at step 0"
        return torch.stack(weighted).sum()


class GradientBalancer(Combine):
    """Makes weights shares of the gradient that reaches the decoded audio, whatever the size of the values.

    The gradient of the returned scalar at `step.audio` is

        sum_i total_norm * w_i / sum(w) * g_i / <|g_i|>

    over the terms that the codec reaches through the audio, with <> a running average over steps that starts at the
    first norm. Terms that it reaches through another tensor are added as a plain weighted sum, those of weight 0 stay
    out. The scalar's own value means nothing.

    A micro-batch counts by its share of the batch: with `per_batch_item` a batch may be split without changing the
    gradient of an item, but for the running average, which then moves in several small steps. Norms are those of the
    batch of all processes of a run. A norm that is not finite is left out of the average. Not for float16 audio, where
    the gradient of a mean over samples underflows.

    Args:
        total_norm: norm of the whole gradient if all terms point the same way, > 0.
        decay: of the running average, in [0, 1); 0 keeps the present norms alone.
        per_batch_item: average the norms of items, so that each item's gradient has norm `total_norm`; else take the
            norm over the whole batch.
        floor: added to the average norm before dividing by it, > 0.

    Shape:
        - Input: dict of `Scored`, a `Step`. Output: scalar.

    Source: Defossez et al. 2022, arXiv:2210.13438, section 3.4, eq. 4 and 5.
    """

    def __init__(self, *, total_norm: float, decay: float, per_batch_item: bool, floor: float) -> None:
        super().__init__()
        above(0, total_norm=total_norm, floor=floor)
        inside(0, 1, decay=decay)
        self.total_norm, self.decay, self.per_batch_item, self.floor = total_norm, decay, per_batch_item, floor
        self.sums: dict[str, Tensor] = {}  # of past norms, decayed
        self.counts: dict[str, Tensor] = {}  # of past calls, decayed

    def forward(self, scored: Mapping[str, Scored], step: Step) -> Tensor:
        assert step.audio.requires_grad, "the balanced gradient enters the codec at the decoded audio"
        here = self._balanced(scored)
        rest = [s.weight * s.value for name, s in scored.items() if s.weight and name not in here]
        whole = sum(s.weight for s in here.values())
        parts = {name: self._gradient(s, step) for name, s in here.items()}
        averages = self._averages(parts, step.share)
        direction = torch.zeros_like(step.audio, dtype=torch.float32)
        for name, gradient in parts.items():
            direction += gradient * (self.total_norm * here[name].weight / whole / (averages[name] + self.floor))
        # losses of micro-batches are weighed by their share, and gradients averaged over processes: an item's norm is
        # the same however the batch is split
        split = (step.share if self.per_batch_item else 1.0) / ranks.count()
        balanced = (step.audio.float() * direction).sum() / split
        return torch.stack([balanced, *rest]).sum()

    def in_force(self, scored: Mapping[str, Scored], share: float = 1.0) -> dict[str, float]:
        """See `Combine`; balanced terms have theirs from the running averages as they are, unknown before a step."""
        here = self._balanced(scored)
        whole = sum(s.weight for s in here.values()) * (share if self.per_batch_item else 1.0)
        own = {n: self.total_norm * s.weight / whole / (self._average_norm(n) + self.floor) for n, s in here.items()}
        return {name: own.get(name, s.weight) for name, s in scored.items()}

    def _balanced(self, scored: Mapping[str, Scored]) -> dict[str, Scored]:
        return {n: s for n, s in scored.items() if s.weight and s.through == "audio" and s.value.requires_grad}

    def _average_norm(self, name: str) -> float:
        return float(self.sums[name] / self.counts[name]) if name in self.sums else math.nan

    def _gradient(self, scored: Scored, step: Step) -> Tensor:
        """Of a term's mean over the batch of all processes, at this one's audio."""
        own = torch.autograd.grad(scored.value, step.audio, retain_graph=True)[0].float()
        return own / ranks.count()

    def _averages(self, gradients: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
        return {name: self._average(name, norm, share) for name, norm in self._norms(gradients).items()}

    def _norms(self, gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if not gradients:
            return {}
        if self.per_batch_item:
            norms = ranks.mean(torch.stack([g.flatten(1).norm(dim=1).mean() for g in gradients.values()]))
        else:
            norms = ranks.norm(torch.stack([g.norm() for g in gradients.values()]))
        return dict(zip(gradients, norms, strict=True))

    def _average(self, name: str, norm: Tensor, share: float) -> Tensor:
        finite = norm.isfinite()
        before, count = (past.get(name, torch.zeros_like(norm)).to(norm) for past in (self.sums, self.counts))
        decay = self.decay**share
        self.sums[name] = torch.where(finite, before * decay + norm * share, before)
        self.counts[name] = torch.where(finite, count * decay + share, count)
        return self.sums[name] / self.counts[name]

    def get_extra_state(self) -> dict[str, Any]:
        return {"sums": dict(self.sums), "counts": dict(self.counts)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.sums, self.counts = dict(state["sums"]), dict(state["counts"])
