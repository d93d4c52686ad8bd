"""What `telucodec claims decide` prints and writes."""

import argparse
import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from telucodec.cli.claim_tables import WIDE, because, coloured, console, counted, source, whole, write_json

if TYPE_CHECKING:
    from telucodec.study.claims.finding import Finding
    from telucodec.study.claims.ledger import Ledger
    from telucodec.study.claims.measured import Decided
    from telucodec.study.results.collected import Collected

COLUMNS = (
    "claim", "verdict", "before_runs", "about", "figure", "low", "high", "study", "arms", "seeds", "step", "text",
)  # fmt: skip
UNTOLD = "No study has runs that could tell."


def show(options: argparse.Namespace, ledger: "Ledger", folders: Sequence[Path]) -> int:
    """Decide all claims by the collected results of studies; print them, and write them if asked."""
    from telucodec.study.claims.measured import decide
    from telucodec.study.design.read import read_study
    from telucodec.study.results.files import read_results

    results = [read_results(read_study(folder)) for folder in folders]
    decided = decide(ledger, results)
    chosen = [each for each in decided if options.show in (None, each.claim.id)]
    if options.csv is not None:
        _write(options.csv, decided)
    if options.json:
        write_json([each.plain() for each in chosen])
        return 0
    printer = console()
    printer.print(_whole(chosen[0], ledger) if options.show else _table(chosen, ledger, results, printer.width))
    if options.csv is not None:
        printer.print(f"\nwritten: {options.csv}")
    return 0


def _table(decided: Sequence["Decided"], ledger: "Ledger", results: Sequence["Collected"], width: int) -> Group:
    from telucodec.study.claims.measured import FINAL

    files = ", ".join(f"{name} = {document.file}" for name, document in ledger.header.documents.items())
    richest = max(decided, key=lambda each: len(each.findings))
    notes = [f"Sources: {files}."]
    for each in results:
        assert each.study is not None
        notes.append(f"{each.study.name}: {_count(len(each.runs), 'run')} of {_count(len(each.arms), 'arm')}.")
        notes += [f"{each.study.name}: {note}" for note in each.notes]
    notes.append("Runs are of a small codec on the data of the studies: other networks and recordings may differ.")
    told = f"\nOne claim with all its evidence: telucodec claims --show {richest.claim.id}"
    return Group(_rows(decided, ledger, width), *notes, "", counted(decided, FINAL, "untested", "not untested"), told)


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _rows(decided: Sequence["Decided"], ledger: "Ledger", width: int) -> Table:
    wide = width >= WIDE
    table = Table(box=SIMPLE_HEAD, title=f"{len(decided)} claims, decided", expand=True)
    table.add_column("id", width=max(len(each.claim.id) for each in decided))
    table.add_column("verdict", width=12)
    columns = (("source", 2), ("says", 4), ("because", 6)) if wide else (("source, what it says, because", 1),)
    for name, ratio in columns:
        table.add_column(name, ratio=ratio)
    for each in decided:
        parts = [source(each.claim, ledger), each.claim.says, _reason(each)]
        table.add_row(each.claim.id, coloured(each.verdict), *(parts if wide else ["\n".join(filter(None, parts))]))
    return table


def _reason(decided: "Decided") -> str:
    from telucodec.study.claims.evidence import Evidence

    by = decided.by
    if by is None:
        return UNTOLD
    return because(by) if isinstance(by, Evidence) else f"{by.text} [{by.runs}]"


def _whole(decided: "Decided", ledger: "Ledger") -> Group:
    parts: list[RenderableType] = [Text.assemble("decided: ", coloured(decided.verdict)), ""]
    parts += [whole(decided.judged, ledger), Text("What runs say", style="bold"), ""]
    for part in decided.parts:
        parts += [Text.assemble(coloured(part.verdict), f"  {part.findings[0].about if part.findings else ''}")]
        for each in part.findings:
            parts += [Text.assemble("  ", coloured(each.verdict), f"  {each.runs}"), f"    {each.text}"]
        parts += ["" if part.findings else f"  {UNTOLD}", ""]
    return Group(*parts, *([] if decided.parts else ["Nothing in it is for runs to tell."]))


def _write(path: Path, decided: Sequence["Decided"]) -> None:
    """One row a claim."""
    from telucodec.disk import replacing

    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([*_row(each)] for each in decided)


def _row(decided: "Decided") -> Iterator[str]:
    from telucodec.study.claims.evidence import Evidence

    yield from (decided.claim.id, decided.verdict, decided.judged.verdict)
    by = decided.by
    if by is None:
        yield from [*[""] * (len(COLUMNS) - 4), UNTOLD]
    elif isinstance(by, Evidence):
        number = math.nan if by.number is None else by.number
        yield from (f"{by.identity}: {by.formula}", _number(number), *[""] * 6, by.text)
    else:
        yield from _of_runs(by)


def _of_runs(found: "Finding") -> Iterator[str]:
    runs = found.runs
    yield from (found.about, *(_number(value) for value in (found.figure, found.low, found.high)))
    yield from (runs.study, " - ".join(runs.arms), " ".join(map(str, runs.seeds)), str(runs.step or ""), found.text)


def _number(value: float) -> str:
    """Six significant digits; empty for none.

    >>> _number(1 / 3), _number(float("nan"))
    ('0.333333', '')
    """
    return f"{value:.6g}" if math.isfinite(value) else ""
