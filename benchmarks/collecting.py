"""Seconds to collect and to compare a hundred runs that nobody trained, of unequal length.

    python benchmarks/collecting.py

25 arms of 4 seeds with the default configuration: 40 to 80 rows of 200 keys, and 5 to 9 validations of 16 utterances
with 30 figures each. Collecting reads the folders and writes results.parquet, results.csv and runs.csv; comparing makes
the table of 12 metrics; `telucodec compare` is the whole command in a process of its own, at a step that all runs have.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import yaml

from telucodec.cli.compose import compose_config
from telucodec.study.design.study import Arm, Budget, Study
from telucodec.study.results.collected import collect
from telucodec.study.results.files import read_results, write_results
from telucodec.study.results.statistics import arm_interval, differences, values

ARMS, SEEDS, EVERY = 25, 4, 100
HEARD = [f"figure_{n:02}" for n in range(30)]
LOGGED = [f"group/{n:03}" for n in range(168)]
METRICS = ("val/snr", *(f"val/figure_{n:02}" for n in range(5)), *(f"group/{n:03}" for n in range(6)))


def write_run(folder: Path, arm: int, seed: int, config: str) -> None:
    """One run, as training leaves it."""
    rng = np.random.default_rng([arm, seed])
    validations = int(rng.integers(5, 10))
    steps, rows = EVERY * (validations - 1), int(rng.integers(40, 81))
    folder.mkdir(parents=True)
    logged = [
        {"step": int(step), "seconds": float(step)} | dict(zip(LOGGED, rng.normal(size=len(LOGGED)), strict=True))
        for step in np.linspace(0, steps, rows)
    ]
    names = ["snr", *HEARD]
    logged += [
        {"step": EVERY * n, "seconds": 1.0} | {f"val/{name}": float(rng.normal()) for name in names}
        for n in range(validations)
    ]
    heard = [
        {"step": EVERY * n, "file": f"valid/te-f2-{k:03}.flac", "speaker": "te+f2", "silent": False}
        | dict(zip(names, rng.normal(size=31) + arm / 10, strict=True))
        for n in range(validations)
        for k in range(16)
    ]
    (folder / "config.yaml").write_text(
        config.replace("seed: 0\n", f"seed: {seed}\n").replace("lr: 0.0001", f"lr: {arm}")
    )
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in logged))
    (folder / "utterances.jsonl").write_text("".join(json.dumps(row) + "\n" for row in heard))
    told = {"status": "finished", "steps": steps, "seconds": 60.0, "code": "c0de", "overrides": [f"optimizer.lr={arm}"]}
    (folder / "run.json").write_text(json.dumps(told))
    (folder / "job.json").write_text("{}")
    (folder / "summary.json").write_text(json.dumps({"evaluator": {"torch": "2.11.0"}}))


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Print how long a block took, and how long the processor was at it, in this process and its children."""
    since, before = time.perf_counter(), os.times()
    yield
    wall, worked = time.perf_counter() - since, sum(os.times()[:4]) - sum(before[:4])
    sys.stdout.write(f"{what:<40} {wall:6.2f} s, processor {worked:5.2f} s\n")


def main() -> None:
    """Make the runs, measure and print."""
    config = yaml.safe_dump(compose_config([], None))
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        names = [f"arm_{n:02}" for n in range(ARMS)]
        jobs = {(arm, seed): root / "sweep/jobs" / f"{arm}-{seed}" for arm in names for seed in range(SEEDS)}
        for (arm, seed), folder in jobs.items():
            write_run(folder, names.index(arm), seed, config)
        arms = {arm: Arm(arm, ()) for arm in names}
        seeds, budgets = tuple(range(SEEDS)), {"full": Budget(EVERY)}
        study = Study(
            "trial", root / "study", "?", (), names[0], arms, seeds, budgets, METRICS, METRICS[0], True, (), {}
        )
        with timed("collect: read"):
            collected = collect(study, jobs, None)
        with timed("collect: write"):
            written = write_results(collected, study.folder)
        with timed("compare: 12 metrics of 25 arms"):
            for metric in METRICS:
                differences(collected, metric)
                [arm_interval(values(collected.runs, arm, metric)) for arm in collected.arms]
        with timed("read results.csv and runs.csv"):
            read_results(study)
        for path in written:
            sys.stdout.write(f"{path.name:<40} {path.stat().st_size / 1e6:6.2f} MB\n")
        command = [sys.executable, "-m", "telucodec.cli.main", "compare", str(root / "sweep"), "--step", "400"]
        with timed("telucodec compare, its start included"):
            subprocess.run(
                [*command, "--metric", "val/snr", "--csv", str(root / "table.csv")], check=True, capture_output=True
            )


if __name__ == "__main__":
    main()
