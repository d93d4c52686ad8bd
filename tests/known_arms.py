"""Studies with figures that a test writes down itself."""

from pathlib import Path

from telucodec.study.design.study import Arm, Budget, Study
from telucodec.study.results.collected import Collected
from telucodec.study.results.run import Heard, Ran

END = 300


def study(*arms: Arm, name="fixes", base="base", folder=Path("nowhere")) -> Study:
    """The first arm is the base, if it is not given as `base`."""
    listed = {arm.name: arm for arm in arms}
    return Study(
        name=name,
        folder=folder,
        question="?",
        base=("trainer=cpu",),
        base_name=base,
        arms={base: listed.get(base, Arm(base, ())), **listed},
        seeds=(0, 1, 2),
        budgets={"full": Budget(END)},
        metrics=("val/snr",),
        primary="val/snr",
        higher_is_better=True,
        claims=(),
        hypotheses={},
    )


def run(arm: str, seed: int, rows, status="finished", heard=(), **more) -> Ran:
    """A run with rows of figures: step -> key -> value."""
    facts = {
        "arm": arm,
        "seed": seed,
        "folder": Path("nowhere"),
        "config": {},
        "overrides": ("trainer=cpu",),
        "status": status,
        "steps": max(rows),
        "seconds": 30.0,
        "audio_hours": 0.1,
        "steps_per_epoch": 3.0,
        "code": "abc",
        "evaluator": {},
        "started": "2026-11-21T00:00:00+00:00",
        "command": (),
        "device": "one thread",
        "rows": rows,
        "heard": heard,
        "label": "healthy",
    }
    return Ran(**(facts | more))


def heard(step: int, **utterances) -> list[Heard]:
    """The figures of utterances at a step: name -> {figure: value}."""
    return [Heard(step, name, None, figures) for name, figures in utterances.items()]


def runs(arm: str, metric: str, *values: float, **more) -> list[Ran]:
    """One run a seed, with one figure at the end."""
    return [run(arm, seed, {END: {metric: value}}, **more) for seed, value in enumerate(values)]


def collected(of: Study, *made) -> Collected:
    """Lists of runs together."""
    return Collected(of, [each for several in made for each in several], (), (), ())
