"""How far the optimizers of a run can move the parameters that somebody has expectations of (I5)."""

import difflib
import math
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from torch import nn
from torch.optim import Adam, Optimizer

from telucodec.diagnosis.reach import Move, Outlook, Pace, outlook
from telucodec.errors import InputError
from telucodec.models.output import LogOutputScale, OutputScale
from telucodec.reading import Kinds, held, read_json
from telucodec.training.module import CodecTraining

SCALE = "output_scale"  # the output stage's scale, whatever its name there


def outlooks(
    targets: Mapping[str, float | None], module: CodecTraining, steps: int, begun: Mapping[str, float]
) -> list[Outlook]:
    """Hold every target against the optimizer that moves it.

    Args:
        targets: name of a parameter with one number, or pattern of names -> the value that it should take; None is no
            target. `output_scale` is the output stage's scale; a scale is given as what it multiplies with, also where
            its logarithm is learned.
        module: with the values of the start.
        steps: of the run.
        begun: name -> value at the start of the run, where `module` has not got it.

    Raises:
        InputError: a target is no number, names no parameter or one with several numbers, or is out of range.
    """
    return [
        outlook(move, pace)
        for name, goal in targets.items()
        if goal is not None
        for move, pace in _moves(name, goal, module, steps, begun)
    ]


def first_values(folder: Path) -> dict[str, float]:
    """The values that a run's targets had at its start, from its run.json; empty if there is none."""
    path = folder / "run.json"
    if not path.exists():
        return {}
    rows = held({"reach": []} | held(read_json(path), {}, str(path)), {"reach": list}, str(path))["reach"]
    known: Kinds = {"parameter": str, "from": (int, float)}
    return {row["parameter"]: row["from"] for row in rows if held(row, known, f"{path}, reach")}


def _moves(
    target: str, goal: float, module: CodecTraining, steps: int, begun: Mapping[str, float]
) -> Iterator[tuple[Move, Pace | None]]:
    if isinstance(goal, bool) or not isinstance(goal, int | float) or not math.isfinite(goal):
        raise InputError(f"targets.{target}: must be a number, got {goal!r}.")
    sides = _sides(module)
    for name in _named(target, module, [name for named in sides.values() for name in named]):
        side = next(side for side, named in sides.items() if name in named)
        parameter, scale = sides[side][name], _scales(module).get(name)
        if parameter.numel() != 1:
            raise InputError(
                f"targets.{target}: {name} holds {parameter.numel()} numbers, and a target is about one. "
                "Name another parameter, or write a narrower pattern."
            )
        along = math.log if isinstance(scale, LogOutputScale) else float
        if along is math.log and goal <= 0:
            raise InputError(f"targets.{target}: must be > 0, because the scale's logarithm is learned; got {goal}.")
        shown = SCALE if scale is not None and len(_scales(module)) == 1 else name
        start = begun.get(shown, float((parameter if scale is None else scale.factor()).detach()))
        yield Move(shown, start, float(goal), along), _pace(module, side, parameter, steps)


def _named(target: str, module: CodecTraining, names: list[str]) -> list[str]:
    if target == SCALE:
        scales = list(_scales(module))
        if len(scales) != 1:
            there = f"{len(scales)} scales: name one of {', '.join(scales)}" if scales else "no scale"
            raise InputError(
                f"targets.{SCALE}: the output stage has {there}. Choose one (output=[scale]), or leave the target out: "
                f"'targets.{SCALE}=null'."
            )
        return scales
    found = [name for name in names if fnmatchcase(name, target)]
    if not found:
        close = difflib.get_close_matches(target, [SCALE, *names], n=1, cutoff=0.6)
        hint = f"Did you mean '{close[0]}'?" if close else f"Names look like {', '.join([SCALE, *names[-2:]])}."
        raise InputError(f"targets.{target}: is no parameter. {hint} * stands for anything.")
    return found


def _sides(module: CodecTraining) -> dict[str, dict[str, nn.Parameter]]:
    """Parameters by the player that moves them, named as in `parameter_groups`."""
    terms = {f"terms.{name}": parameter for name, parameter in module.terms.named_parameters()}
    return {
        "codec": dict(module.codec.named_parameters()) | terms,
        "adversary": dict(module.adversary.named_parameters()),
    }


def _scales(module: CodecTraining) -> dict[str, OutputScale]:
    stages = module.codec.output.stages.items()
    return {f"output.stages.{name}.scale": stage for name, stage in stages if isinstance(stage, OutputScale)}


def _pace(module: CodecTraining, side: str, parameter: nn.Parameter, steps: int) -> Pace | None:
    player = module.players[side]
    groups = {"codec": 0, "adversary": 1}
    optimizers = module.configure_optimizers()
    if not parameter.requires_grad or groups[side] >= len(optimizers):
        return None
    optimizer = optimizers[groups[side]]
    group = next(g for g in optimizer.param_groups if any(p is parameter for p in g["params"]))
    moves = [step for step in range(steps) if side == "codec" or module.adversary.plays(step)]
    worth = math.fsum(player.schedule(step) for step in moves)
    return Pace(group["lr"], _betas(optimizer, group), _decay(group), len(moves), worth)


def _betas(optimizer: Optimizer, group: Mapping[str, Any]) -> tuple[float, float] | None:
    if not isinstance(optimizer, Adam):  # AdamW is one
        return None
    first, second = group["betas"]
    return float(first), float(second)


def _decay(group: Mapping[str, Any]) -> float:
    """Decay that acts on the value itself; Adam's own goes through the gradient, and is bounded with it."""
    return float(group["weight_decay"]) if group.get("decoupled_weight_decay") else 0.0
