"""Evaluated utterances summed up by speaker and language, with intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

from telucodec.metrics.evaluation import Row
from telucodec.study.results.intervals import clustered_interval, mean_interval


def by_group(rows: Sequence[Row], figures: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Means with 95 % intervals: of all, of each language, of each speaker.

    Where at least three speakers are known the interval is over speakers, else over utterances; `interval_over` says
    which. A group of fewer than three has none.

    Args:
        rows: silent ones are left out.
        figures: which to sum up; those that no row has are left out.

    Returns:
        Group ("all", "language te", "speaker x") -> {"utterances": n, figure: {"mean", "low", "high"}}.
    """
    loud = [row for row in rows if not row.silent]
    groups: dict[str, list[Row]] = {"all": loud}
    for kind in ("language", "speaker"):
        for name in sorted({str(getattr(row, kind) or "unknown") for row in loud}):
            groups[f"{kind} {name}"] = [row for row in loud if str(getattr(row, kind) or "unknown") == name]
    return {name: _sum_up(members, figures) for name, members in groups.items()}


def worst(rows: Sequence[Row], figure: str, count: int) -> list[Row]:
    """The rows with the lowest value of a figure, worst first."""
    return sorted((row for row in rows if not row.silent and figure in row.figures), key=lambda r: r.figures[figure])[
        :count
    ]


def _sum_up(rows: Sequence[Row], figures: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"utterances": len(rows), "seconds": sum(row.seconds for row in rows)}
    over = "speakers" if len({row.speaker for row in rows} - {None}) >= 3 else "utterances"
    found["interval_over"] = over
    for figure in figures:
        having = [row for row in rows if figure in row.figures]
        values = [row.figures[figure] for row in having]
        if values:
            speakers = [row.speaker or "unknown" for row in having]
            interval = clustered_interval(values, speakers) if over == "speakers" else mean_interval(values)
            found[figure] = {
                "mean": interval.mean,
                "low": interval.low,
                "high": interval.high,
                "counted": interval.counted,
            }
    return found


def table_row(row: Row) -> Mapping[str, Any]:
    """One utterance as a flat row."""
    about = {
        "file": row.name,
        "speaker": row.speaker,
        "language": row.language,
        "seconds": row.seconds,
        "silent": row.silent,
    }
    return about | dict(row.figures)
