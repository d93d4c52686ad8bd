"""Launchers of other machines, with what of them runs on one: submitit's local executor, a Ray of one process."""

import os
import signal
import sys
import time

import pytest
from fake_runs import FakeHandle, FakeLauncher
from rich.console import Console
from test_jobs_processes import STUB, begun, children, stubs, until

from telucodec.errors import InputError
from telucodec.study.jobs.cluster import RaySettings, RayTasks, Task
from telucodec.study.jobs.job import Job, state
from telucodec.study.jobs.launcher import Handle, Launcher
from telucodec.study.jobs.local import Local, Process
from telucodec.study.jobs.queue import Slots, run_all, run_wanted
from telucodec.study.jobs.submit import Remote, Submitit, SubmititSettings, Submitted

QUIET = Console(quiet=True)


def here(**parameters):
    return SubmititSettings("local", ".slurm", 2, {"timeout_min": 5, **parameters})


def make_stop_and_make_again(launcher, root):
    """What every launcher must do: finish jobs, name a failed one, stop one that goes on later."""
    jobs = [*stubs(root, 2, 0.02), Job("bad", {"max_steps": 1, "pace": 0.0, "fails": "always"}, (), root)]
    outcomes = run_all(jobs, launcher, Slots(3), QUIET)
    assert [outcome.status for outcome in outcomes] == ["finished", "finished", "failed"]
    assert "this one always fails" in outcomes[2].message
    slow = Job("slow", {"max_steps": 40, "pace": 0.25}, (), root)
    left, told = [slow], []

    def begun(job):
        return (job.folder / "saved").exists()

    run_wanted(lambda: left.pop() if left else None, told.append, begun, launcher, Slots(1), QUIET)
    assert [outcome.status for outcome in told] == ["interrupted"]
    until(lambda: state(slow.folder).status == "interrupted")
    assert 0 < state(slow.folder).steps < 40
    again = Job("slow", {**slow.config}, (), root)
    (outcome,) = run_all([again], launcher, Slots(1), QUIET)
    assert outcome.status == "finished"
    assert state(slow.folder).steps == 40


@pytest.mark.parametrize("handle", [Process, Submitted, Task, FakeHandle])
def test_every_started_job_can_be_asked_what_the_queue_asks(handle):
    asked = [name for name in vars(Handle) if not name.startswith("_") and name != "log"]
    assert asked == ["poll", "stop", "kill"]
    assert [name for name in asked if not callable(getattr(handle, name, None))] == []


@pytest.mark.parametrize("launcher", [Local, Submitit, RayTasks, FakeLauncher])
def test_every_launcher_can_be_told_what_the_queue_tells(launcher):
    told = [name for name in vars(Launcher) if not name.startswith("_")]
    assert told == ["expect", "start"]
    assert [name for name in told if not callable(getattr(launcher, name, None))] == []


@pytest.mark.slow
def test_submitit_makes_jobs_stops_them_and_goes_on(tmp_path):
    make_stop_and_make_again(Submitit(here(), STUB), tmp_path)
    assert list((tmp_path / ".slurm").glob("*_submitted.pkl"))


@pytest.mark.slow
def test_a_job_that_must_make_room_saves_and_is_put_into_the_queue_again(tmp_path):
    (one,) = stubs(tmp_path, 1, 0.2, steps=20)
    one.write()
    launcher = Submitit(here(), STUB)
    handle = launcher.start(one, ())
    assert handle.poll() is None
    until((one.folder / "saved").exists)
    os.kill(children(handle.submitted._process)[0], signal.SIGUSR2)  # as SLURM does before it takes a node away
    while (code := handle.poll()) is None:
        time.sleep(0.1)
    assert code == 0
    first, second = (int(line.removeprefix("at ")) for line in begun(one).splitlines())
    assert 0 == first < second < 20
    assert isinstance(Remote("x", STUB).command, tuple)


def test_what_submitit_does_not_take_is_named(tmp_path):
    job = Job("a", {}, (), tmp_path)
    with pytest.raises(InputError, match=r"launcher: submitit refuses it.*gpu_per_node"):
        Submitit(here(gpu_per_node=1), STUB).start(job, ())
    with pytest.raises(InputError, match="launcher: submitit refuses it"):
        Submitit(SubmititSettings("cloud", ".slurm", 1, {}), STUB).start(job, ())


@pytest.mark.slow
def test_ray_makes_jobs_stops_them_and_goes_on(tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", ":".join(sys.path))  # its workers import what this process does
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        make_stop_and_make_again(RayTasks(RaySettings("auto", 0.3, 0.0), STUB), tmp_path)
    finally:
        ray.shutdown()


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    pytest.importorskip("ray")
    with pytest.raises(InputError, match=r"launcher\.address=.*no Ray cluster answers"):
        RayTasks(RaySettings("auto", 1.0, 0.0), STUB)
