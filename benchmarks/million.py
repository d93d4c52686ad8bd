"""A manifest of 1,000,000 files, about 1,000 hours: what the start of a run on it takes, in seconds and memory.

The recordings are a few real ones whose files are listed again and again, by whole paths. Each stage is measured in a
process of its own, which has gone through what comes before it; printed are the processor time and the clock of the
stage, and the most memory that its process had held until its end, libraries and mapped files included. A first start
has an empty cache folder (when it goes on with a list, nothing of that list in it); a later one finds what it has left.
It needs 2 GB of disk while it runs.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pairs import parser, say, write
from rich.console import Console

FIRST, LATER = "first", "later"
STAGES = (  # in this order: what a later start finds, the first one has left
    ("libraries", FIRST),
    *((stage, begun) for stage in ("read", "start", "keep the list") for begun in (FIRST, LATER)),
    *(("go on with the list", begun) for begun in (FIRST, LATER)),
)


def make(path: Path, count: int) -> None:
    """Write the manifest: each line a file of its own, by name."""
    from telucodec.data.synthesis import embedded

    manifest = embedded(Console(stderr=True))
    entries = [replace(entry, path=str(manifest.locate(entry))) for entry in manifest.entries]
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            entry = replace(entries[number % len(entries)], speaker=f"speaker {number % 2000}")
            file.write(json.dumps(asdict(entry), ensure_ascii=False) + "\n")


def stage(name: str, path: Path) -> dict[str, float]:
    """Go up to a stage, and measure that one."""
    found: dict[str, Any] = {}

    def libraries() -> None:
        import telucodec.data.module  # with torch and Lightning
        import telucodec.training.resume  # noqa: F401

    def read() -> None:
        from telucodec.data.manifest import read_manifest

        read_manifest(path)

    def prepare(begun: Path | None = None) -> None:
        from telucodec.data.level import AsRecorded
        from telucodec.data.module import SpeechData
        from telucodec.data.source import FromManifest
        from telucodec.data.subset import Subset

        source = Subset(
            source=FromManifest(manifest=str(path)), train_utterances=None, valid_utterances=64, test_utterances=None
        )
        found["data"] = SpeechData(
            source=source,
            sample_rate=16000,
            segment_seconds=0.38,
            batch_size=16,
            workers=0,
            seed=0,
            level=AsRecorded(),
            pin_memory=False,
        )
        found["data"].prepare(begun)

    def first() -> None:
        next(iter(found["data"].train_dataloader()))

    def keep() -> None:
        from telucodec.training.resume import bind_data

        found["told"] = bind_data(path.parent, found["data"].manifest)

    steps: dict[str, list[Callable[[], object]]] = {  # the first ones come before what is measured
        "libraries": [],
        "read": [libraries],
        "start": [libraries],
        "keep the list": [libraries, prepare, first],
        "go on with the list": [libraries],
    }
    measured: dict[str, list[Callable[[], object]]] = {
        "libraries": [libraries],
        "read": [read],
        "start": [prepare, first],  # read the list, check, split and order it, and read the first batch
        "keep the list": [keep],
        "go on with the list": [lambda: prepare(path.parent / "data.jsonl"), keep],
    }
    for step in steps[name]:
        step()
    clock, processor = time.monotonic(), time.process_time()
    for step in measured[name]:
        step()
    return {
        "processor_seconds": round(time.process_time() - processor, 2),
        "seconds": round(time.monotonic() - clock, 2),
        "memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }


def main() -> None:
    """Measure."""
    options = parser(__doc__ or "", 1)
    options.add_argument("--files", type=int, default=1_000_000, help="lines of the manifest (default 1,000,000)")
    options.add_argument("--stage", nargs=2, metavar=("STAGE", "MANIFEST"), help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.stage:
        sys.stdout.write(json.dumps(stage(args.stage[0], Path(args.stage[1]))) + "\n")
        return
    rows = []
    with TemporaryDirectory() as folder:
        path, kept = Path(folder) / "manifest.jsonl", Path(folder) / "data.jsonl"
        make(path, args.files)
        say(f"{args.files} files, a manifest of {path.stat().st_size / 1e6:.0f} MB")
        for name, begun in STAGES:
            if begun == FIRST and name != "go on with the list":
                shutil.rmtree(Path(folder) / "cache", ignore_errors=True)
            if name == "keep the list":
                kept.unlink(missing_ok=True)
            command = [sys.executable, __file__, "--stage", name, str(path)]
            own = os.environ | {"TELUCODEC_CACHE": str(Path(folder) / "cache")}
            told = subprocess.run(command, check=True, capture_output=True, env=own).stdout
            row = {"stage": name, "start": begun} | json.loads(told)
            rows.append(row)
            seconds = f"{row['processor_seconds']:6.2f} s of the processor, {row['seconds']:6.2f} s"
            say(f"{name:20} {begun:6} {seconds}, at most {row['memory_gb']:.2f} GB until then")
        cache = sum(file.stat().st_size for file in (Path(folder) / "cache").rglob("*") if file.is_file())
        say(f"the cache: {cache / 1e6:.0f} MB")
    write("million", rows)


if __name__ == "__main__":
    main()
