"""`telucodec doctor`."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from telucodec.errors import InputError

if TYPE_CHECKING:
    from telucodec.training.surroundings import Finding

DESCRIPTION = """\
Say what there is to train with, and what will not work here: versions, devices and their memory, each trainer of
conf/trainer, what is installed beside, disk, limits of the system, and on request some recordings.

Ends with exit code 0 where a training can run, and 1 where none can.

examples:
  telucodec doctor
  telucodec doctor --data prepared/mine       also whether these recordings can be read
  telucodec doctor --json | jq .works
"""
SIGNS = {"good": "ok", "note": "note", "bad": "NO"}
READ = 32  # recordings that are read, evenly over the list


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command to argparse."""
    parser.description = DESCRIPTION
    parser.add_argument("--data", type=Path, metavar="MANIFEST_OR_FOLDER", help="recordings to look at")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Look at everything, show it; 1 where no training can run."""
    from telucodec.training.surroundings import LOOKS, Look, survey

    looks = [*LOOKS, Look("trainers", "trainers", trainers, "bad")]
    if options.data is not None:
        looks.append(Look("data", "recordings", lambda: recordings(options.data.expanduser()), "bad"))
    found = list(survey(looks))
    works = all(finding.verdict != "bad" for finding in found)
    parts: dict[str, Sequence[Finding]] = {
        each.part: [finding for finding in found if finding.part == each.part] for each in found
    }
    if options.json:
        told: dict[str, Any] = {"works": works}
        told["parts"] = {part: [finding.plain() for finding in rows] for part, rows in parts.items()}
        sys.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    else:
        _show(parts, works)
    return 0 if works else 1


def trainers() -> Iterator["Finding"]:
    """Each trainer=..., with what it would run on here, or why it cannot."""
    from telucodec.build import build
    from telucodec.cli.compose import compose_config, members
    from telucodec.training.surroundings import Finding
    from telucodec.training.trainer import Device

    for name in members("trainer"):
        what = f"trainer={name}"
        try:
            device: Device = build(compose_config([what], None)["trainer"], "trainer", Device)
        except InputError as error:
            reason, _, cure = str(error).removeprefix("trainer: ").partition(": ")
            yield Finding("trainers", what, reason, "bad" if name == "auto" else "note", cure)
        else:
            processes = "1 process" if device.count == 1 else f"{device.count} processes"
            yield Finding("trainers", what, f"{processes} on {device.describe()}, {device.precision}", "good")


def recordings(path: Path) -> Iterator["Finding"]:
    """Whether recordings are there as their manifest says, and some of them can be read."""
    from telucodec.audio.files import read
    from telucodec.cli.data import read_any
    from telucodec.data.entry import SPLITS
    from telucodec.data.manifest import check_files
    from telucodec.training.surroundings import Finding

    try:
        manifest = read_any(path, Console(stderr=True))
        entries = manifest.entries
        hours = sum(entry.seconds for entry in entries) / 3600
        splits = ", ".join(f"{sum(e.split == split for e in entries)} {split}" for split in SPLITS)
        rates = ", ".join(f"{rate} Hz" for rate in sorted({entry.sample_rate for entry in entries}))
        told = f"{len(entries)} utterances ({splits}), {hours:.2f} hours, {rates}"
        yield Finding("data", "manifest", f"{manifest.path}: {told}", "good")
        check_files(manifest, entries)
        yield Finding("data", "files", "all are there, with the size that the manifest says", "good")
        chosen = entries[:: -(-len(entries) // READ)]
        for entry in chosen:
            audio, _ = read(manifest.locate(entry))
            if audio.shape[1] != entry.samples:
                lengths = f"holds {audio.shape[1]} samples, the manifest says {entry.samples}"
                raise InputError(f"{manifest.locate(entry)}: {lengths}. Run `telucodec data prepare` again.")
        yield Finding("data", "audio", f"{len(chosen)} of them were read as the manifest says", "good")
    except InputError as error:
        yield Finding("data", "error", str(error), "bad", "see there")


def _show(parts: dict[str, Sequence["Finding"]], works: bool) -> None:
    console = Console()
    for part, findings in parts.items():
        table = Table(part, "", "", title_justify="left", box=None, header_style="bold", padding=(0, 1))
        for finding in findings:
            told = f"{finding.found}. {finding.cure}" if finding.cure else finding.found
            table.add_row(escape(finding.what), SIGNS[finding.verdict], escape(told), style=_style(finding.verdict))
        console.print(table, highlight=False)
    wrong = [finding for findings in parts.values() for finding in findings if finding.verdict == "bad"]
    names = ", ".join(f"{finding.part}: {finding.what}" for finding in wrong)
    told = "A training can run here." if works else f"No training can run here as things are ({names})."
    console.print(told, highlight=False, markup=False)


def _style(verdict: str) -> str:
    return {"good": "", "note": "yellow", "bad": "red"}[verdict]
