"""A manifest of 1,000,000 files, about 1,000 hours: what the start of a run on it takes, in seconds and memory.

The recordings are a few real ones whose files are listed again and again, by whole paths. Each stage begins a process
of its own and goes through all before it; printed are the processor time and the clock of the stage, and the most
memory that its process had held until then, libraries included. It needs 1 GB of disk for as long as it runs.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pairs import say, write
from rich.console import Console

STAGES = ("libraries", "read", "prepare", "first batch", "keep the list", "go on with the list")


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
        import telucodec.data.module  # noqa: F401 (with torch and Lightning)

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

    def resumed() -> None:
        prepare(path.parent / "data.jsonl")
        keep()

    before: dict[str, list[Callable[[], None]]] = {
        "libraries": [libraries],
        "read": [libraries, read],
        "prepare": [libraries, prepare],
        "first batch": [libraries, prepare, first],
        "keep the list": [libraries, prepare, first, keep],
        "go on with the list": [libraries, resumed],
    }
    *earlier, last = before[name]
    for step in earlier:
        step()
    clock, processor = time.monotonic(), time.process_time()
    last()
    return {
        "processor_seconds": round(time.process_time() - processor, 2),
        "seconds": round(time.monotonic() - clock, 2),
        "memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1_000_000, help="lines of the manifest (default 1,000,000)")
    parser.add_argument("--stage", nargs=2, metavar=("STAGE", "MANIFEST"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.stage:
        sys.stdout.write(json.dumps(stage(args.stage[0], Path(args.stage[1]))) + "\n")
        return
    rows = []
    with TemporaryDirectory() as folder:
        path = Path(folder) / "manifest.jsonl"
        make(path, args.files)
        say(f"{args.files} files, a manifest of {path.stat().st_size / 1e6:.0f} MB")
        for name in STAGES:
            command = [sys.executable, __file__, "--stage", name, str(path)]
            row = {"stage": name} | json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            rows.append(row)
            told = f"{row['processor_seconds']:6.2f} s of the processor, {row['seconds']:6.2f} s"
            say(f"{name:22} {told}, at most {row['memory_gb']:.2f} GB until then")
    write("million", rows)


if __name__ == "__main__":
    main()
