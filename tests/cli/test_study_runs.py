"""`telucodec study run` from nothing to the page."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import TOY
from telucodec.cli.main import main

OWN = ("max_steps=", "name=", "discriminator", "adversary.start", "loss.mel", "callback.validation.every")
BASE = [override for override in TOY if not override.startswith(OWN)]
BASE += [
    "discriminator=[]",
    "loss=[l1,mse,commitment]",
    "callback.validation.every=2",
    "callback.validation.examples=1",
]


def write_study(folder: Path, **changes) -> None:
    content = {
        "question": "Does tanh matter?",
        "base": {"overrides": [*BASE, *changes.pop("data", [])]},
        "seeds": [0, 1],
        "budgets": {"full": {"steps": 100}, "tiny": {"steps": 4}},
        "metrics": ["val/snr", "val/rho"],
        "primary": "val/snr",
        "better": "higher",
        "arms": {"tanh": {"overrides": ["ablation=[tanh]"]}},
    }
    folder.mkdir(parents=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(content | changes, sort_keys=False))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_study_runs_from_nothing_to_its_page_and_never_twice(speech_folder, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    data = ["data=folder", f"data.root={speech_folder}", "data.speaker_from=parent", "data.valid_fraction=0.2"]
    arms = {
        "tanh": {"overrides": ["ablation=[tanh]"]},
        "broken": {"overrides": ["quantizer.dim=7"], "seeds": [0]},
        "wild": {"overrides": ["optimizer.lr=1e30"], "seeds": [0]},
    }
    tiny = {"full": {"steps": 100}, "tiny": {"steps": 4}}
    write_study(tmp_path / "experiments/toy", data=[*data, "data.test_fraction=0.2"], arms=arms, budgets=tiny)
    assert main(["study", "plan", "toy", "--budget", "tiny", "--measure"]) == 0
    assert capfd.readouterr().out.count("the base, tried") == 4
    assert main(["study", "run", "toy", "--budget", "tiny"]) == 1, "a run failed"
    home = tmp_path / "runs/toy/tiny"
    status = {(row["arm"], row["seed"]): row["status"] for row in table(home / "runs.csv")}
    assert status == {(arm, seed): "finished" for arm in ("base", "tanh") for seed in "01"} | {
        ("broken", "0"): "failed",
        ("wild", "0"): "diverged",
    }
    rows = table(home / "results.csv")
    assert {row["arm"] for row in rows} >= {"base", "tanh"}
    assert {row["metric"] for row in rows} == {"val/snr", "val/rho"}
    assert {row["step"] for row in rows if row["arm"] == "tanh"} >= {"2", "4"}
    page = (home / "report.html").read_text()
    assert "Does tanh matter?" in page
    for name in ("tanh", "broken", "wild"):
        assert name in page
    jobs = {json.loads(path.read_text())["label"]: path.parent for path in tmp_path.glob("runs/toy/jobs/*/job.json")}
    assert len(jobs) == 6
    paired = [json.loads((jobs[f"tanh s{seed}"] / "run.json").read_text())["paired"] for seed in (0, 1)]
    assert all(each["taken_over"] > 0 and not each["own"] for each in paired), "with the first weights of the base"
    before = {label: (folder / "run.json").stat().st_mtime_ns for label, folder in jobs.items() if label != "broken s0"}
    capfd.readouterr()
    assert main(["study", "resume", "toy", "--budget", "tiny", "--arms", "tanh"]) == 0, (
        "of what is asked nothing failed"
    )
    assert "0 runs to make" in capfd.readouterr().out
    assert {label: (jobs[label] / "run.json").stat().st_mtime_ns for label in before} == before


@pytest.mark.slow
def test_the_documents_study_runs_with_the_budget_for_trying(tmp_path):
    pytest.importorskip("espeakng_loader")
    command = [sys.executable, "-m", "telucodec.cli.main", "study", "run", "seed_documents", "--budget", "tiny"]
    command += ["--arms", "s004_before,s004"]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)
    home = tmp_path / "runs/seed_documents/tiny"
    runs = table(home / "runs.csv")
    made = [row["arm"] for row in runs if row["status"] == "finished"]
    assert sorted(made) == ["s003_before", "s004", "s004_before"], "what was asked for, and the base"
    assert {row["status"] for row in runs if row["arm"] not in made} == {"missing"}
    assert "s004_before" in (home / "report.html").read_text()
