import json
from dataclasses import replace

import pytest
from PIL import Image

from telucodec.cli.main import main
from telucodec.diagnosis.lab.catalogue import EXPERIMENTS

QUICK = ["i1", "i4", "i9"]


def test_the_lab_writes_a_picture_of_each_and_every_number(tmp_path, capsys):
    assert main(["lab", "--out", str(tmp_path / "new"), "--only", *QUICK, "--seed", "3"]) == 0
    out = capsys.readouterr().out
    assert "largest difference" in out
    assert "10 of 10 hold" in out
    results = json.loads((tmp_path / "new/results.json").read_text())
    assert results["seed"] == 3
    assert results["holds"] is True
    assert set(results["versions"]) == {"python", "telucodec", "torch", "numpy", "scipy", "matplotlib"}
    assert list(results["experiments"]) == QUICK
    checks = results["experiments"]["i9"]["checks"]
    assert checks[0]["what"] == "commitment loss at the decoder"
    assert checks[0]["measured"] == 0
    for key in QUICK:
        path = tmp_path / f"new/{key}.png"
        assert path.stat().st_size < 60_000
        with Image.open(path) as image:
            assert image.size == (700, 400)
            assert len(image.getcolors()) > 5, "something is drawn"


def test_two_runs_write_the_same_bytes_and_another_seed_others(tmp_path, capsys):
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        assert main(["lab", "--out", str(tmp_path / name), "--only", *QUICK, "--seed", seed]) == 0
    first, second = ({p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in "ab")
    assert first == second
    assert (tmp_path / "c/results.json").read_bytes() != first["results.json"]


def test_a_prediction_that_fails_is_said_with_its_numbers_and_ends_in_1(tmp_path, capsys, monkeypatch):
    measure, draw = EXPERIMENTS["i4"]

    def off(seed):
        found = measure(seed)
        first = replace(found.checks[0], measured=found.checks[0].predicted + 0.25)
        return replace(found, checks=(first, *found.checks[1:]))

    monkeypatch.setitem(EXPERIMENTS, "i4", (off, draw))
    assert main(["lab", "--out", str(tmp_path), "--only", "i1", "i4"]) == 1
    said = capsys.readouterr()
    assert "i4: slope of MSE by the scale: measured" in said.err
    assert "off by 0.25 where 1e-06 is allowed" in said.err
    assert "i1:" not in said.err
    assert "1 of 2 hold" in said.out
    assert json.loads((tmp_path / "results.json").read_text())["holds"] is False
    assert (tmp_path / "i4.png").exists(), "the picture helps to see why"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "i11"], "--only i11: there is no such experiment. Did you mean 'i1"),
        (["--seed", "-1"], "--seed must be >= 0, got -1"),
        (["--out", "here"], "--out here: is a file"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_runs(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").write_text("")
    assert main(["lab", *words]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_all_experiments_have_a_key_of_the_page():
    assert list(EXPERIMENTS) == [*(f"i{n}" for n in range(1, 11)), "rate"]
