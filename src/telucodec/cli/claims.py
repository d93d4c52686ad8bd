"""`telucodec claims`."""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

import telucodec
from telucodec.errors import InputError
from telucodec.study.design.committed import RUNS

if TYPE_CHECKING:
    from telucodec.study.claims.claim import Claim, Prediction
    from telucodec.study.claims.evidence import Evidence
    from telucodec.study.claims.ledger import Ledger
    from telucodec.study.claims.measured import Decided
    from telucodec.study.claims.verdicts import Judged

WIDE = 120  # characters from which on every part has a column of its own
LEDGER = Path("experiments/seed_documents/claims.yaml")
COLOURS = {
    "impossible": "red", "unreachable": "red", "inconsistent": "magenta", "exclusive": "magenta",
    "impossible in part": "red", "false": "yellow", "partly": "yellow", "true": "green", "certain": "green",
    "consistent": "green", "open": "cyan",
    "refuted": "yellow", "confirmed": "green", "inconclusive": "magenta", "untested": "cyan",
}  # fmt: skip
DECIDE = "decide"
DESCRIPTION = """\
List every claim of a ledger with its place in the documents and its verdict. A ledger that is named is judged by its
numbers alone; what only runs can decide is open. `decide NAME ...` holds the claims against the results of studies too,
and so does the command alone where results are committed.

verdicts of numbers alone, the strongest first:
  impossible          an identity, or the bitrate, rules it out
  unreachable         the optimizer cannot move the parameter that far in the steps there are
  inconsistent        the document says something else that it cannot go with
  exclusive           another claim, not itself impossible, answers the same question the other way
  impossible in part  some of the stated values are ruled out
  false, partly, true arithmetic done again; statements about others' work, held against that work
  certain             cannot fail
  consistent          an observation that can have been, with what it implies
  open                until runs decide

verdicts with runs, on the small codecs and the data of the studies:
  impossible, unreachable   as above, whatever runs say
  refuted       false, partly or inconsistent as above; or no run of the preset comes there, at any learning rate and
                however many steps an epoch has; or the switch does nothing that counts, or the opposite
  confirmed     true or certain as above; or every seed at the document's learning rate has it in the stated steps; or
                the 95 % interval of the switch's change lies on the claimed side, beyond what counts as none
  inconclusive  runs tell neither, or disagree; so do times, which are another machine's, and what was observed
                elsewhere
  untested      no study has the runs, or no more than one seed

Ranges of SNR and RMS ratio for one moment are read as a path from both first values to both last ones: impossible if
both ends are ruled out, impossible in part if one is, or only the lowest ratio beside the highest SNR.

examples:
  telucodec claims                        experiments/seed_documents/claims.yaml, with all results there are
  telucodec claims --show P034            one claim with all evidence
  telucodec claims --steps-per-epoch 3    grant fewer optimizer steps
  telucodec claims mine.yaml --json
  telucodec claims decide seed_documents amplitude_collapse --csv verdicts.csv
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command to argparse."""
    parser.description = DESCRIPTION
    parser.add_argument(
        "words",
        nargs="*",
        metavar="FILE | decide NAME",
        help=f"a ledger (default: {LEDGER}); or decide, and studies whose results are collected",
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of a table")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the verdicts with runs, one row a claim")
    parser.add_argument("--show", metavar="ID", help="one claim with everything that is known of it")
    parser.add_argument(
        "--steps-per-epoch",
        type=int,
        metavar="N",
        help="optimizer steps granted to an epoch (default: the ledger's, which is generous)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Read, judge, print."""
    from telucodec.build import nearest
    from telucodec.cli.compose import conf_dir
    from telucodec.study.claims.ledger import read_ledger
    from telucodec.study.claims.verdicts import judge
    from telucodec.study.claims.vocabulary import vocabulary

    path, studies = _asked(options.words)
    granted = options.steps_per_epoch
    if granted is not None and granted < 1:
        raise InputError(f"--steps-per-epoch {granted}: must be at least 1.")
    if options.csv is not None and not studies:
        raise InputError("--csv: needs the results of a study. Name it: telucodec claims decide NAME --csv FILE.")
    ledger = read_ledger(path, vocabulary(conf_dir()))
    if options.show is not None and options.show not in ledger.claims:
        raise InputError(f"--show {options.show}: {path} has no such claim. {nearest(options.show, [*ledger.claims])}")
    if granted is not None:
        steps = replace(ledger.header.steps_per_epoch, granted=granted)
        ledger = replace(ledger, header=replace(ledger.header, steps_per_epoch=steps))
    if studies:
        from telucodec.cli.verdicts import show

        return show(options, ledger, studies)
    judged = judge(ledger, ledger.header.steps_per_epoch.granted)
    chosen = [each for each in judged if options.show in (None, each.claim.id)]
    if options.json:
        write_json([each.plain() for each in chosen])
        return 0
    printer = console()
    printer.print(whole(chosen[0], ledger) if options.show else _table(chosen, ledger, printer.width))
    return 0


def write_json(plain: Sequence[Mapping[str, Any]]) -> None:
    """Print a list of objects."""
    sys.stdout.write(json.dumps(plain, indent=2, ensure_ascii=False) + "\n")


def console() -> Console:
    """As wide as the terminal, or as a page where there is none."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
    return Console(width=width, highlight=False, markup=False)


def _asked(words: Sequence[str]) -> tuple[Path, list[Path]]:
    """The ledger, and the folders of the studies whose results count."""
    from telucodec.cli.study import place

    if words[:1] == [DECIDE]:
        if len(words) == 1:
            raise InputError("decide: which study? telucodec claims decide NAME [NAME ...], of experiments/.")
        return _default(), [place(name) for name in words[1:]]
    if len(words) > 1:
        raise InputError(f"{words[1]}: one ledger at a time. For studies: telucodec claims decide NAME ...")
    if words:
        return Path(words[0]), []
    ledger = _default()
    return ledger, sorted(path.parent for path in ledger.parents[1].glob(f"*/{RUNS}"))


def _default() -> Path:
    """The ledger below the current folder, or that of the checkout that this package is installed from."""
    places = (LEDGER, Path(telucodec.__file__).parents[2] / LEDGER)
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise InputError(f"there is no {LEDGER} here. Run this in a checkout of telucodec, or give a ledger: FILE.")
    return found


def _table(judged: Sequence["Judged"], ledger: "Ledger", width: int) -> Group:
    from telucodec.study.claims.evidence import VERDICTS

    files = ", ".join(f"{name} = {document.file}" for name, document in ledger.header.documents.items())
    richest = max(judged, key=lambda each: len(each.evidence))
    told = f"\nOne claim with all its evidence: telucodec claims --show {richest.claim.id}"
    table = counted(judged, VERDICTS, "open", "decided")
    return Group(_rows(judged, ledger, width), f"Sources: {files}.", "", table, told)


def _rows(judged: Sequence["Judged"], ledger: "Ledger", width: int) -> Table:
    wide = width >= WIDE
    table = Table(box=SIMPLE_HEAD, title=f"{len(judged)} claims", expand=True)
    table.add_column("id", width=max(len(each.claim.id) for each in judged))
    table.add_column("verdict", width=12)
    for name, ratio in (
        (("source", 2), ("says", 5), ("because", 4)) if wide else (("source, what it says, because", 1),)
    ):
        table.add_column(name, ratio=ratio)
    for each in judged:
        reason = because(each.evidence[0]) if each.verdict != "open" else ""
        parts = [source(each.claim, ledger), each.claim.says, reason]
        table.add_row(each.claim.id, coloured(each.verdict), *(parts if wide else ["\n".join(filter(None, parts))]))
    return table


def because(evidence: "Evidence") -> str:
    """The formula that decides, and its number."""
    number = "" if evidence.number is None else f" -> {evidence.number:.4g}"
    return f"{evidence.identity}: {evidence.formula}{number}"


def counted(judged: "Sequence[Judged | Decided]", verdicts: Sequence[str], rest: str, last: str) -> Table:
    """How many claims of each letter have each verdict; the row `last` counts all but the verdict `rest`."""
    letters = sorted({each.claim.id[0] for each in judged})
    found = Counter((each.verdict, each.claim.id[0]) for each in judged)
    table = Table("verdict", *(f"{letter}..." for letter in letters))
    for verdict in verdicts:
        if any(found[verdict, letter] for letter in letters):
            table.add_row(coloured(verdict), *(str(found[verdict, letter] or "") for letter in letters))
    table.add_section()
    others = [verdict for verdict in verdicts if verdict != rest]
    table.add_row(last, *(str(sum(found[verdict, letter] for verdict in others)) for letter in letters))
    return table


def coloured(verdict: str) -> Text:
    """A verdict in its colour."""
    return Text(verdict, style=COLOURS[verdict])


def source(claim: "Claim", ledger: "Ledger") -> str:
    """Where a claim is written, by the short names of the documents."""
    names = {document.file: name for name, document in ledger.header.documents.items()}
    return "; ".join(f"{names[s.file]}:{', '.join(map(str, s.lines))}" for s in claim.source)


def whole(judged: "Judged", ledger: "Ledger") -> Group:
    """One claim with all that decides it before any run."""
    claim = judged.claim
    head = Text.assemble((claim.id, "bold"), "  ", coloured(judged.verdict), f"\n{claim.says}\n")
    facts = Table.grid(padding=(0, 2))
    facts.add_row("source", "; ".join(f"{s.file}, lines {', '.join(map(str, s.lines))}" for s in claim.source))
    facts.add_row("kind", claim.kind + (f", preset {claim.preset}" if claim.preset else ""))
    for prediction in claim.predicts:
        facts.add_row("states" if claim.kind == "observation" else "predicts", _predicted(prediction))
    for effect in claim.effects:
        facts.add_row("effect", str(effect))
    for name in claim.with_:
        facts.add_row("with", f"{name}: {ledger.claims[name].says}")
    parts: list[RenderableType] = [head, facts, ""]
    for each in judged.evidence:
        parts += [Text.assemble(coloured(each.verdict), f"  {because(each)}"), f"  {each.text}", ""]
    return Group(*parts, *([] if judged.evidence else ["No rule decides it: it is open until runs do."]))


def _predicted(prediction: "Prediction") -> str:
    start = f"from {prediction.from_:g} to " if prediction.from_ is not None else ""
    point = f" ({prediction.point:g} by itself)" if prediction.point is not None else ""
    preset = f", preset {prediction.preset}" if prediction.preset else ""
    over = "" if prediction.over == "all" else f" of {prediction.over}"
    return f"{prediction.metric}{over} {start}{prediction.range}{point} at {prediction.at}{preset}"
