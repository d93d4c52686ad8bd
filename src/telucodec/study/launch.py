"""Many runs, one process each."""

import signal
import subprocess
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table


def launch(jobs: Sequence[Sequence[str]], console: Console) -> int:
    """Run `telucodec` with each job's arguments, one after another, and say how each ended.

    A failed job is named at once and does not stop the others; Ctrl-C stops the running one and starts no more.

    Returns:
        0 if all finished, 130 if interrupted, else 1.
    """
    outcomes: list[int | None] = [None] * len(jobs)
    for number, job in enumerate(jobs):
        console.rule(f"job {number + 1} of {len(jobs)}: {' '.join(job[1:])}")
        outcomes[number] = _run(job)
        if outcomes[number] == 130:
            break
        if outcomes[number]:
            console.print(f"job {number + 1} failed with exit code {outcomes[number]}", style="red")
    table = Table("job", "overrides", "outcome")
    for number, (job, outcome) in enumerate(zip(jobs, outcomes, strict=True)):
        words = {0: "finished", None: "not started", 130: "interrupted"}
        table.add_row(str(number + 1), " ".join(job[1:]), words.get(outcome, f"failed ({outcome})"))
    console.print(table)
    return 130 if 130 in outcomes else int(any(outcomes))


def _run(job: Sequence[str]) -> int:
    process = subprocess.Popen([sys.executable, "-m", "telucodec.cli.main", *job])
    # a signal to the sweep alone reaches its job; Ctrl-C reaches both, and the job saves and ends with 130
    before = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue
    finally:
        signal.signal(signal.SIGTERM, before)
