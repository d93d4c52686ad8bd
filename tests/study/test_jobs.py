"""Many jobs: which are made, how many at a time, on which devices, and what a failure or a signal does."""

import json
import os
import signal

import pytest
from fake_runs import FakeLauncher, console, end, job

from telucodec.errors import InputError
from telucodec.study.jobs import queue
from telucodec.study.jobs.job import Job, essence, read_job, state
from telucodec.study.jobs.outcome import last_lines, outcome_of
from telucodec.study.jobs.queue import Slots, run_all, run_wanted
from telucodec.study.jobs.standing import of_other_code, outcome_table, standing, write_table
from telucodec.training.version import code_version


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch):
    monkeypatch.setattr(queue, "TICK", 0)


def statuses(outcomes):
    return [outcome.status for outcome in outcomes]


def test_all_jobs_are_made_some_at_a_time_and_once(tmp_path):
    jobs = [job(tmp_path, f"j{n}", looks=1 + n % 3) for n in range(7)]
    launcher = FakeLauncher()
    outcomes = run_all(jobs, launcher, Slots(3), console())
    assert [outcome.job for outcome in outcomes] == jobs
    assert statuses(outcomes) == ["finished"] * 7
    assert launcher.most == 3
    assert launcher.expected == [7, 0], "it hears how many there are, and when there are no more"
    again, screen = FakeLauncher(), console()
    outcomes = run_all(jobs, again, Slots(3), screen)
    assert {outcome.message for outcome in outcomes} == {"made before"}
    assert again.handles == []
    assert "7 runs: 7 finished before and skipped." in screen.export_text()


def test_what_is_over_stays_and_what_is_not_is_tried_again(tmp_path):
    jobs = [job(tmp_path, word) for word in ("finished", "diverged", "interrupted", "failed", "waiting")]
    for one in jobs[:-1]:
        end(one, one.label)
    launcher = FakeLauncher()
    outcomes = run_all(jobs, launcher, Slots(1), screen := console())
    assert [handle.job.label for handle in launcher.handles] == ["interrupted", "failed", "waiting"]
    assert statuses(outcomes) == ["finished", "diverged", "finished", "finished", "finished"]
    told = " ".join(screen.export_text().split())
    assert "1 diverged before and skipped, 1 to go on from where they stopped, 1 failed before and tried again" in told


def test_the_same_run_wanted_twice_is_made_once(tmp_path):
    first, same = job(tmp_path, "a"), Job("b", job(tmp_path, "a").config | {"name": "other"}, (), tmp_path)
    launcher = FakeLauncher()
    outcomes = run_all([first, same], launcher, Slots(2), console())
    assert len(launcher.handles) == 1
    assert statuses(outcomes) == ["finished", "finished"]


def test_a_failure_is_named_with_its_log_and_does_not_stop_the_others(tmp_path):
    jobs = [job(tmp_path, "bad", ends="failed"), job(tmp_path, "good")]
    outcomes = run_all(jobs, FakeLauncher(), Slots(1), screen := console(200))
    assert statuses(outcomes) == ["failed", "finished"]
    told = screen.export_text()
    assert f"failed bad:\n    exit code 1\n    first\n    the reason\n    log: {jobs[0].folder}/log.txt" in told
    assert told.index("failed bad") < told.index("finished good")


def test_fail_fast_stops_what_runs_and_starts_no_more(tmp_path):
    jobs = [job(tmp_path, "long", looks=99), job(tmp_path, "bad", ends="failed"), job(tmp_path, "never")]
    launcher = FakeLauncher()
    outcomes = run_all(jobs, launcher, Slots(2, fail_fast=True), console())
    assert statuses(outcomes) == ["interrupted", "failed", "waiting"]
    assert launcher.handles[0].said == ["stop"]


def test_a_diverged_run_is_a_result_and_no_failure(tmp_path):
    jobs = [job(tmp_path, "wild", ends="diverged"), job(tmp_path, "tame")]
    assert statuses(run_all(jobs, FakeLauncher(), Slots(1, fail_fast=True), console())) == ["diverged", "finished"]


def test_each_job_gets_devices_of_its_own(tmp_path):
    wide = {"trainer": {"devices": 2}}
    jobs = [job(tmp_path, "a"), job(tmp_path, "b", looks=3), job(tmp_path, "wide", **wide), job(tmp_path, "c")]
    launcher = FakeLauncher()
    run_all(jobs, launcher, Slots(4, (4, 7)), console())
    assert [handle.devices for handle in launcher.handles] == [(4,), (7,), (4, 7), (4,)]
    with pytest.raises(InputError, match=r"wide: trainer.devices=2 is more than sweep.devices=\[0\]"):
        run_all(jobs, launcher, Slots(4, (0,)), console())
    launcher = FakeLauncher()
    run_all([job(tmp_path, "free")], launcher, Slots(1), console())
    assert launcher.handles[0].devices == (), "without devices a job sees them all"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_what_runs_and_keeps_the_rest_for_later(tmp_path, number):
    jobs = [job(tmp_path, f"j{n}", looks=99) for n in range(3)]

    class Pressed(FakeLauncher):
        def start(self, job, devices):
            os.kill(os.getpid(), number)
            return super().start(job, devices)

    before = signal.getsignal(number)
    launcher = Pressed()
    outcomes = run_all(jobs, launcher, Slots(1), screen := console())
    assert statuses(outcomes) == ["interrupted", "waiting", "waiting"]
    assert "Ctrl-C again ends it at once" in screen.export_text()
    assert signal.getsignal(number) is before
    assert statuses(run_all(jobs, FakeLauncher(), Slots(1), console())) == ["finished"] * 3


def test_a_second_signal_ends_what_does_not_stop(tmp_path):
    one = job(tmp_path, "deaf", looks=99)

    class Deaf(FakeLauncher):
        def start(self, job, devices):
            handle = super().start(job, devices)
            handle.stop = lambda: os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            return handle

    launcher = Deaf()
    assert statuses(run_all([one], launcher, Slots(1), console())) == ["interrupted"]
    assert launcher.handles[0].said == ["kill"]


def test_a_search_asks_for_jobs_as_it_learns_and_stops_hopeless_ones(tmp_path):
    asked, told = [], []

    def wanted():
        if len(asked) - len(told) >= 1 or len(asked) >= 3:  # one after another
            return None
        asked.append(job(tmp_path, f"trial{len(asked)}", looks=99 if len(asked) == 1 else 2))
        return asked[-1]

    launcher = FakeLauncher()
    went = run_wanted(wanted, told.append, lambda one: one.label == "trial1", launcher, Slots(2), console())
    assert went
    assert launcher.expected == [None, 0], "nobody knows how many there will be"
    assert [(outcome.job.label, outcome.status) for outcome in told] == [
        ("trial0", "finished"),
        ("trial1", "interrupted"),
        ("trial2", "finished"),
    ]


def test_a_search_is_told_of_the_job_that_waited_for_devices_when_it_was_stopped(tmp_path):
    left = [job(tmp_path, "long", looks=99), job(tmp_path, "wide", trainer={"devices": 2})]
    told, looked = [], []

    def watch(one):
        looked.append(one)
        if len(looked) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return False

    wanted = lambda: left.pop(0) if left else None  # noqa: E731
    assert not run_wanted(wanted, told.append, watch, FakeLauncher(), Slots(2, (0, 1)), console())
    assert [(outcome.job.label, outcome.status) for outcome in told] == [("long", "interrupted"), ("wide", "waiting")]


def test_what_runs_is_stopped_when_a_search_goes_wrong(tmp_path):
    left, launcher = [job(tmp_path, "long", looks=99)], FakeLauncher()

    def wanted():
        if left:
            return left.pop()
        raise InputError("no such trial")

    with pytest.raises(InputError, match="no such trial"):
        run_wanted(wanted, print, lambda _: False, launcher, Slots(2), console())
    assert launcher.handles[0].said == ["stop"]
    assert state(launcher.handles[0].job.folder).status == "interrupted"


def test_runs_of_other_code_are_counted_and_left_alone(tmp_path, monkeypatch):
    old = job(tmp_path, "a")
    old.write()
    about = json.loads((old.folder / "job.json").read_text())
    home = tmp_path / "jobs" / "0123456789ab"
    home.mkdir()
    (home / "job.json").write_text(json.dumps(about | {"code": "an older one"}))
    assert list(of_other_code([old])) == [], "it has not ended"
    (home / "summary.json").write_text("{}")
    (home / "run.json").write_text(json.dumps({"status": "finished", "steps": 1, "seconds": 1.0}))
    assert list(of_other_code([old])) == [home]
    assert list(of_other_code([job(tmp_path, "b")])) == []
    told = f"1 runs: 1 to begin. 1 finished by other code ({code_version()} runs now) are kept apart."
    assert standing([old]) == told


def test_a_folder_decides_how_a_job_came_out_and_then_its_exit_code(tmp_path):
    one = job(tmp_path, "a")
    one.write()
    log = one.folder / "log.txt"
    log.write_text("== started earlier\nold\n== started later\n" + "".join(f"line {n}\n\n" for n in range(9)))
    assert last_lines(log) == [f"line {n}" for n in range(3, 9)]
    assert outcome_of(one, 0, 1.0, False, log).status == "failed", "it left no summary"
    assert outcome_of(one, -9, 1.0, False, log).message.startswith("killed by SIGKILL\nline 3")
    assert outcome_of(one, -15, 1.0, True, log).status == "interrupted"
    assert outcome_of(one, 130, 1.0, False, log).status == "interrupted"
    end(one, "finished")
    assert outcome_of(one, -9, 1.0, True, log).status == "finished", "killed after its end"
    assert last_lines(one.folder / "none.txt") == []


def test_the_table_holds_what_differs_and_what_came_out(tmp_path):
    jobs = [job(tmp_path, "a"), job(tmp_path, "b=[c]")]
    end(jobs[0], "finished", snr=3.0, rms_ratio=0.9, rho=0.7)
    outcomes = run_all(jobs, FakeLauncher(), Slots(1), screen := console())
    write_table(outcomes, tmp_path / "sweep.csv")
    head, first, second = (tmp_path / "sweep.csv").read_text().splitlines()
    assert head == "run,status,steps,seconds,diagnosis,word,val/snr,val/rms_ratio,val/rho,folder"
    assert first == f"a,finished,5,2.0,healthy,a,3.0,0.9,0.7,{jobs[0].folder}"
    assert second.startswith("b=[c],finished,5,2.0,healthy,b=[c],,,,")
    screen.print(outcome_table(outcomes))
    told = screen.export_text()
    assert "3.00 │     0.900 │ 0.700 │ healthy" in told
    assert "│ b=[c] │ finished │" in told


def test_a_job_is_the_same_whatever_it_is_called(tmp_path):
    one = job(tmp_path, "a", seed=1)
    one.write()
    again = read_job(one.folder)
    assert (again.identity, again.label, again.overrides, again.shown) == (one.identity, "a", ("word=a",), ("word",))
    assert Job("x", {**one.config, "name": "m", "run_root": "r"}, (), tmp_path).identity == one.identity
    assert Job("a", {**one.config, "seed": 2}, (), tmp_path).identity != one.identity
    plain, profiled, other = (
        Job("a", {**one.config, "trainer": {"precision": precision, "profile": steps}}, (), tmp_path)
        for precision, steps in (("32", 0), ("32", 3), ("64", 0))
    )
    assert profiled.identity == plain.identity != other.identity
    assert essence(plain.config)["trainer"] == {"precision": "32", "profile": 0}, (
        "what is not profiled is what it was before there were profiles"
    )
    assert Job("a", one.config, (), tmp_path, base=one.config).identity != one.identity
    assert state(one.folder).status == "waiting"
    with pytest.raises(InputError, match="holds no job"):
        read_job(tmp_path)
