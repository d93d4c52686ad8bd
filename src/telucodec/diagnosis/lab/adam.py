"""An experiment on optimizers: how far Adam carries one number, whatever the gradients (I5)."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn
from torch.optim import Adam, AdamW

from telucodec.diagnosis.lab.experiment import Check, Experiment, compare
from telucodec.diagnosis.reach import adam_reach, adam_step_bound

LR = 1e-5  # of documents S003, S001, S002 and S000
BETAS = (0.9, 0.999)
STEPS = 3000
SIZES = (1e-6, 1.0, 192.0)
WEIGHTS = (15.0, 192.0)  # of a loss, each held against 1
GROWING = "growing by 11 % a step"
LONE = "one, after silence"


def walk(gradients: Sequence[float], lr: float, betas: tuple[float, float], kind: type[Adam]) -> list[float]:
    """Where an optimizer without decay carries a number that starts at 1, after each of these gradients.

    >>> [round(place, 6) for place in walk([-5.0, -5.0], 0.1, (0.9, 0.999), Adam)]
    [1.1, 1.2]
    """
    number = nn.Parameter(torch.ones((), dtype=torch.float64))
    optimizer = kind([number], lr=lr, betas=betas, weight_decay=0.0)
    places = []
    for gradient in gradients:
        number.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        places.append(float(number.detach()))
    return places


def sequences(steps: int, betas: tuple[float, float], seed: int) -> dict[str, list[float]]:
    """Gradients that try to carry a number far: name -> one a step."""
    noise = torch.randn(steps, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    growth = betas[1] / betas[0]  # 1.11
    return {
        GROWING: [-(growth**step) for step in range(steps)],
        "steady": [-1.0] * steps,
        "noise with a trend": (noise - 0.5).tolist(),
        "noise": noise.tolist(),
        LONE: [-1.0 if step == steps - 100 else 0.0 for step in range(steps)],
    }


def best_move(step: int, betas: tuple[float, float]) -> float:
    """The largest move of Adam at its n-th step, in learning rates: `adam_step_bound` before the averages are full.

    Args:
        step: n, from 1.
        betas: decay of the two averages.

    >>> best_move(1, (0.9, 0.999)), round(best_move(100_000, (0.9, 0.999)), 2)
    (1.0, 7.27)
    """
    first, second = betas
    ratio = first**2 / second
    power = (1 - second**step) / (1 - second) * (1 - ratio**step) / (1 - ratio)
    return (1 - first) / (1 - first**step) * math.sqrt(power)


def adam_walks(seed: int) -> Experiment:
    """I5: no gradients carry a number farther than Adam's reach, and the weight of a loss changes nothing."""
    reach, limit = adam_reach(LR, BETAS, STEPS, lambda step: 1.0), adam_step_bound(BETAS)
    drawn = sequences(STEPS, BETAS, seed)
    walks = {name: walk(gradients, LR, BETAS, AdamW) for name, gradients in drawn.items()}
    farthest = [max(abs(place - 1) for place in places) for places in walks.values()]
    largest = {name: max(abs(b - a) / LR for a, b in pairwise([1.0, *places])) for name, places in walks.items()}
    steady = [walk([-size] * STEPS, LR, BETAS, Adam)[-1] - 1 for size in SIZES]
    plain, *weighed = (
        walk([weight * g for g in drawn["noise with a trend"]], LR, BETAS, Adam) for weight in (1.0, *WEIGHTS)
    )
    lone = (1 - BETAS[0]) / math.sqrt(1 - BETAS[1]) * math.sqrt(1 - BETAS[1] ** (STEPS - 99))
    most = LR * math.fsum(best_move(step, BETAS) for step in range(1, STEPS + 1))
    checks = (
        compare("farthest place from the start", [reach.bound] * len(walks), farthest, 0, "<="),
        compare("largest move, in learning rates", [limit] * len(walks), list(largest.values()), 0, "<="),
        Check("distance under gradients that grow", most, walks[GROWING][-1] - 1, 1e-6 * most),
        Check("move of a lone gradient, in lr", lone, largest[LONE], 1e-5),
        # 1e-8 is added to the root of the mean square: 1 % of a gradient of 1e-6
        compare("distance under steady gradients", [reach.steady] * len(SIZES), steady, 0.011 * reach.steady),
        *(
            compare(f"places at loss weights {weight:g} and 1", plain, places, 1e-6 * reach.steady)
            for weight, places in zip(WEIGHTS, weighed, strict=True)
        ),
    )
    shown = sorted({round(1.08**n) for n in range(105)} & set(range(1, STEPS + 1)) | {STEPS})
    data = {
        "step": shown,
        "moved_in_lr": {name: [abs(places[n - 1] - 1) / LR for n in shown] for name, places in walks.items()},
        "largest_move_in_lr": largest,
        "bound_in_lr": limit,
        "distance_by_size": dict(zip(map(str, SIZES), steady, strict=True)),
        "lr": LR,
    }
    formula = "|move| <= lr (1 - b1) / sqrt((1 - b2) (1 - b1^2 / b2))"
    return Experiment("i5", "How far Adam carries one number", formula, checks, data)
