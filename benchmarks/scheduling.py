"""What it costs to schedule a job, beyond the job itself: wall seconds of a sweep of jobs of known length.

    python benchmarks/scheduling.py [--jobs 60] [--slots 2] [--length 1.0]

A job here is a bare Python that sleeps and leaves what a run leaves. The cost of a job is what the sweep takes beyond
the jobs' own time, shared out among them, the start of a bare Python included. Composing and checking the jobs, and the
ablations of conf/ablation, have lines of their own.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from telucodec.cli.combinations import compose_all, name_jobs
from telucodec.cli.compose import sweep
from telucodec.study.jobs.job import Job
from telucodec.study.jobs.local import Local
from telucodec.study.jobs.queue import Slots, run_all

RUN = """
import json, sys, time
since, folder = time.monotonic(), sys.argv[1]
time.sleep({length})
open(folder + "/summary.json", "w").write("{{}}")
open(folder + "/run.json", "w").write(json.dumps({{"status": "finished", "steps": 1, "seconds": {length}}}))
"""


def timed(jobs: list[Job], length: float, slots: int) -> float:
    """Wall seconds of making all jobs."""
    command = (sys.executable, "-S", "-c", RUN.format(length=length))
    since = time.monotonic()
    outcomes = run_all(jobs, Local(command), Slots(slots), Console(quiet=True))
    assert {outcome.status for outcome in outcomes} == {"finished"}
    return time.monotonic() - since


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--slots", type=int, default=2, help="jobs at a time")
    parser.add_argument("--length", type=float, default=1.0, help="seconds a job")
    options = parser.parse_args()
    quiet = Console(quiet=True)
    with tempfile.TemporaryDirectory() as folder:
        since = time.monotonic()
        composed = compose_all([[f"seed={seed}"] for seed in range(options.jobs)], None, quiet)
        checking = time.monotonic() - since
        jobs = name_jobs(composed, Path(folder))
        every = list(sweep(["ablation=glob(*)"], None))
        since = time.monotonic()
        compose_all(every, None, quiet)
        ablations = time.monotonic() - since
        taken = timed(jobs, options.length, options.slots)
        own = options.length * -(-options.jobs // options.slots)
        cost = (taken - own) * min(options.slots, options.jobs) / options.jobs
        again = timed(jobs, options.length, options.slots)
        sys.stdout.write(
            f"{options.jobs} jobs of {options.length:g} s, {options.slots} at a time\n"
            f"  composed and checked     {checking:7.2f} s   {1000 * checking / options.jobs:6.0f} ms a job\n"
            f"  {len(every)} ablations checked    {ablations:7.2f} s   {1000 * ablations / len(every):6.0f} ms each\n"
            f"  made                     {taken:7.2f} s   {own:.2f} s of it the jobs themselves\n"
            f"  cost beyond the job                  {1000 * cost:6.0f} ms a job\n"
            f"  found finished, skipped  {again:7.2f} s   {1000 * again / options.jobs:6.0f} ms a job\n"
        )


if __name__ == "__main__":
    main()
