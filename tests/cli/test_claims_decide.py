"""The ledger held against collected results, as the command prints and writes it."""

import csv
import json
import re
import shutil

import pytest
import yaml

from conftest import ROOT
from known_arms import collected, run
from telucodec.cli import claim_tables
from telucodec.cli.main import main
from telucodec.study.design.read import read_study
from telucodec.study.results.files import write_results

LEDGER = ROOT / "experiments/seed_documents/claims.yaml"
METRICS = ["val/snr", "val/quiet/snr", "val/rho", "loss/l1"]
WRITTEN = {
    "question": "Does the level matter?",
    "base": {"name": "plain", "overrides": ["trainer=cpu"]},
    "arms": {"peak": {"overrides": ["ablation=level_peak"]}, "s003": {"against": "s003"}},
    "seeds": [0, 1, 2],
    "budgets": {"full": {"steps": 300}},
    "metrics": METRICS,
    "primary": "val/snr",
    "better": "higher",
}


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a ledger and a study, whose results are collected."""
    home = tmp_path / "experiments"
    (home / "seed_documents").mkdir(parents=True)
    shutil.copy(LEDGER, home / "seed_documents/claims.yaml")
    (home / "fixes").mkdir()
    (home / "fixes/study.yaml").write_text(yaml.safe_dump(WRITTEN))
    (home / "later").mkdir()
    (home / "later/study.yaml").write_text(yaml.safe_dump(WRITTEN))
    of = read_study(home / "fixes")
    level = {"plain": 1.0, "peak": -4.0, "s003": -2.0}
    made = [
        run(arm, seed, {step: dict.fromkeys(METRICS, level[arm] + 0.1 * seed) for step in (0, 15, 300)})
        for arm in of.arms
        for seed in of.seeds
    ]
    write_results(collected(of, made), of.folder)
    monkeypatch.chdir(tmp_path)
    return home


def shown(capsys, *arguments):
    code = main(["claims", *arguments])
    return code, capsys.readouterr().out


def test_every_claim_is_decided(here, capsys):
    code, out = shown(capsys, "decide", "fixes", "--json")
    found = {each["id"]: each for each in json.loads(out)}
    assert (code, len(found)) == (0, 106)
    assert [found[name]["verdict"] for name in ("C01", "C08", "C13", "P034", "P011", "P012", "P050")] == [
        "confirmed", "refuted", "untested", "impossible", "refuted", "inconclusive", "refuted",
    ]  # fmt: skip
    (part,) = found["C01"]["runs"]
    assert part["findings"][0]["figure"] == pytest.approx(-5)
    assert part["findings"][0]["runs"] == {"study": "fixes", "arms": ["peak", "plain"], "seeds": [0, 1, 2], "step": 300}


def test_the_command_alone_uses_all_results_there_are(here, capsys):
    assert shown(capsys, "--json") == shown(capsys, "decide", "fixes", "--json")
    (here / "fixes/runs.csv").unlink()
    assert {each["verdict"] for each in json.loads(shown(capsys, "--json")[1])} >= {"open", "certain"}
    assert json.loads(shown(capsys, "--json", "--show", "C01", str(LEDGER))[1])[0]["verdict"] == "open"


@pytest.mark.parametrize("width", [80, 160])
def test_the_table_fits_and_counts(here, capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out = shown(capsys, "decide", "fixes")
    words = " ".join(out.split())
    assert code == 0
    assert max(len(line) for line in out.splitlines()) <= width
    assert [f"P{n:03}" for n in range(1, 51)] == re.findall(r"^ *(P\d{3}) ", out, re.MULTILINE)
    for told in (
        "106 claims, decided",
        "fixes: 9 runs of 3 arms.",
        "No study has runs that could tell.",
        "small codec",
    ):
        assert told in words
    counted = {name: sum(map(int, re.findall(r"\d+", rest))) for name, rest in re.findall(r"│ (\w+) +│(.*)", out)}
    assert counted["impossible"] == 21
    assert sum(counted[name] for name in counted if name in claim_tables.COLOURS) == 106


def test_one_claim_in_full(here, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    words = " ".join(shown(capsys, "decide", "fixes", "--show", "C01")[1].split())
    for told in (
        "decided: confirmed",
        "What runs say confirmed level_peak moves val/quiet/snr down",
        "fixes: peak against plain, seeds 0 1 2, step 300",
        "val/quiet/snr changes by -5 (-5 to -5); up to 0.2 counts as none",
    ):
        assert told in words
    assert "Nothing in it is for runs to tell." in shown(capsys, "decide", "fixes", "--show", "C02")[1]
    assert "No study has runs that could tell." in shown(capsys, "decide", "fixes", "--show", "C13")[1]


def test_one_row_a_claim_is_written(here, capsys):
    code, out = shown(capsys, "decide", "fixes", "--csv", "verdicts.csv")
    rows = {row["claim"]: row for row in csv.DictReader((here.parent / "verdicts.csv").read_text().splitlines())}
    assert (code, len(rows)) == (0, 106)
    assert "written: verdicts.csv" in out
    keys = ("verdict", "before_runs", "figure", "low", "high", "study", "arms", "seeds", "step")
    wanted = ["confirmed", "open", "-5", "-5", "-5", "fixes", "peak - plain", "0 1 2", "300"]
    assert [rows["C01"][key] for key in keys] == wanted
    assert [rows["C02"][key] for key in keys] == ["confirmed", "true", "45", *[""] * 6]
    assert (rows["C13"]["verdict"], rows["C13"]["text"]) == ("untested", "No study has runs that could tell.")


def test_fewer_steps_an_epoch_are_read_too(here, capsys):
    def verdict(*more):
        return json.loads(shown(capsys, "decide", "fixes", "--json", "--show", "P032", *more)[1])[0]["verdict"]

    assert [verdict(), verdict("--steps-per-epoch", "3")] == ["untested", "unreachable"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["decide"], "decide: which study? telucodec claims decide NAME [NAME ...]"),
        (["decide", "fix"], "fix: there is no experiments/fix/study.yaml. Did you mean 'fixes'?"),
        (["decide", "later"], "runs.csv: missing. `telucodec study collect later` writes it."),
        (["a.yaml", "b.yaml"], "b.yaml: one ledger at a time. For studies: telucodec claims decide NAME"),
        (["a.yaml", "--csv", "x.csv"], "--csv: needs the results of a study."),
        (["decide", "fixes", "--show", "P34"], "has no such claim. Did you mean 'P034'?"),
    ],
)
def test_mistakes_are_named_without_a_traceback(here, capsys, arguments, message):
    assert main(["claims", *arguments]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
