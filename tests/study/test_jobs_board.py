"""What a person sees of many jobs: read from what runs write, line by line."""

import json
from io import StringIO

import pytest
from fake_runs import FakeLauncher, console, end, job
from rich.console import Console

from telucodec.study.jobs import board as module
from telucodec.study.jobs import queue
from telucodec.study.jobs.board import Board
from telucodec.study.jobs.outcome import Outcome
from telucodec.study.jobs.progress import Following, ended_with
from telucodec.study.jobs.queue import Slots, run_all

VALIDATION = {"val/snr": 1.5, "val/rms_ratio": 0.25, "val/rho": 0.5, "val/rho_pooled": 0.1, "val/shape_share": 0.99}


def log(folder, *rows, mode="a"):
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metrics.jsonl").open(mode) as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


def row(step, **figures):
    return {"step": step, "seconds": 2.0 * step} | figures


def test_a_log_is_read_as_it_grows(tmp_path):
    path, following = tmp_path / "metrics.jsonl", Following(tmp_path / "metrics.jsonl")
    following.read()
    assert (following.step, following.rate, following.label) == (0, 0.0, ""), "there is no log yet"
    log(tmp_path, row(0, **VALIDATION), row(4, **{"loss/l1": 1.0}))
    with path.open("a") as file:
        file.write('{"step": 8, "sec')
    following.read()
    assert (following.step, following.rate, following.figures["val/snr"]) == (4, 0.5, 1.5)
    with path.open("a") as file:
        file.write('onds": 16.0, "val/snr": 3.0, "val/rho_pooled": 0.1, "val/rho": null}\n')
    following.read()
    assert (following.step, following.figures["val/snr"]) == (8, 3.0)
    assert "val/rho" not in following.figures, "it was not finite, and the old one is not the new one's"
    assert following.untrained["val/snr"] == 1.5
    assert following.label == "shape-not-learned"
    log(tmp_path, row(8, **{"gap/training_rho": 0.2}))
    following.read()
    assert following.figures["gap/training_rho"] == 0.2, "probes of a validation have rows of their own"
    path.unlink()
    log(tmp_path, row(0, **VALIDATION))
    following.read()
    assert following.step == 0, "a run that goes on begins its log anew"


def test_a_run_that_did_not_end_has_no_last_figures(tmp_path):
    assert ended_with(tmp_path) == ({}, "")
    (tmp_path / "summary.json").write_text('{"final": {"val/snr": 2.0}, "diagnosis": {"label": null}}')
    assert ended_with(tmp_path) == ({"val/snr": 2.0}, "")


def test_the_table_shows_where_each_job_is(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    jobs = [job(tmp_path, name) for name in ("old", "now", "[l1]", "later")]
    end(jobs[0], "finished", snr=9.0, rms_ratio=0.9, rho=0.9)
    screen = console()
    with Board(jobs, 1, screen) as shown:
        shown.ended(Outcome(jobs[0], "finished", 0.0, "made before", tmp_path))
        shown.starts(jobs[1], (3,))
        log(jobs[1].folder, row(0, **VALIDATION), row(4, **VALIDATION))
        clock[0] += 10  # 8 of them in training
        # 6 steps of this run and 10 of two others at 2 s each, and twice 2 s to get ready
        assert shown.seconds_left() == 26 * 2.0 + 2 * 2.0
        assert shown.summary() == "1 of 4 over, 1 running; 0:00:10 so far, about 0:00:56 left"
        screen.print(shown.table())
    rows = [line.split("│")[1:-1] for line in screen.export_text().splitlines() if "│" in line]
    assert [[cell.strip() for cell in cells] for cells in rows] == [
        ["now", "running", "4/10", "0.5", "0:00:12", "1.50", "0.250", "0.500", "shape-not-learned"],
        ["old", "finished", "5/10", "", "", "9.00", "0.900", "0.900", "healthy"],
        ["[l1]", "waiting", "0/10", "", "", "", "", "", ""],
        ["later", "waiting", "0/10", "", "", "", "", "", ""],
    ]


def test_more_jobs_than_lines_are_summed_up(tmp_path):
    jobs = [job(tmp_path, f"j{n:02}") for n in range(30)]
    shown = Board(jobs, 1, screen := console())
    shown.starts(jobs[20], ())
    screen.print(shown.table())
    told = screen.export_text()
    assert told.count("│ j") == 20 - 7 - 1
    assert "│ j20" in told
    assert "and 18 waiting" in told


def test_where_no_terminal_listens_each_event_is_a_line(tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "TICK", 0)
    jobs = [job(tmp_path, "a"), job(tmp_path, "b", ends="diverged")]
    run_all(jobs, FakeLauncher(), Slots(1, (7,)), screen := console())
    lines = [line for line in screen.export_text().splitlines() if line]
    assert lines[0] == "2 runs: 2 to begin."
    assert lines[1] == "started a on 7"
    assert lines[2].startswith("finished a: healthy (1 of 2 over; 0:00:00 so far")
    assert lines[4].startswith("diverged b (2 of 2 over")


def test_a_terminal_has_one_table_that_is_drawn_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(queue, "TICK", 0)
    monkeypatch.setattr(module, "EVERY", 0)
    screen = Console(file=StringIO(), force_terminal=True, width=100, height=20)
    run_all([job(tmp_path, "a", looks=3), job(tmp_path, "bad", ends="failed")], FakeLauncher(), Slots(1), screen)
    told = screen.file.getvalue()
    assert "0 of 2 over, 1 running" in told
    assert "failed bad:" in told
    assert "started" not in told


@pytest.mark.parametrize("lock", [".lock", ".job.lock"])
def test_a_job_at_work_elsewhere_is_said_to_be(tmp_path, lock):
    from telucodec.disk import holding

    one = job(tmp_path, "a")
    with holding(one.folder / lock):
        Board([one], 1, screen := console()).starts(one, ())
    assert "a: another process makes this run already; waiting for it" in screen.export_text()
