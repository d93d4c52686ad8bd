"""What it costs to schedule a job, beyond the job itself: wall seconds of a sweep of jobs of known length.

    python benchmarks/scheduling.py [--jobs 60] [--slots 2] [--length 1.0]
    python benchmarks/scheduling.py --real 4 [--rounds 3]

A job here is a bare Python that sleeps and leaves what a run leaves. The cost of a job is what the sweep takes beyond
the jobs' own time, shared out among them, the start of a bare Python included. Composing and checking the jobs, and the
ablations of conf/ablation, have lines of their own.

With --real the jobs are runs of four steps, made in turns as launcher.warm=true and launcher.warm=false make them: the
processor seconds of all processes of the sweep but its own, and how many times as cheap it is to fork them.
"""

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from pairs import ratio, same, say, write
from rich.console import Console

from telucodec.audio.files import write as write_audio
from telucodec.cli.combinations import compose_all, name_jobs
from telucodec.cli.compose import sweep
from telucodec.study.jobs.job import Job
from telucodec.study.jobs.local import COMMAND, Local, LocalSettings
from telucodec.study.jobs.queue import Slots, run_all
from telucodec.training.record import read_rows

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
    outcomes = run_all(jobs, Local(LocalSettings(warm=False), command), Slots(slots), Console(quiet=True))
    assert {outcome.status for outcome in outcomes} == {"finished"}
    return time.monotonic() - since


TINY = (
    "data=folder", "data.valid_fraction=0.3", "data.test_fraction=0.3", "encoder.strides=[4,2]",
    "encoder.channels=[4,8]", "encoder.dilations=[[1],[1]]", "encoder.dim=8", "quantizer.n_q=2",
    "quantizer.codebook.codebook_size=16", "discriminator=[]", "loss=[l1,commitment]", "probe=[]", "max_steps=4",
    "loader.batch_size=2", "loader.segment_seconds=0.064", "loader.workers=0", "callback.validation.examples=0",
    "callback.logging.every=1", "trainer=cpu",
)  # fmt: skip


def in_turns(count: int, rounds: int, folder: Path) -> None:
    """Make as many runs forked and started, in turns; print and keep what they take."""
    rng = np.random.default_rng(0)
    for number in range(8):
        sound = (0.1 * rng.standard_normal((1, 8000))).astype(np.float32)
        write_audio(folder / "speech" / str(number) / "0.flac", sound, 16000)
    lists = [[*TINY, f"data.root={folder}/speech", f"seed={seed}"] for seed in range(count)]
    composed = compose_all(lists, None, Console(quiet=True))
    seconds: dict[bool, list[float]] = {True: [], False: []}
    learned = dict[bool, list[float]]()
    for turn in range(rounds):
        for warm in seconds:
            jobs = name_jobs(composed, folder / f"{turn}-{warm}")
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            outcomes = run_all(jobs, Local(LocalSettings(warm=warm), COMMAND), Slots(1), Console(quiet=True))
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            assert {outcome.status for outcome in outcomes} == {"finished"}, outcomes
            rows = [row for job in jobs for row in read_rows(job.folder / "metrics.jsonl")]
            learned[warm] = [row[key] for row in rows for key in ("train/loss", "val/snr") if key in row]
            seconds[warm].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
            say(f"{count} runs, {'forked' if warm else 'started'}: {seconds[warm][-1]:.1f} s of the processor")
        same("what runs learned", learned[True], learned[False], 0.0)
    found = ratio(seconds[False], seconds[True])
    say(f"forked, a sweep of {count} is {found} times as cheap")
    write("scheduling", [{"what": "forked for started", "runs": count, "ratio": found}])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--slots", type=int, default=2, help="jobs at a time")
    parser.add_argument("--length", type=float, default=1.0, help="seconds a job")
    parser.add_argument("--real", type=int, default=0, metavar="N", help="make N short runs, forked and started")
    parser.add_argument("--rounds", type=int, default=3, help="of --real: how often each")
    options = parser.parse_args()
    quiet = Console(quiet=True)
    with tempfile.TemporaryDirectory() as folder:
        if options.real:
            in_turns(options.real, options.rounds, Path(folder))
            return
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
