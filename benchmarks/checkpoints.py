"""What checkpoints cost: a run of the default length, with each save timed.

    python benchmarks/checkpoints.py
    python benchmarks/checkpoints.py experiment=dac_16k max_steps=50 callback.saving.every=10

A save is all that the callback does when it is due: the weights are looked at, the checkpoint and the codec written,
flushed and renamed, older ones removed.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from telucodec.cli.main import main as telucodec
from telucodec.training.callbacks.saving import Saving
from telucodec.training.checkpoint import saved

LEAST = 0.001  # seconds: what takes less was not due


def main() -> None:
    """Train, and print what the saves took of it."""
    spent, act = [], Saving.on_train_batch_end

    def timed(self: Any, *arguments: Any) -> None:
        since = time.monotonic()
        act(self, *arguments)
        spent.append(time.monotonic() - since)

    Saving.on_train_batch_end = timed  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        since = time.monotonic()
        if telucodec(["train", f"run_root={folder}", "name=timed", *sys.argv[1:]]):
            sys.exit("the run has failed")
        total = time.monotonic() - since
        (run,) = Path(folder, "timed").iterdir()
        size = max(path.stat().st_size for path in saved(run).values())
    saves = [seconds for seconds in spent if seconds > LEAST]
    sys.stdout.write(
        f"{len(saves)} of {size / 2**20:.2f} MiB: median {statistics.median(saves):.3f} s, most {max(saves):.3f} s, "
        f"in all {sum(saves):.2f} s of {total:.1f} s: {sum(saves) / total:.3%}\n"
    )


if __name__ == "__main__":
    main()
