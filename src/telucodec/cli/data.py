"""`telucodec data`: prepare recordings, look at what a manifest holds, make the embedded speech."""

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console

from telucodec.cli import pack
from telucodec.cli.recordings import levels, say, table, voices
from telucodec.data.assemble import Splits, list_refused
from telucodec.data.corpora import LAYOUTS
from telucodec.data.folder import index_folder
from telucodec.data.info import as_json, describe, draw, verify
from telucodec.data.manifest import Manifest, read_manifest
from telucodec.data.measure import Rules
from telucodec.data.prepare import Options, prepare
from telucodec.data.progress import progress_bar
from telucodec.data.synthesis import embedded

DESCRIPTION = """\
Recordings: decode them once to what training reads, look at what there is, make some where there are none.

examples:
  telucodec data prepare ~/recordings prepared/mine --language te --speaker-from parent
  telucodec data info prepared/mine --png mine.png
  telucodec data pack prepared/mine
  telucodec data embedded
"""

PREPARE_EPILOG = """\
corpora (recognised by their files, or named with --corpus):
{layouts}

what is written to DEST:
  audio/          16 kHz mono 16-bit FLAC, one for each usable recording; the level stays as it is
  manifest.jsonl  one line for each: length, speaker, language, split, level, peak, bandwidth, hash
  refused.csv     what was not usable, why, and what to do about it
  report.json     counts, hours, options, versions

Stopped at any moment (Ctrl-C, a power cut) and started again, it goes on where it was. With other options for decoding
it begins anew; other splits, speakers or languages cost nothing.

examples:
  telucodec data prepare ~/recordings prepared/mine --language te --speaker-from parent
  telucodec data prepare cv-corpus-23.0-2025-09-05/te prepared/cv --trim-db 40
  telucodec data prepare shrutilipi/telugu prepared/air --min-bandwidth 5000 --speaker-from 'Regional-([^-]+)-'
  telucodec train data=manifest data.manifest=prepared/mine/manifest.jsonl
"""

INFO_EPILOG = """\
examples:
  telucodec data info prepared/mine                    a prepared folder, or its manifest.jsonl
  telucodec data info prepared/mine --png mine.png     with histograms of level, bandwidth and duration
  telucodec data info prepared/mine --verify           reads every file and holds its hash against the manifest
  telucodec data info prepared/mine --json | jq .all   for other programs
  telucodec data info ~/wavs                           any folder of 16 kHz mono WAV or FLAC files
"""

EMBEDDED_EPILOG = """\
Train, validation and test share neither a voice nor a sentence. It is synthetic: good for seeing that training works,
and it says nothing about how a codec treats people. The cache folder is $TELUCODEC_CACHE, else the system's.

example:
  telucodec data info "$(telucodec data embedded)"
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of `telucodec data`; the chosen one is set as `run`, which gives the exit code."""
    parser.description = DESCRIPTION
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _configure_prepare(_command(commands, "prepare", "decode any folder of recordings once to what training reads"))
    _configure_info(_command(commands, "info", "show hours, speakers, levels and bandwidths of a manifest or folder"))
    pack.configure(_command(commands, "pack", "put all recordings of a manifest into one file, which is read faster"))
    command = _command(
        commands, "embedded", "make 20 minutes of synthetic Telugu speech, or find it, and print its path"
    )
    command.epilog = EMBEDDED_EPILOG
    command.set_defaults(run=run_embedded)


def run_prepare(args: argparse.Namespace) -> int:
    """Prepare a corpus, show what came of it and where it lies."""
    options = Options(
        corpus=args.corpus,
        rules=Rules(
            min_seconds=args.min_seconds,
            min_bandwidth_hz=args.min_bandwidth,
            trim_db=args.trim_db,
            sample_rate=args.sample_rate,
        ),
        splits=Splits(args.valid, args.test, args.seed),
        language=args.language,
        speaker_from=args.speaker_from,
        workers=args.workers,
    )
    made = prepare(args.source.expanduser(), args.dest.expanduser(), options, Console(stderr=True))
    console = Console()
    console.print(table(describe(made.manifest), f"{made.report['options']['corpus']}: {args.source}"))
    if made.refused:
        kinds = ", ".join(f"{count} {kind}" for kind, count in made.report["refused"].items())
        say(console, f"refused {len(made.refused)} of {made.report['found']} recordings: {kinds}")
    if scaled := made.report["scaled_down"]["files"]:
        say(console, f"scaled down {scaled} recordings whose peak was beyond full scale")
    for note in made.report["notes"]:
        say(console, f"note: {note}.")
    folder = made.manifest.path.parent
    for name in ("manifest.jsonl", "refused.csv", "report.json"):
        say(console, f"wrote {folder / name}")
    say(console, f"train on it: telucodec train data=manifest data.manifest={made.manifest.path}")
    return 0


def run_info(args: argparse.Namespace) -> int:
    """Show a manifest; 1 when --verify finds files that are missing or changed."""
    console, progress = Console(), Console(stderr=True)
    manifest = read_any(args.manifest.expanduser(), progress)
    described = describe(manifest)
    if args.json:
        json.dump(as_json(described), sys.stdout, ensure_ascii=False, indent=2)
        sys.stdout.write("\n")
    else:
        console.print(table(described, str(manifest.path)))
        console.print(levels(described))
        say(console, voices(described["all"]))
    told = progress if args.json else console  # --json leaves standard output to the object
    if args.png:
        draw(manifest, args.png)
        say(told, f"wrote {args.png}")
    if not args.verify:
        return 0
    with progress_bar(progress) as bar:
        task = bar.add_task("reading", total=len(manifest.entries), note="")
        wrong = verify(manifest, lambda done: bar.update(task, completed=done))
    for line in wrong:
        say(told, line)
    cure = ". Put them back, or run `telucodec data prepare` again." if wrong else ""
    say(told, f"{len(wrong)} of {len(manifest.entries)} files are missing or changed{cure}")
    return 1 if wrong else 0


def run_embedded(args: argparse.Namespace) -> int:
    """Make or find the embedded set and print the path of its manifest."""
    sys.stdout.write(f"{embedded(Console(stderr=True)).path}\n")
    return 0


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, about: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=about,
        description=f"{about[0].upper()}{about[1:]}.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _configure_prepare(command: argparse.ArgumentParser) -> None:
    layouts = "\n".join(f"  {name:13} {layout.about}" for name, layout in LAYOUTS.items())
    command.epilog = PREPARE_EPILOG.format(layouts=layouts)
    add = command.add_argument
    add("source", type=Path, metavar="SOURCE", help="folder with WAV, FLAC, OGG, MP3 or Opus files")
    add("dest", type=Path, metavar="DEST", help="folder for the result: new, or of an earlier preparation")
    add("--corpus", default="auto", metavar="NAME", help="how SOURCE is laid out, see below (default: recognise it)")
    add("--language", metavar="CODE", help="ISO 639 code such as te, for recordings whose corpus tells none")
    add(
        "--speaker-from",
        metavar="RULE",
        help="where a bare folder tells the speaker: 'parent' (name of the file's folder) or a regular expression with "
        "one group, searched in the path below SOURCE",
    )
    add("--min-seconds", type=float, default=0.3, metavar="S", help="refuse shorter recordings (default: 0.3)")
    add(
        "--min-bandwidth",
        type=float,
        metavar="HZ",
        help="refuse narrower ones; 5000 sorts out telephones (default: keep)",
    )
    add(
        "--trim-db", type=float, metavar="DB", help="cut silence at both ends, so far below the loudest (default: keep)"
    )
    add("--sample-rate", type=int, default=16000, metavar="HZ", help="of the result (default: 16000)")
    add("--valid", type=float, default=0.05, metavar="PART", help="part of the duration to validate on (default: 0.05)")
    add("--test", type=float, default=0.05, metavar="PART", help="part of the duration to test on (default: 0.05)")
    add("--seed", type=int, default=0, help="of the splits; another one draws other speakers (default: 0)")
    add("--workers", type=int, metavar="N", help="processes; 0: only this one (default: one for each core)")
    command.set_defaults(run=run_prepare)


def _configure_info(command: argparse.ArgumentParser) -> None:
    command.epilog = INFO_EPILOG
    add = command.add_argument
    add("manifest", type=Path, metavar="MANIFEST_OR_FOLDER", help="a manifest.jsonl, its folder, or a folder of audio")
    add("--png", type=Path, metavar="FILE", help="draw the distributions to a picture")
    add("--json", action="store_true", help="print one JSON object instead of tables")
    add("--verify", action="store_true", help="read every file and hold its hash against the manifest")
    command.set_defaults(run=run_info)


def read_any(path: Path, console: Console, sample_rate: int = 16000) -> Manifest:
    """A manifest by its own path, by its folder's, or made of a bare folder."""
    if not path.is_dir():
        return read_manifest(path)
    if (path / "manifest.jsonl").exists():
        return read_manifest(path / "manifest.jsonl")
    indexed = index_folder(path, console, rules=Rules(sample_rate=sample_rate))
    if indexed.refused:
        say(console, f"set aside {len(indexed.refused)} files:\n{list_refused(indexed.refused)}")
    return indexed.manifest
