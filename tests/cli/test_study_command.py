"""`telucodec study`: plan, status, collect and all bad input, on runs that nobody trained."""

import argparse
import json
import shutil

import pytest
import yaml
from rich.console import Console

from known_runs import run_folder
from telucodec.cli import study as command
from telucodec.cli.compose import compose_config
from telucodec.cli.main import main
from telucodec.cli.studies.asked import Asked
from telucodec.cli.studies.kept import Kept
from telucodec.disk import holding
from telucodec.study.jobs import queue
from telucodec.study.jobs.job import LOCK
from telucodec.study.jobs.outcome import ATTEMPT, Outcome
from telucodec.study.report import figures
from telucodec.study.results.collected import collect
from telucodec.training.version import code_version

TOY = {
    "question": "Which one?",
    "base": {"overrides": ["discriminator=[]", "loss=[l1,mse,commitment]", "trainer=cpu"]},
    "seeds": [0, 1],
    "budgets": {"full": {"steps": 200}, "tiny": {"steps": 2, "seeds": [0]}},
    "metrics": ["val/snr", "val/rho"],
    "primary": "val/snr",
    "better": "higher",
    "arms": {"tanh": {"overrides": ["ablation=[tanh]"]}, "mse": {"overrides": ["loss.mse.weight=3"]}},
}


@pytest.fixture(scope="module")
def composed(tmp_path_factory):
    """The toy's arms, composed once for all tests."""
    return tmp_path_factory.mktemp("composed") / "composed.json"


@pytest.fixture
def study(tmp_path, monkeypatch, composed):
    """Writes experiments/toy/study.yaml with changes; gives what a command works with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setattr(figures, "figures", lambda found, folder: [])  # drawing them has tests of its own
    kept = tmp_path / "runs/toy/composed.json"
    kept.parent.mkdir(parents=True)
    if composed.exists():
        shutil.copy(composed, kept)

    def write(**changes):
        folder = tmp_path / "experiments" / "toy"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "study.yaml").write_text(yaml.safe_dump(TOY | changes, sort_keys=False))
        return lambda *words: asked(*words)

    yield write
    if kept.exists():
        shutil.copy(kept, composed)


def asked(*words):
    """What `telucodec study ...` works with."""
    parser = argparse.ArgumentParser()
    command.configure(parser)
    found = command.ask(parser.parse_args([*(words or ("plan", "toy"))]), Console(quiet=True))
    assert isinstance(found, Asked)
    return found


def leave(jobs, *keys, **told):
    """Runs of jobs that nobody made."""
    for key in keys or jobs:
        job = jobs[key]
        shutil.rmtree(job.folder, ignore_errors=True)
        run_folder(job.folder, job.config["seed"], job.overrides, **{"code": code_version()} | told)
        job.write()


def test_an_arm_becomes_a_job_that_its_overrides_reproduce(study):
    jobs = study(null_factor=10, learning_rates=["own", "1e-4"])().every
    for key in (("tanh", 1), ("mse@1e-4", 0), ("losses_x10", 0)):
        job = jobs[key]
        assert compose_config(job.overrides, None) == job.config
        assert job.label == f"{key[0]} s{key[1]}"
        assert job.base == jobs["base", key[1]].config, "paired with the base of its seed"
    assert jobs["base", 0].base == jobs["base", 0].config
    config = jobs["base", 0].config
    assert (config["name"], config["max_steps"], config["subset"]["test_utterances"]) == ("toy", 200, 0)
    heavier = jobs["losses_x10", 0].config
    assert {k: v["weight"] / config["loss"][k]["weight"] for k, v in heavier["loss"].items()} == dict.fromkeys(
        config["loss"], pytest.approx(10)
    )
    clips = [each["training"]["players"]["codec"]["clip_norm"] for each in (config, heavier)]
    assert clips == [1.0, 10.0], "or the clip would undo it"
    shown = {"output", "loss.l1.weight", "loss.mse.weight", "loss.commitment.weight", "optimizer.lr"}
    assert set(jobs["tanh", 0].shown) == shown | {"training.players.codec.clip_norm", "seed"}


def test_an_arm_of_an_arm_begins_with_the_weights_of_the_end_of_its_chain(study):
    arms = TOY["arms"] | {"slow": {"overrides": ["optimizer.lr=1e-5"], "against": "mse"}}
    jobs = study(arms=arms)().every
    assert jobs["slow", 1].base == jobs["base", 1].config


def test_copies_at_the_rate_that_an_arm_has_anyway_are_made_once(study, capsys):
    toy = study(learning_rates=["own", "2e-3"])  # which is the default's
    jobs = toy().every
    assert jobs["mse", 0].identity == jobs["mse@2e-3", 0].identity
    assert len({job.identity for job in jobs.values()}) == 6
    assert main(["study", "plan", "toy"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "6 runs to make, 1200 steps" in told
    assert "6 runs are also another arm's and are made once" in told


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"metrics": ["val/snrr", "val/snr"]}, ["no run has the metric val/snrr", "val/snr"]),
        ({"arms": {"tan": {"overrides": ["ablation=[tan]"]}}}, ["arm tan: there is no overlay tan", "tanh"]),
        (
            {"arms": {"a": {"overrides": ["optimiser.lr=1"]}}},
            ["arm a: optimiser.lr: there is no such key", "optimizer.lr"],
        ),
        ({"arms": {"a": {"overrides": ["encoder=seanett"]}}}, ["arm a: encoder=seanett: there is no such choice"]),
        ({"arms": {"a": {"overrides": ["loss.mse.weight=much"]}}}, ["arm a: loss.mse.weight", "much"]),
        ({"arms": {"a": {"overrides": ["ablation=[tanh,clamp]"]}}}, ["arm a:", "'tanh'", "'clamp'", "contradict"]),
        (
            {"arms": {"a": {"overrides": ["ablation=[feature_double]"]}}},
            ["arm a: loss.feature: names no class"],
        ),
        (
            {"arms": {"a": {"overrides": ["loss.mse.weight=3"]}, "b": {"overrides": ["loss.mse.weight=3.0"]}}},
            ["arms a and b are the same run"],
        ),
        ({"arms": {"a": {}}}, ["arms base and a are the same run"]),
    ],
)
def test_an_arm_that_makes_no_sense_is_named(study, capsys, changes, parts):
    study(**changes)
    assert main(["study", "plan", "toy"]) == 2
    told = capsys.readouterr().err
    assert [part for part in parts if part not in told] == [], told


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["plan", "toyy"], ["there is no experiments/toyy/study.yaml", "Did you mean 'toy'"]),
        (["plan", "toy", "--budget", "ful"], ["--budget ful", "Did you mean 'full'"]),
        (["plan", "toy", "--arms", "tan"], ["--arms tan", "Did you mean 'tanh'"]),
        (["plan", "toy", "--seeds", "7"], ["--seeds 7: budget full of toy has the seeds 0, 1"]),
        (["plan", "toy", "--seeds", "a"], ["--seeds a: must be whole numbers"]),
        (["plan", "toy", "--price", "dear"], ["--price dear: must be the price of an hour"]),
        (["plan", "toy", "optimizer.lr=1"], ["optimizer.lr=1", "study.yaml"]),
        (["plan", "toy", "--jobs", "0"], ["jobs must be >= 1"]),
        (["collect", "toy"], ["no run of budget full has come to its end", "telucodec study run toy"]),
        (["report", "toy"], ["no run of budget full has come to its end"]),
    ],
)
def test_what_is_asked_wrongly_is_said(study, capsys, words, parts):
    study()
    assert main(["study", *words]) == 2
    told = capsys.readouterr().err
    assert [part for part in parts if part not in told] == [], told


def test_a_plan_adds_up(study, capsys):
    jobs = study()().every
    leave(jobs, ("base", 0), ("tanh", 0), steps=200)  # 20 s each
    (jobs["base", 0].folder / "run.json").write_text(
        json.dumps({"status": "finished", "steps": 200, "seconds": 40.0, "started": "2026-11-20T00:00:00+00:00"})
    )
    assert main(["study", "plan", "toy", "--price", "3.6/h", "--currency", "EUR", "sweep.jobs=2"]) == 0
    told = capsys.readouterr().out
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in told.splitlines() if "│" in line]
    rows = {line[0]: line[1:] for line in lines}
    assert rows["base"] == ["2", "1", "1", "200", "40 s", "40 s", "its runs"]
    assert rows["mse"] == ["2", "0", "2", "200", "30 s", "60 s", "other arms"], "their mean"
    # 40 s of base, 20 s of tanh, 2 x 30 s of mse: 120 s, at two a time 60 s, an hour of which is 3.6
    assert "4 runs to make, 800 steps, 2 min of computing, 60 s with 2 at a time: 0.06 EUR." in told


def test_a_plan_without_anything_to_go_by_says_so(study, capsys):
    jobs = study()().every
    leave(jobs, ("base", 0), steps=50)  # a quarter of the steps: mostly start-up
    assert main(["study", "plan", "toy", "--arms", "tanh", "--seeds", "1"]) == 0
    assert "2 runs to make, 400 steps, unknown of computing" in capsys.readouterr().out


def test_status_tells_all_arms_and_seeds(study, capsys):
    jobs = study()().every
    leave(jobs, ("base", 0))
    leave(jobs, ("base", 1), status="diverged", steps=100)
    leave(jobs, ("tanh", 0), status="running", steps=100)  # and nobody holds its lock
    jobs["tanh", 1].write()
    (jobs["tanh", 1].folder / "log.txt").write_text("no such file\n")
    leave(jobs, ("mse", 0), status="running", steps=50)
    with holding(jobs["mse", 0].folder / ".lock"):
        assert main(["study", "status", "toy"]) == 0
    told = capsys.readouterr().out
    lines = [line.split("│")[1:-1] for line in told.splitlines() if "│" in line]
    assert [[cell.strip() for cell in line] for line in lines] == [
        ["base", "finished", "diverged"], ["tanh", "interrupted 50%", "failed"], ["mse", "running 25%", "missing"],
    ]  # fmt: skip
    assert "1 finished, 1 diverged, 1 interrupted, 1 failed, 1 running, 1 missing" in told
    assert f"tanh, seed 1: failed: {jobs['tanh', 1].folder.relative_to('.')}/log.txt" in told.replace("\n", "")


def test_a_job_that_is_only_starting_has_not_failed(study, capsys):
    toy = study()()
    jobs = toy.every
    for key in (("base", 0), ("tanh", 0)):
        jobs[key].write()
        (jobs[key].folder / "log.txt").write_text(f"{ATTEMPT}2026-11-20T00:00:00\n")
    with holding(jobs["tanh", 0].folder / LOCK):
        assert main(["study", "status", "toy"]) == 0
        found = collect(toy.whole, {key: job.folder for key, job in jobs.items()}, None)
    assert "5 missing, 1 running" in capsys.readouterr().out
    assert found.failed == [("tanh", 0, "running at step 0")]
    assert ("base", 0) in found.missing


def test_a_missing_seed_and_a_diverged_arm_stay_in_the_results(study, capsys, tmp_path):
    jobs = study()().every
    leave(jobs, ("base", 0), ("base", 1), ("tanh", 0))
    leave(jobs, ("mse", 0), status="diverged", steps=100)
    assert main(["study", "collect", "toy"]) == 0
    told = capsys.readouterr().out
    assert "4 runs collected, 2 missing, 1 did not end" in told
    rows = (tmp_path / "experiments/toy/runs.csv").read_text()
    assert "tanh,1,missing" in rows.replace('"', "")
    assert "mse,0,diverged" in rows.replace('"', "")


def test_results_of_another_base_are_moved_aside_and_the_change_is_said(study, capsys, tmp_path):
    home = tmp_path / "experiments/toy"
    leave(study()().every)
    assert main(["study", "collect", "toy"]) == 0
    before = (home / "results.csv").read_bytes()
    slower = [*TOY["base"]["overrides"], "optimizer.lr=1e-3"]
    jobs = study(base={"overrides": slower})().every
    capsys.readouterr()
    assert main(["study", "plan", "toy"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "results.csv is of another base or code (optimizer.lr: 0.002 -> 0.001)" in told
    assert "6 runs of this length in runs/toy are of an older base" in told
    assert main(["study", "collect", "toy"]) == 2, "nothing of the new base is there"
    assert (home / "results.csv").read_bytes() == before
    leave(jobs, ("base", 0))
    assert main(["study", "collect", "toy"]) == 0
    (aside,) = home.glob("older_*")
    assert (aside / "results.csv").read_bytes() == before
    assert (home / "results.csv").read_bytes() != before


def test_runs_of_other_code_are_kept_apart_and_can_be_chosen(study, capsys):
    jobs = study()().every
    leave(jobs, ("base", 0), ("tanh", 0), code="0ldc0de")
    for key in (("base", 0), ("tanh", 0)):  # where that code would have put it
        job, older = jobs[key], jobs[key].folder.with_name(f"older{key[0]}")
        told = json.loads((job.folder / "job.json").read_text()) | {"code": "0ldc0de"}
        (job.folder / "job.json").write_text(json.dumps(told))
        job.folder.rename(older)
    assert main(["study", "status", "toy"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "6 missing" in told
    assert f"2 runs of this study are of code 0ldc0de (now: {code_version()}) and kept apart" in told
    assert main(["study", "collect", "toy"]) == 2
    assert "There are runs of code 0ldc0de: choose with --code." in capsys.readouterr().err
    assert main(["study", "collect", "toy", "--code", "0ldc0de"]) == 0
    assert "2 runs collected, 4 missing" in capsys.readouterr().out
    assert main(["study", "status", "toy", "--code", "0ldc0de"]) == 0
    assert "2 finished, 4 missing" in capsys.readouterr().out


def test_collected_runs_that_are_gone_are_not_dropped_silently(study, capsys, tmp_path):
    jobs = study()().every
    leave(jobs)
    assert main(["study", "collect", "toy"]) == 0
    shutil.rmtree(jobs["tanh", 1].folder)
    assert main(["study", "collect", "toy"]) == 2
    assert "1 runs that are not here (tanh s1" in capsys.readouterr().err
    assert main(["study", "collect", "toy", "--drop"]) == 0
    assert "5 runs collected" in capsys.readouterr().out


def test_a_budget_for_trying_leaves_the_committed_results_alone(study, tmp_path):
    jobs = study()("plan", "toy", "--budget", "tiny").every
    assert list(jobs) == [("base", 0), ("tanh", 0), ("mse", 0)]
    leave(jobs, steps=2)
    assert main(["study", "collect", "toy", "--budget", "tiny"]) == 0
    assert (tmp_path / "runs/toy/tiny/results.csv").exists()
    assert [path.name for path in (tmp_path / "experiments/toy").iterdir()] == ["study.yaml"]


def test_ctrl_c_says_how_to_go_on(study, capsys, monkeypatch):
    study()

    def stopped(jobs, launcher, slots, console):
        assert [job.label for job in jobs] == ["base s1", "mse s1"]
        assert slots.at_once == 3
        return [Outcome(job, "interrupted", 0.0, "", job.folder / "log.txt") for job in jobs]

    monkeypatch.setattr(queue, "run_all", stopped)
    monkeypatch.setattr("sys.argv", ["telucodec", "study", "run", "toy"])
    assert main(["study", "run", "toy", "--arms", "mse", "--seeds", "1", "--jobs", "3"]) == 130
    told = capsys.readouterr().out
    assert "stopped with 2 runs to go" in told
    assert "telucodec study run toy" in told


def test_a_budget_for_trying_has_a_tensorboard_of_its_own(study, monkeypatch, tmp_path):
    study()
    monkeypatch.setattr(queue, "run_all", lambda jobs, *_: [Outcome(jobs[0], "interrupted", 0.0, "", tmp_path)])
    links = []
    for budget, where in (("full", "runs/toy"), ("tiny", "runs/toy/tiny")):
        assert main(["study", "run", "toy", "--budget", budget]) == 130
        links.append(sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("runs/toy/tensorboard/*/*")))
        assert any((tmp_path / where / "tensorboard").glob("*base/*"))
    assert links[0] == links[1], "the full budget's links stay"


def test_what_was_composed_is_kept_until_something_changes(study, tmp_path):
    first = study()()
    path = tmp_path / "runs/toy/composed.json"
    path.unlink()
    asked()
    written = path.stat().st_mtime_ns
    assert asked().base == first.base
    assert path.stat().st_mtime_ns == written
    assert len(json.loads(path.read_text())["arms"]) == 3
    assert asked().every == first.every
    other = tmp_path / "own/loss"
    other.mkdir(parents=True)
    (other / "mine.yaml").write_text("# @package loss.mine\n")
    assert Kept(path, None).before
    assert not Kept(path, tmp_path / "own").before, "other groups, other configurations"
    path.write_text("[")
    assert not Kept(path, None).before


def test_a_factorial_study_has_a_table_of_effects(study, capsys, tmp_path):
    arms = {"tanh": TOY["arms"]["tanh"], "mse": TOY["arms"]["mse"] | {"switches": ["snake"]}}
    arms["both"] = {"overrides": ["ablation=[tanh]", "loss.mse.weight=3"], "switches": ["tanh", "snake"]}
    jobs = study(arms=arms, factors=["tanh", "snake"])().every
    shifts = {"base": 0.0, "tanh": 1.0, "mse": -2.0, "both": -1.0}
    for arm, seed in jobs:
        leave(jobs, (arm, seed), shift=shifts[arm])
    assert main(["study", "collect", "toy"]) == 0
    assert "snake" in capsys.readouterr().out
    rows = (tmp_path / "experiments/toy/effects.csv").read_text().splitlines()
    assert rows[:4] == [
        "metric,effect,mean,low,high,seeds,confused_with", "val/snr,tanh,1,1,1,2,", "val/snr,snake,-2,-2,-2,2,",
        "val/snr,tanh snake,0,0,0,2,",
    ]  # fmt: skip
