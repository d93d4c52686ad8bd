import json
import re

import pytest

from conftest import ROOT
from telucodec.cli import claims
from telucodec.cli.main import main

LEDGER = str(ROOT / "experiments/seed_documents/claims.yaml")


def shown(capsys, *arguments):
    code = main(["claims", *arguments])
    return code, capsys.readouterr().out


@pytest.mark.parametrize("width", [80, 120, 160])
def test_the_table_fits_and_loses_nothing(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out = shown(capsys, LEDGER)
    assert code == 0
    assert max(len(line) for line in out.splitlines()) <= width
    assert "…" not in out
    assert [f"P{n:03}" for n in range(1, 51)] == re.findall(r"^ *(P\d{3}) ", out, re.MULTILINE)
    words = " ".join(out.split())
    assert "s000:116, 215" in words
    assert "I1: SNR <= -20 log10|1 - r| -> 4.437" in words
    assert "telucodec claims --show P" in words


def test_counts_follow_by_letter(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    _, out = shown(capsys, LEDGER)
    assert re.search(r"open\W+16\W+19", out)
    assert re.search(r"decided\W+40\W+31", out)


def test_one_claim_in_full(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out = shown(capsys, "--show", "P034", LEDGER)
    assert code == 0
    words = " ".join(out.split())
    for told in (
        "P034 impossible After 25 epochs the SNR is 5 to 10 dB.",
        "000_2b9801bf946b7106.md, lines 116, 215",
        "prediction, preset s000",
        "val/snr 5 to 10 at epoch 25",
        "P033: After 25 epochs the RMS ratio is 0.4 to 0.6.",
        "an RMS ratio of 0.6 allows 7.96 dB at most, not 10.",
        "what remains is 5 to 7.96 dB at an RMS ratio of 0.438 to 0.6.",
    ):
        assert told in words
    assert "P035" not in out


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("C01", "No rule decides it"),
        ("C35", "rms_per_sample_15 against rms_global_15 moves gradient/output_scale/rms by the factor 16"),
        ("C51", "recon_tenth moves val/rho not at all"),
        ("P009", "train/loss 0.4 to 1 at training, preset s003_before"),
        ("P018", "train/output_scale from 2.5 to 3.2 at epoch 5"),
        ("P002", "0.08 to 0.12 (0.089 by itself) at epoch 0"),
        ("P041", "states val/dc 0.557 at epoch 0"),
    ],
)
def test_everything_a_claim_can_hold_is_shown(capsys, monkeypatch, name, told):
    monkeypatch.setenv("COLUMNS", "160")
    assert told in " ".join(shown(capsys, "--show", name, LEDGER)[1].split())


def test_json(capsys):
    code, out = shown(capsys, "--json", LEDGER)
    found = json.loads(out)
    assert code == 0
    assert len(found) == 106
    assert {"id", "verdict", "kind", "source", "evidence"} <= set(found[0])
    (one,) = json.loads(shown(capsys, "--json", "--show", "P014", LEDGER)[1])
    assert (one["id"], one["verdict"]) == ("P014", "certain")


def test_fewer_steps_reach_less(capsys):
    def verdict(*more):
        return json.loads(shown(capsys, "--json", "--show", "P032", *more, LEDGER)[1])[0]["verdict"]

    assert verdict() == "open"
    assert verdict("--steps-per-epoch", "3") == "unreachable"


def test_the_help_says_when_a_path_is_impossible_and_when_in_part(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["claims", "--help"])
    assert stopped.value.code == 0
    assert (
        "Ranges of SNR and RMS ratio for one moment are read as a path from both first values to both last ones: "
        "impossible if both ends are ruled out, impossible in part if one is, or only the lowest ratio beside the "
        "highest SNR." in " ".join(capsys.readouterr().out.split())
    )


def test_the_ledger_is_found_here_or_in_the_checkout(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert len(json.loads(shown(capsys, "--json")[1])) == 106
    own = tmp_path / claims.LEDGER
    own.parent.mkdir(parents=True)
    own.write_text("claims: 3")
    assert main(["claims"]) == 2
    assert f"{claims.LEDGER}: must have the keys" in " ".join(capsys.readouterr().err.split())
    own.unlink()
    monkeypatch.setattr(claims.telucodec, "__file__", str(tmp_path / "lib/python/telucodec/__init__.py"))
    assert main(["claims"]) == 2
    assert "Run this in a checkout of telucodec, or give a ledger: FILE." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--show", "P34"], "has no such claim. Did you mean 'P034'?"),
        (["--steps-per-epoch", "0"], "--steps-per-epoch 0: must be at least 1"),
        (["nowhere.yaml"], "nowhere.yaml: cannot be read (No such file or directory). Give the path of a ledger."),
    ],
)
def test_mistakes_are_named_without_a_traceback(capsys, arguments, message):
    ledger = [] if "nowhere.yaml" in arguments else [LEDGER]
    assert main(["claims", *arguments, *ledger]) == 2
    assert message in capsys.readouterr().err
