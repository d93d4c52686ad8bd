"""`telucodec data pack`: all recordings of a manifest in one file."""

import argparse
import shlex
from pathlib import Path
from time import monotonic

import numpy as np
from rich.console import Console
from rich.table import Table

from telucodec.cli.recordings import say
from telucodec.data.columns import numbers
from telucodec.data.manifest import Manifest, read_manifest
from telucodec.data.pack import pack_path, packed
from telucodec.data.packing import verify_pack, write_pack
from telucodec.data.progress import progress_bar

EPILOG = """\
One file of 16-bit samples, about twice as large as FLAC: a crop of it costs a hundredth of what it costs from a FLAC
file. Training hears the same crops in the same order, bit for bit. A pack pays where the processor has no time to
decode, or the disk none to look for files: a GPU that waits, a network disk (put DEST on a local one).

A pack that is up to date is left as it is; a stopped one begins anew. When the manifest changes, training refuses the
pack and says so, and packing again replaces it. DEST is a file, never a folder; any other file there, and a pack of
another manifest, is never written over: remove it first.

examples:
  telucodec data pack prepared/mine
  telucodec data pack prepared/mine /local/mine.pack
  telucodec data pack prepared/mine --verify           reads the pack and holds every recording against its checksum
  telucodec train data=pack data.manifest=prepared/mine
  telucodec train data=pack data.manifest=prepared/mine data.pack=/local/mine.pack
"""


def configure(command: argparse.ArgumentParser) -> None:
    """Add the arguments of `telucodec data pack`."""
    command.epilog = EPILOG
    add = command.add_argument
    add("manifest", type=Path, metavar="MANIFEST", help="a manifest.jsonl, or the folder that holds it")
    add("dest", type=Path, nargs="?", metavar="DEST", help="the pack, a file (default: beside the manifest, NAME.pack)")
    add("--verify", action="store_true", help="read the whole pack, made before or now, and hold it against checksums")
    command.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make a pack, or leave one that is up to date; 1 when --verify finds damage."""
    console, progress = Console(), Console(stderr=True)
    given = args.manifest.expanduser()
    manifest = read_manifest(given / "manifest.jsonl" if given.is_dir() else given)
    path = args.dest.expanduser() if args.dest else pack_path(manifest)
    since = monotonic()
    with progress_bar(progress) as bar:
        task = bar.add_task("packing", total=len(manifest.entries), note="")
        written = write_pack(manifest, path, lambda done: bar.update(task, completed=done))
        bar.update(task, visible=written)
    console.print(_table(manifest, path, monotonic() - since if written else None))
    where = [] if path == pack_path(manifest) else [_override("data.pack", path)]
    words = ["telucodec", "train", "data=pack", _override("data.manifest", manifest.path), *where]
    say(console, f"train on it: {shlex.join(words)}")
    return _verify(manifest, path, console, progress) if args.verify else 0


def _override(key: str, path: Path) -> str:
    """An override that gives a path as it is: Hydra has words of its own for commas, equal signs and the like."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Quote, QuotedString
    from hydra.errors import OverrideParseException

    text = str(path).replace("${", r"\${")
    try:
        (plain,) = OverridesParser.create().parse_overrides([f"{key}={text}"])
        if plain.value() == text:
            return f"{key}={text}"
    except OverrideParseException:
        pass
    return f"{key}={QuotedString(text, Quote.single).with_quotes()}"


def _verify(manifest: Manifest, path: Path, console: Console, progress: Console) -> int:
    manifest = packed(manifest, path)
    assert manifest.pack is not None
    with progress_bar(progress) as bar:
        task = bar.add_task("verifying", total=len(manifest.entries), note="")
        wrong = verify_pack(manifest.pack, lambda done: bar.update(task, completed=done))
    for row in wrong[:20]:
        say(console, f"{path}: damaged where {manifest.entries[row].path} is")
    cure = f". Remove {path}, and pack again." if wrong else ""
    say(console, f"{len(wrong)} of {len(manifest.entries)} recordings in it are damaged{cure}")
    return 1 if wrong else 0


def _table(manifest: Manifest, path: Path, seconds: float | None) -> Table:
    entries = manifest.entries
    hours = float((numbers(entries, "samples") / numbers(entries, "sample_rate")).sum()) / 3600
    made = Table(title=str(path), title_justify="left", title_style="bold")
    for name in ("utterances", "hours", "files, GB", "pack, GB", "seconds"):
        made.add_column(name, justify="right")
    sizes = (int(numbers(entries, "bytes").sum(dtype=np.float64)), path.stat().st_size)
    took = "up to date" if seconds is None else f"{seconds:.1f}"
    made.add_row(str(len(entries)), f"{hours:.2f}", *(f"{size / 1e9:.3f}" for size in sizes), took)
    return made
