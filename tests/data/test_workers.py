import os
import signal
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from telucodec.data.workers import default_workers, run_jobs
from telucodec.errors import InputError


def square(job):
    return job * job


def dies_on_seven(job):
    if job == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return job * job


def dies_once(job):
    flag, number = job
    if number == 3 and not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def cannot(job):
    raise InputError(f"{job}: no")


def slow(job):
    Path(job).write_text(str(os.getpid()))
    time.sleep(60)


def crash(job):
    return "crashed"


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_every_job_is_done_once(workers):
    assert dict(run_jobs(square, crash, range(40), workers)) == {n: n * n for n in range(40)}


def test_a_job_that_kills_its_process_is_told_and_the_rest_is_done():
    results = dict(run_jobs(dies_on_seven, crash, range(30), 2))
    assert results == {n: n * n for n in range(30)} | {7: "crashed"}


def test_a_worker_that_is_killed_from_outside_costs_nothing(tmp_path):
    jobs = [(str(tmp_path / "flag"), n) for n in range(10)]
    assert dict(run_jobs(dies_once, crash, jobs, 2)) == {job: job[1] for job in jobs}


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_of_a_job_comes_through(workers):
    with pytest.raises(InputError, match=r"\d: no"):
        list(run_jobs(cannot, crash, range(10), workers))


def test_leaving_early_does_not_wait_for_long_jobs(tmp_path):
    job = str(tmp_path / "pid")
    start = time.monotonic()

    def interrupt_when_it_runs():
        while not (Path(job).exists() and Path(job).read_text()):
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt_when_it_runs, daemon=True).start()
    with pytest.raises(KeyboardInterrupt), closing(run_jobs(slow, crash, [job], 1)) as generator:
        next(generator)
    assert time.monotonic() - start < 20
    with pytest.raises(ProcessLookupError):
        os.kill(int(Path(job).read_text()), 0)


def test_numbers_of_workers():
    assert default_workers() >= 1
    with pytest.raises(InputError, match="-1 workers"):
        list(run_jobs(square, crash, [1], -1))
