"""Experiments on an output scale: which way MSE pushes it (I4), and how hard two loudness losses do (I6)."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from telucodec.diagnosis import identities
from telucodec.diagnosis.lab.experiment import Check, Experiment, compare
from telucodec.diagnosis.lab.signals import batch, pair, step_of
from telucodec.losses.level import GlobalRMS, PerSampleRMS
from telucodec.losses.term import Term
from telucodec.losses.waveform import MSE
from telucodec.models.output import OutputScale

RHOS = (-0.001, 0.1, 0.344, 0.5, 0.9)
RATIOS = (0.05, 0.159, 0.285, 0.4, 0.6, 0.8, 1.0, 1.2)
SIGMA = 0.16
ITEMS = 16  # the batch size of all five documents
BATCHES = 400
SPREAD_DB = 12.0  # loudest over quietest item of a batch
SINGLE = 1e-6  # float32 carries seven digits of losses below 1


def slope(term: Term, gain: float, targets: Tensor, outputs: Tensor) -> float:
    """Derivative of a term by an output scale of this value, by back-propagation; signals [B, 1, T]."""
    scale = OutputScale(initial=gain)
    (found,) = torch.autograd.grad(term(step_of(targets, scale(outputs))), scale.scale)
    return float(found)


def scale_slope(seed: int) -> Experiment:
    """I4: MSE raises an output scale only while the RMS ratio is below the correlation."""
    mse, initial = MSE(weight=1.0, start=0, emphasis=0.0), 2.5  # the scale that document S001 begins with
    grid = [(rho, r) for rho in RHOS for r in RATIOS]
    told, found = [], []
    for rho, r in grid:
        target, audio = (signal[None, None] for signal in pair(rho, r, 0.0, 1024, SIGMA, seed))
        inner = audio / initial  # what the scale multiplies
        told.append(identities.scale_gradient(initial, (r * SIGMA / initial) ** 2, rho * r * SIGMA**2 / initial))
        found.append(slope(mse, initial, target, inner))
    apart = [(value, rho, r) for value, (rho, r) in zip(found, grid, strict=True) if abs(rho - r) > 1e-3]
    checks = (
        compare("slope of MSE by the scale", told, found, SINGLE),
        compare(
            "MSE raises the scale", [float(r < rho) for _, rho, r in apart], [float(v < 0) for v, _, _ in apart], 0
        ),
    )
    data = {
        "rms_ratio": list(RATIOS),
        "slope": {str(rho): [found[grid.index((rho, r))] for r in RATIOS] for rho in RHOS},
        "sigma": SIGMA,
        "scale": initial,
    }
    return Experiment("i4", "Which way MSE pushes an output scale", "dMSE/ds = 2 (s E[x^2] - E[x y])", checks, data)


class Draw(NamedTuple):
    """One random batch, and the slopes of both losses on it."""

    kind: str  # alike: outputs as loud as their targets but for one factor; else mixed up, and too quiet or too loud
    gain: float  # RMS of all outputs over that of all targets
    over_batch: float
    per_item: float
    told: identities.RMSGradients


def rms_slopes(seed: int) -> Experiment:
    """I6: while the output is too quiet, the RMS of items never pulls harder than the RMS of the batch."""
    generator = torch.Generator().manual_seed(seed)
    draws = [_draw(number, seed, generator) for number in range(BATCHES)]
    kinds = {
        kind: [d for d in draws if d.kind == kind and abs(d.gain - 1) > 0.05]  # at 1 both slopes vanish
        for kind in ("alike", "quiet", "loud")
    }
    ratio = {kind: [d.per_item / d.over_batch for d in found] for kind, found in kinds.items()}
    ones = {kind: [1.0] * len(values) for kind, values in ratio.items()}
    checks = (
        compare("slope of the items' RMS", [d.told.per_item for d in draws], [d.per_item for d in draws], SINGLE),
        compare("slope of the batch's RMS", [d.told.over_batch for d in draws], [d.over_batch for d in draws], SINGLE),
        compare("items over batch, loudness in proportion", ones["alike"], ratio["alike"], 1e-3),
        compare("items over batch, too quiet", ones["quiet"], ratio["quiet"], 1e-3, "<="),
        Check("items over batch, too loud, largest", 1.0, max(ratio["loud"]), 0, ">="),
    )
    data = {
        "ratio": ratio,
        "rms_ratio": {kind: [d.gain for d in found] for kind, found in kinds.items()},
        "median_quiet": float(np.median(ratio["quiet"])),
        "range_quiet": [min(ratio["quiet"]), max(ratio["quiet"])],
        "items": ITEMS,
    }
    formula = "items 2 (s X^2 - mean x_i y_i), batch 2 (s X^2 - X Y)"
    return Experiment("i6", "RMS of items against RMS of the batch", formula, checks, data)


def _draw(number: int, seed: int, generator: torch.Generator) -> Draw:
    targets, outputs = batch(ITEMS, 0.5, 1.0, 0.0, SPREAD_DB, 64, seed + number)
    alike = number % 4 == 0
    outputs = outputs if alike else outputs[torch.randperm(ITEMS, generator=generator)]
    gain = 0.05 + 1.95 * float(torch.rand((), generator=generator))
    kinds = (GlobalRMS(weight=1.0, start=0, eps=1e-12), PerSampleRMS(weight=1.0, start=0, eps=1e-12))
    over_batch, per_item = (slope(kind, gain, targets, outputs) for kind in kinds)
    loudness = [signals.square().mean((1, 2)).sqrt().tolist() for signals in (outputs, targets)]
    kind = "alike" if alike else "quiet" if gain < 1 else "loud"
    return Draw(kind, gain, over_batch, per_item, identities.rms_gradients(gain, *loudness))
