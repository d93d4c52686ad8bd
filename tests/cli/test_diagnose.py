import json
import math

import pytest

from conftest import PROBES
from telucodec.cli.compose import compose_config
from telucodec.cli.main import main
from telucodec.diagnosis.label import LABELS
from telucodec.training.record import read_rows
from telucodec.training.verdict import path, validations, verdict

PROBED = ("gap/training_rho", "sweep/all/best_gain", "bypass/rho", "oracle/encoded_rho", "val/loss")


def test_a_run_is_diagnosed_from_its_folder(train, capsys):
    code, folder = train(PROBES)
    assert code == 0
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["diagnosis"]["label"] in LABELS
    told = capsys.readouterr().out
    assert f"diagnosis: {summary['diagnosis']['label']}" in told
    assert main(["diagnose", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["diagnosis"] == summary["diagnosis"]
    assert [row["step"] for row in found["validations"]] == [0, 3, 6]
    assert (folder / "diagnosis/plane.png").stat().st_size > 5000
    assert {"plane.png", "gain_sweep.png"} <= {file.name for file in (folder / "pictures").iterdir()}
    assert all(math.isfinite(found["figures"][key]) for key in PROBED)
    assert main(["diagnose", str(folder)]) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("by loudness", "by band", "first:", summary["diagnosis"]["label"]))


def test_a_stored_codec_is_questioned_anew_and_answers_as_it_did(train, capsys):
    _, folder = train(PROBES)
    capsys.readouterr()
    rows = validations(read_rows(folder / "metrics.jsonl"))
    assert main(["diagnose", str(folder), "--probe", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    again, before = found["figures"], rows[6]
    for key in ("val/rho_pooled", "val/snr", *PROBED):
        assert again[key] == pytest.approx(before[key], rel=1e-5, abs=1e-6)
    assert any(key.startswith("gradient_share/encoded/") for key in again)
    assert {"plane.png", "gain_sweep.png", "gradients.png"} <= {p.name for p in (folder / "diagnosis").iterdir()}


def test_the_path_is_that_of_the_validations(train):
    _, folder = train()
    rows = validations(read_rows(folder / "metrics.jsonl"))
    assert [point.step for point in path(rows)] == [0, 3, 6]
    found = verdict(rows, 6)
    assert "overfit" in found.unexamined
    assert verdict(rows, 0).label != "healthy"


def test_without_a_validation_there_is_nothing_to_say(train, capsys):
    _, folder = train()
    kept = [line for line in (folder / "metrics.jsonl").read_text().splitlines() if '"val/snr"' not in line]
    (folder / "metrics.jsonl").write_text("\n".join(kept) + "\n")
    assert main(["diagnose", str(folder)]) == 2
    assert "has no validation yet" in capsys.readouterr().err


def spoil(folder, steps):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for row in rows:
        row |= {"val/rho_pooled": None} if "val/rho_pooled" in row and row["step"] in steps else {}
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_a_run_that_diverged_is_explained_up_to_there(train, capsys):
    _, folder = train()
    spoil(folder, {6})
    assert main(["diagnose", str(folder)]) == 0
    told = capsys.readouterr().out
    assert "step 6: val/rho_pooled is nan" in told
    assert "step 3: " in told
    spoil(folder, {0, 3, 6})
    assert main(["diagnose", str(folder)]) == 2
    assert "val/rho_pooled is nan" in capsys.readouterr().err


def test_a_run_of_an_older_version_is_sent_to_the_probe(train, capsys):
    _, folder = train()
    text = (folder / "metrics.jsonl").read_text().replace("_pooled", "_otherwise")
    (folder / "metrics.jsonl").write_text(text)
    assert main(["diagnose", str(folder)]) == 2
    assert "was not recorded: by an older version" in capsys.readouterr().err


def test_two_figures_are_read_together(capsys):
    assert main(["diagnose", "--snr", "-0.11", "--rms-ratio", "0.159", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rho"] == -0.0012
    assert main(["diagnose", "--snr", "-8.05", "--rms-ratio", "0.548"]) == 0
    assert "No pair of signals" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give a run folder"),
        (["--snr", "3"], "or both --snr and --rms-ratio"),
        (["runs/x", "--snr", "3", "--rms-ratio", "1"], "either a run folder"),
        (["runs/x", "--snr", "3"], "either a run folder"),
        (["--snr", "3", "--rms-ratio", "1", "--probe"], "either a run folder"),
        (["--snr", "nan", "--rms-ratio", "1"], "finite"),
        (["--snr", "0", "--rms-ratio", "0"], "> 0"),
        (["."], "is no run folder"),
    ],
)
def test_bad_input_is_named(words, told, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["diagnose", *words]) == 2
    assert told in capsys.readouterr().err


def test_the_tests_ask_what_the_default_asks():
    assert list(compose_config([PROBES], None)["probe"]) == list(compose_config([], None)["probe"])
