"""What a run's validations come to: its label now, and its way through the plane."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from math import isfinite

from telucodec.diagnosis.label import Diagnosis, diagnose
from telucodec.diagnosis.plane import Point, plane
from telucodec.training.context import Run


def validations(rows: Sequence[Mapping[str, float]]) -> dict[int, dict[str, float]]:
    """Rows of the record at the steps of validations, everything logged at a step in one.

    >>> validations([{"step": 0, "val/snr": 1.0}, {"step": 0, "gap/training_rho": 0.1}, {"step": 3, "loss/l1": 2.0}])
    {0: {'step': 0, 'val/snr': 1.0, 'gap/training_rho': 0.1}}
    """
    merged: dict[int, dict[str, float]] = {}
    for row in rows:
        merged.setdefault(int(row["step"]), {}).update(row)
    return {step: row for step, row in sorted(merged.items()) if "val/snr" in row}


def verdict(found: Mapping[int, Mapping[str, float]], step: int) -> Diagnosis:
    """The label at one of the validations.

    Raises:
        ValueError: its figures are not finite.
    """
    return diagnose(found[step], found.get(0, {}))


def label_at(rows: Sequence[Mapping[str, float]], step: int) -> str:
    """The label of the validation at a step; empty where there is none, or its figures are not finite.

    >>> label_at([{"step": 5, "val/snr": 1.0, "val/rho_pooled": 0.1}], 5), label_at([], 5)
    ('shape-not-learned', '')
    """
    with suppress(KeyError, ValueError):
        return verdict(validations(rows), step).label
    return ""


def path(found: Mapping[int, Mapping[str, float]]) -> list[Point]:
    """The way through the plane of RMS ratio and correlation, over all samples."""
    rows = ((step, row.get("val/rms_ratio_pooled"), row.get("val/rho_pooled")) for step, row in found.items())
    return [Point(step, r, rho) for step, r, rho in rows if r is not None and rho is not None and isfinite(r + rho)]


def tell(run: Run, step: int) -> None:
    """Show the label of the newest validation, and say so where it has changed."""
    found = validations(run.record.rows)
    try:
        now = verdict(found, step)
    except ValueError as error:
        run.console.print(f"step {step:>6}: no diagnosis: {error}", highlight=False, soft_wrap=True, markup=False)
        return
    before = label_at(run.record.rows, max([s for s in found if s < step], default=-1))
    run.tensorboard.experiment.add_text("why/diagnosis", f"**{now.sentence()}** {now.advice}", step)
    if len(way := path(found)) > 1:  # one point is no way, and the first step need not wait for its picture
        run.show("why/plane", plane({run.record.name: way}, "How loud, and how alike"), step, "plane")
    if now.label != before:
        run.console.print(f"step {step:>6}: {now.sentence()}", highlight=False, soft_wrap=True, markup=False)
