"""`telucodec claims`."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

import telucodec
from telucodec.errors import InputError

if TYPE_CHECKING:
    from telucodec.study.claims.claim import Claim, Effect, Prediction
    from telucodec.study.claims.evidence import Evidence
    from telucodec.study.claims.ledger import Ledger
    from telucodec.study.claims.verdicts import Judged

WIDE = 120  # characters from which on every part has a column of its own
LEDGER = Path("experiments/seed_documents/claims.yaml")
COLOURS = {
    "impossible": "red", "unreachable": "red", "inconsistent": "magenta", "exclusive": "magenta",
    "impossible in part": "red", "false": "yellow", "partly": "yellow", "true": "green", "certain": "green",
    "consistent": "green", "open": "cyan",
}  # fmt: skip
DESCRIPTION = """\
List every claim of a ledger with its place in the documents and a verdict that its numbers alone decide, and by which
formula. What only runs can decide is open.

verdicts, the strongest first:
  impossible          an identity, or the bitrate, rules it out
  unreachable         the optimizer cannot move the parameter that far in the steps there are
  inconsistent        the document says something else that it cannot go with
  exclusive           another claim, not itself impossible, answers the same question the other way
  impossible in part  some of the stated values are ruled out
  false, partly, true arithmetic done again; statements about others' work, held against that work
  certain             cannot fail
  consistent          an observation that can have been, with what it implies
  open                until runs decide

Ranges of SNR and RMS ratio for one moment are read as a path from both first values to both last ones: impossible if
both ends are ruled out, impossible in part if one is, or only the lowest ratio beside the highest SNR.

examples:
  telucodec claims                        experiments/seed_documents/claims.yaml
  telucodec claims --show P034            one claim with all evidence
  telucodec claims --steps-per-epoch 3    grant fewer optimizer steps
  telucodec claims mine.yaml --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command to argparse."""
    parser.description = DESCRIPTION
    parser.add_argument("ledger", nargs="?", type=Path, metavar="FILE", help=f"a ledger (default: {LEDGER})")
    parser.add_argument("--json", action="store_true", help="print a list of objects instead of a table")
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

    path = options.ledger or _default()
    if options.steps_per_epoch is not None and options.steps_per_epoch < 1:
        raise InputError(f"--steps-per-epoch {options.steps_per_epoch}: must be at least 1.")
    ledger = read_ledger(path, vocabulary(conf_dir()))
    if options.show is not None and options.show not in ledger.claims:
        raise InputError(f"--show {options.show}: {path} has no such claim. {nearest(options.show, [*ledger.claims])}")
    judged = judge(ledger, options.steps_per_epoch or ledger.header.steps_per_epoch.granted)
    chosen = [each for each in judged if options.show in (None, each.claim.id)]
    if options.json:
        sys.stdout.write(json.dumps([each.plain() for each in chosen], indent=2, ensure_ascii=False) + "\n")
        return 0
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
    console = Console(width=width, highlight=False, markup=False)
    console.print(_whole(chosen[0], ledger) if options.show else _table(chosen, ledger, console.width))
    return 0


def _default() -> Path:
    """The ledger below the current folder, or that of the checkout that this package is installed from."""
    places = (LEDGER, Path(telucodec.__file__).parents[2] / LEDGER)
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise InputError(f"there is no {LEDGER} here. Run this in a checkout of telucodec, or give a ledger: FILE.")
    return found


def _table(judged: Sequence["Judged"], ledger: "Ledger", width: int) -> Group:
    files = ", ".join(f"{name} = {document.file}" for name, document in ledger.header.documents.items())
    richest = max(judged, key=lambda each: len(each.evidence))
    told = f"\nOne claim with all its evidence: telucodec claims --show {richest.claim.id}"
    return Group(_rows(judged, ledger, width), f"Sources: {files}.", "", _counted(judged), told)


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
        because = _because(each.evidence[0]) if each.verdict != "open" else ""
        parts = [_place(each.claim, ledger), each.claim.says, because]
        table.add_row(each.claim.id, _coloured(each.verdict), *(parts if wide else ["\n".join(filter(None, parts))]))
    return table


def _because(evidence: "Evidence") -> str:
    number = "" if evidence.number is None else f" -> {evidence.number:.4g}"
    return f"{evidence.identity}: {evidence.formula}{number}"


def _counted(judged: Sequence["Judged"]) -> Table:
    """How many claims of each letter have each verdict."""
    from telucodec.study.claims.verdicts import counts

    letters = sorted({each.claim.id[0] for each in judged})
    found = {letter: counts(each for each in judged if each.claim.id[0] == letter) for letter in letters}
    table = Table("verdict", *(f"{letter}..." for letter in letters))
    for verdict in counts(judged):
        table.add_row(_coloured(verdict), *(str(found[letter].get(verdict, "")) for letter in letters))
    undecided = {letter: found[letter].get("open", 0) for letter in letters}
    table.add_section()
    table.add_row("decided", *(str(sum(found[x].values()) - undecided[x]) for x in letters))
    return table


def _coloured(verdict: str) -> Text:
    return Text(verdict, style=COLOURS[verdict])


def _place(claim: "Claim", ledger: "Ledger") -> str:
    names = {document.file: name for name, document in ledger.header.documents.items()}
    return "; ".join(f"{names[s.file]}:{', '.join(map(str, s.lines))}" for s in claim.source)


def _whole(judged: "Judged", ledger: "Ledger") -> Group:
    claim = judged.claim
    head = Text.assemble((claim.id, "bold"), "  ", _coloured(judged.verdict), f"\n{claim.says}\n")
    facts = Table.grid(padding=(0, 2))
    facts.add_row("source", "; ".join(f"{s.file}, lines {', '.join(map(str, s.lines))}" for s in claim.source))
    facts.add_row("kind", claim.kind + (f", preset {claim.preset}" if claim.preset else ""))
    for prediction in claim.predicts:
        facts.add_row("states" if claim.kind == "observation" else "predicts", _predicted(prediction))
    for effect in claim.effects:
        facts.add_row("effect", _effect(effect))
    for name in claim.with_:
        facts.add_row("with", f"{name}: {ledger.claims[name].says}")
    parts: list[RenderableType] = [head, facts, ""]
    for each in judged.evidence:
        parts += [Text.assemble(_coloured(each.verdict), f"  {_because(each)}"), f"  {each.text}", ""]
    return Group(*parts, *([] if judged.evidence else ["No rule decides it: it is open until runs do."]))


def _predicted(prediction: "Prediction") -> str:
    start = f"from {prediction.from_:g} to " if prediction.from_ is not None else ""
    point = f" ({prediction.point:g} by itself)" if prediction.point is not None else ""
    preset = f", preset {prediction.preset}" if prediction.preset else ""
    return f"{prediction.metric} {start}{prediction.range}{point} at {prediction.at}{preset}"


def _effect(effect: "Effect") -> str:
    against = f" against {' + '.join(effect.against)}" if effect.against else ""
    how = f"by the factor {effect.factor}" if effect.factor else {"none": "not at all"}.get(str(effect.direction))
    return f"{' + '.join(effect.switch)}{against} moves {effect.metric} {how or effect.direction}"
