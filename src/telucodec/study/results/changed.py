"""Whether results still belong to the study that they were made for."""

from collections.abc import Sequence

from telucodec.study.design.arms import joined, key_of, without
from telucodec.study.design.study import Budget, Study
from telucodec.study.results.run import Ran

# what a study adds to the overrides that are written in it: learning rates, and what all its arms share
ADDED = ("subset.test_utterances", "name", "max_steps", "seed", "optimizer.lr", "adversary_optimizer.lr")


def changed_since(study: Study, runs: Sequence[Ran]) -> list[str]:
    """Arms whose runs were made with other overrides than study.yaml now comes to, one sentence each."""
    found = {}
    for run in runs:
        told = min((_unlike(study, run, budget) for budget in study.budgets.values()), key=len)
        if told:
            found[run.arm] = f"Arm {run.arm} was made before study.yaml was changed: {', '.join(told)}. Run it again."
    return list(found.values())


def _unlike(study: Study, run: Ran, budget: Budget) -> list[str]:
    """Overrides that only study.yaml has (+) and those that only the run has (-)."""
    arm = study.arms[run.arm]
    written = joined(without(joined(study.base, budget.overrides), arm.without), arm.overrides)
    extra = [o for o in run.overrides if o not in written and key_of(o) not in ADDED]
    if arm.times != 1:
        extra = [o for o in extra if not (key_of(o).startswith("loss.") or key_of(o).endswith(".clip_norm"))]
        written = [o for o in written if not key_of(o).startswith("loss.")]
    lost = [o for o in written if o not in run.overrides and key_of(o) not in ADDED]
    steps = [f"+max_steps={budget.steps}"] if _steps(run) not in (None, str(budget.steps)) else []
    return [*(f"+{o}" for o in lost), *(f"-{o}" for o in extra), *steps]


def _steps(run: Ran) -> str | None:
    told = [override.partition("=")[2] for override in run.overrides if key_of(override) == "max_steps"]
    return told[-1] if told else None
