"""Which loss pulls where: the gradient of each term at the output, at its gain, at the latent and over the weights."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import get_args

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from telucodec import ranks
from telucodec.diagnosis.gradient_findings import GradientFindings, Site
from telucodec.diagnosis.gradient_picture import draw
from telucodec.diagnosis.probe import Findings, Subject, untouched
from telucodec.models.codec import Codec
from telucodec.models.output import OutputScale

Gradients = dict[Site, list[Tensor | None]]  # of one term; None where it does not reach
WHOLE: frozenset[Site] = frozenset({"gain", "weights"})  # where every process has a gradient of the same numbers


class TermGradients:
    """The gradient of each term in force, for one batch in training mode.

    Where several processes share the batch, all of them must measure, and find the same: the gradients of the whole.

    Args:
        sites: where it is taken; one that is left out costs nothing.
            audio: the decoded audio.
            gain: the logarithm of the output's gain, a single number: of the learned output scale, or where there is
                none of the last convolution's weight W, <dL/dW, W>. Bounds and offsets behind them count.
            encoded: the encoder's output, through the decoder and straight through the quantizer, or directly.
            weights: all that the codec's optimizer moves, terms' own parameters included; takes the memory of one more
                gradient for each term.

    Source: ours; shares of a balanced gradient are those of Defossez et al. 2022, arXiv:2210.13438, section 3.4.
    """

    def __init__(self, *, sites: Sequence[Site]) -> None:
        known = get_args(Site)
        if not sites or not set(sites) <= set(known):
            raise ValueError(f"sites must be some of {', '.join(known)}, got {list(sites)}")
        self.sites = [site for site in known if site in sites]

    def __call__(self, subject: Subject) -> Findings:
        findings = self.measure(subject)
        return Findings(findings.figures(), {"gradients": draw(findings)})

    def measure(self, subject: Subject, share: float = 1.0, loss_scale: float = 1.0) -> GradientFindings:
        """Take the gradients on `subject.trained`; nothing is changed by it.

        Args:
            subject: whose codebooks have begun.
            share: of a step's batch that this is: a balancer weighs the terms of a micro-batch by it.
            loss_scale: values are multiplied by it before and gradients divided by it after, so that float16 holds
                them as in training.

        Raises:
            torch.cuda.OutOfMemoryError: they do not fit into the memory of the GPU. Of several processes one that has
                raised it cannot go on: the others may be waiting for its part of a statistic.
        """
        lever = _lever(subject.codec) if "gain" in self.sites else None
        found, weights = self._take(subject, share, loss_scale, lever)
        for gradients in found.values():
            for site in WHOLE & gradients.keys():
                gradients[site] = [None if g is None else ranks.mean(g) for g in gradients[site]]
        products = {site: self._products(site, [g[site] for g in found.values()], loss_scale) for site in self.sites}
        louder = {n: float(g["gain"][0] or 0) / loss_scale for n, g in found.items()} if lever else {}
        scale = float(lever.factor().detach()) if isinstance(lever, OutputScale) else 0.0
        by_scale = {name: push / scale for name, push in louder.items()} if scale else {}
        return GradientFindings(subject.index, weights, products, louder, by_scale)

    def _take(
        self, subject: Subject, share: float, loss_scale: float, lever: OutputScale | _ConvNd | None
    ) -> tuple[dict[str, Gradients], dict[str, float]]:
        """Each term's gradients by site, and the factors in force on them."""
        codec, terms = subject.codec, subject.terms
        assert codec.quantizer.begun, "a pass in training mode would start the codebooks"
        gain = torch.ones((), device=subject.trained.device, requires_grad=True)
        with untouched(codec, subject.adversary, terms), subject.adversary.frozen(), torch.enable_grad():
            codec.train()
            with _turning(lever, gain) if lever else nullcontext():
                step = replace(subject.step(subject.trained, codec(subject.trained)), share=share)
            scored = subject.scored(step)
            moved: list[Tensor] = [p for part in (codec, terms) for p in part.parameters() if p.requires_grad]
            there = {"audio": [step.audio], "gain": [gain], "encoded": [step.encoded], "weights": moved}
            sites = {site: there[site] for site in self.sites}
            found = {name: _gradients(s.value * loss_scale, sites) for name, s in scored.items()}
            return found, subject.combine.in_force(scored, share)

    def _products(self, site: Site, gradients: Sequence[Sequence[Tensor | None]], loss_scale: float) -> Tensor:
        own = _products(gradients) / loss_scale**2
        # a process has the gradient of its own items' mean: of all items' mean that is a part, `count` times too large
        return own if site in WHOLE else ranks.mean(own) / ranks.count()


def _lever(codec: Codec) -> OutputScale | _ConvNd:
    """What alone sets the output's gain: the last learned scale, or where there is none the last convolution."""
    stages = [s for s in codec.output.stages.values() if isinstance(s, OutputScale) and s.scale.requires_grad]
    parts = (codec.decoder, codec.output)
    convolutions = [m for part in parts for m in part.modules() if isinstance(m, _ConvNd)]
    if not (stages or convolutions):
        raise ValueError("sites: gain needs a learned output scale or a convolution in the decoder: leave gain out")
    return stages[-1] if stages else convolutions[-1]


@contextmanager
def _turning(lever: nn.Module, gain: Tensor) -> Iterator[None]:
    """While it lasts, what a module gives is multiplied by a gain that is 1, a convolution's offset left alone."""

    def turn(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        offset = 0.0 if (bias := getattr(module, "bias", None)) is None else bias[:, None]
        return output + ((gain - 1) * (output.float() - offset)).to(output.dtype)

    handle = lever.register_forward_hook(turn)
    try:
        yield
    finally:
        handle.remove()


def _gradients(value: Tensor, sites: Mapping[Site, Sequence[Tensor]]) -> Gradients:
    """A scalar's gradient by the tensors of each site, from one backward pass; None where it does not reach."""
    tensors = [tensor for site in sites.values() for tensor in site]
    found: Sequence[Tensor | None] = [None] * len(tensors)
    if value.requires_grad:
        found = torch.autograd.grad(value, tensors, retain_graph=True, allow_unused=True)
    left = iter(found)
    return {site: [next(left) for _ in own] for site, own in sites.items()}


def _products(gradients: Sequence[Sequence[Tensor | None]]) -> Tensor:
    """Inner products over all tensors of a site, of terms x tensors to [terms, terms] in float64 on the CPU."""
    total = torch.zeros(len(gradients), len(gradients), dtype=torch.float64)
    sums: list[Tensor] = []
    for each in zip(*gradients, strict=True):
        there = [g for g in each if g is not None]
        if there:
            rows = torch.stack([torch.zeros_like(there[0]) if g is None else g for g in each])
            rows = rows.double().view(len(rows), -1)
            sums.append(rows @ rows.T)
    return total + torch.stack(sums).sum(0).cpu() if sums else total
