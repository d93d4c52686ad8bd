"""Jobs as real processes: killed at any moment, asked to stop, tied to who started them."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from rich.console import Console

from telucodec.study.jobs.job import LOCK, Job, state
from telucodec.study.jobs.local import COMMAND, Local, LocalSettings, Process
from telucodec.study.jobs.queue import Slots, run_all

STUB = (sys.executable, str(Path(__file__).with_name("stub_run.py")))
OFF = LocalSettings(warm=False)
SWEEP = """
import sys
from rich.console import Console
from telucodec.study.jobs.local import Local, LocalSettings
from telucodec.study.jobs.queue import Slots, run_all
sys.path.insert(0, {tests!r})
from test_jobs_processes import STUB, stubs
from pathlib import Path
launcher = Local(LocalSettings(warm={warm}), STUB, ["telucodec.cli.make"])
outcomes = run_all(stubs(Path({root!r}), {count}, {pace}), launcher, Slots(2), Console())
sys.exit(130 if any(outcome.status != "finished" for outcome in outcomes) else 0)
"""


def stubs(root, count, pace, steps=10):
    return [Job(f"j{n}", {"max_steps": steps, "pace": pace, "number": n}, (), root) for n in range(count)]


def sweep(root, count, pace, warm=True):
    code = SWEEP.format(tests=str(Path(__file__).parent), root=str(root), count=count, pace=pace, warm=warm)
    with (root / "sweep.txt").open("a") as out:
        return subprocess.Popen([sys.executable, "-c", code], stdout=out, stderr=out, start_new_session=True)


def begun(job):
    return (job.folder / "begun").read_text()


def children(process):
    return below(process.pid)


def below(pid):
    """The processes that one has started or forked, and those that these have."""
    try:
        own = [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it is gone
        return []
    return own + [each for one in own for each in below(one)]


def gone(pid):
    """Whether a process has ended, though its end may not have been noticed."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def until_something_runs(root):
    before = len((root / "sweep.txt").read_bytes())
    until(lambda: b"started" in (root / "sweep.txt").read_bytes()[before:])


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.slow
def test_killed_at_random_moments_no_finished_job_is_lost_or_repeated(tmp_path):
    rng, count, finished = random.Random(0), 60, dict[str, str]()
    jobs = stubs(tmp_path, count, 0.05)
    for _ in range(20):
        process = sweep(tmp_path, count, pace=0.05, warm=rng.random() < 0.5)
        if rng.random() < 0.8:  # else while it begins
            until_something_runs(tmp_path)
        time.sleep(rng.uniform(0, 1.2))
        victims = [process.pid, *(children(process) if process.poll() is None else [])]
        with suppress(ProcessLookupError):  # it has just ended
            os.kill(rng.choice(victims), signal.SIGKILL)
        time.sleep(rng.uniform(0, 0.3))
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        now = {one.label: begun(one) for one in jobs if state(one.folder).status == "finished"}
        assert {label: now.get(label) for label in finished} == finished, "lost, or begun again"
        finished = now
    assert 0 < len(finished) < count, "the kills must fall into the middle"
    assert sweep(tmp_path, count, pace=0.05).wait() == 0
    assert {one.label: begun(one) for one in jobs if one.label in finished} == finished
    for one in jobs:
        assert state(one.folder).status == "finished"
        assert "another process is at work" not in (one.folder / "log.txt").read_text(), "two on one folder"


@pytest.mark.slow
def test_jobs_stop_by_themselves_when_the_sweep_is_killed_and_go_on_from_what_they_saved(tmp_path):
    process = sweep(tmp_path, 2, pace=0.2)
    jobs = stubs(tmp_path, 2, 0.2)
    until(lambda: all((one.folder / "saved").exists() for one in jobs))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until(lambda: all(state(one.folder).status == "interrupted" for one in jobs))
    steps = [state(one.folder).steps for one in jobs]
    assert all(0 < step < 10 for step in steps)
    assert sweep(tmp_path, 2, pace=0.2).wait() == 0
    assert [state(one.folder).steps for one in jobs] == [10, 10]


@pytest.mark.slow
def test_a_job_that_another_process_makes_is_waited_for_and_not_made_again(tmp_path):
    one, two = (sweep(tmp_path, 1, pace=0.2) for _ in range(2))
    assert (one.wait(), two.wait()) == (0, 0)
    (made,) = stubs(tmp_path, 1, 0.2)
    assert begun(made) == "at 0\n"
    assert "another process makes this run" in (made.folder / "log.txt").read_text()
    assert "is finished already" in (made.folder / "log.txt").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("warm", [True, False])
def test_a_killed_job_is_a_failure_that_goes_on_the_next_time(tmp_path, warm):
    one, two = stubs(tmp_path, 2, 0.2)
    process = sweep(tmp_path, 2, 0.2, warm)
    until(lambda: (one.folder / "saved").exists() and (two.folder / "saved").exists())
    pids = children(process)
    assert len(pids) == (3 if warm else 2), "what forks, and the jobs"
    os.kill(pids[-1], signal.SIGKILL)
    assert process.wait() == 130
    assert "killed by SIGKILL" in (tmp_path / "sweep.txt").read_text()
    assert sorted(state(each.folder).status for each in (one, two)) == ["finished", "interrupted"]
    assert sweep(tmp_path, 2, 0.2, warm).wait() == 0


@pytest.mark.slow
def test_jobs_go_on_when_what_forked_them_is_killed_and_those_to_come_are_forked_by_another(tmp_path):
    jobs = stubs(tmp_path, 4, 0.1)
    process = sweep(tmp_path, 4, 0.1)
    until(lambda: all((one.folder / "saved").exists() for one in jobs[:2]))
    os.kill(children(process)[0], signal.SIGKILL)
    assert process.wait() == 0
    assert [begun(one) for one in jobs] == ["at 0\n"] * 4
    assert "was killed by SIGKILL: another takes its place" in (tmp_path / "sweep.txt").read_text()


@pytest.mark.slow
def test_ctrl_c_reaches_only_the_sweep_which_asks_its_jobs(tmp_path):
    process = sweep(tmp_path, 3, pace=0.2)
    jobs = stubs(tmp_path, 3, 0.2)
    until(lambda: all((one.folder / "saved").exists() for one in jobs[:2]))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait() == 130
    assert [state(one.folder).status for one in jobs] == ["interrupted", "interrupted", "waiting"]
    assert sweep(tmp_path, 3, pace=0.2).wait() == 0


@pytest.mark.slow
def test_a_process_sees_the_devices_that_it_was_given_and_nothing_that_it_starts_outlives_it(tmp_path):
    code = "import os, subprocess, sys; subprocess.Popen(['sleep', '60']); print(os.environ['CUDA_VISIBLE_DEVICES'])"
    process = Process(tmp_path, (3, 5), (sys.executable, "-c", code))
    group = process.process.pid
    assert process.wait() == 0
    assert process.log.read_text().splitlines()[-1] == "3,5"
    until(lambda: not alive(group))


def alive(group):
    """Whether a process of a group still runs; what is dead and not yet collected does not count."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False


def test_the_command_is_one_that_a_run_of_many_devices_can_start_again():
    assert (sys.executable, "-m", "telucodec.cli.main", "train", "--job") == COMMAND
    assert Local(OFF).command == COMMAND


@pytest.mark.slow
def test_a_job_at_work_is_locked_until_it_ends(tmp_path):
    from telucodec.disk import is_held

    (one,) = stubs(tmp_path, 1, 0.1)
    one.write()
    process = Local(OFF, STUB).start(one, ())
    until(lambda: is_held(one.folder / LOCK))
    process.stop()
    process.stop()
    assert process.wait() == 130
    assert not is_held(one.folder / LOCK)
    outcomes = run_all([one], Local(OFF, STUB), Slots(1), Console(quiet=True))
    assert outcomes[0].status == "finished"
    assert json.loads((one.folder / "job.json").read_text())["label"] == "j0"
