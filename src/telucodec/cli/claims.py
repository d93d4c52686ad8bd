"""`telucodec claims`."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

import telucodec
from telucodec.cli.claim_tables import WIDE, because, coloured, console, counted, source, whole, write_json
from telucodec.cli.studies.places import LEDGER, place
from telucodec.errors import InputError
from telucodec.study.design.committed import RUNS

if TYPE_CHECKING:
    from telucodec.study.claims.ledger import Ledger
    from telucodec.study.claims.verdicts import Judged

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


def _asked(words: Sequence[str]) -> tuple[Path, list[Path]]:
    """The ledger, and the folders of the studies whose results count."""
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
