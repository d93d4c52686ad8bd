import json

import numpy as np
import pytest

from telucodec.audio.files import write
from telucodec.cli.feasible import spread
from telucodec.cli.main import main
from telucodec.diagnosis.rate import WaterFilling, spectra


def told(capsys, *words):
    assert main(["feasible", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_documents_wish(capsys):
    content = told(capsys, "--snr", "35", "--rms-ratio", "0.95", "--kbps", "8")
    assert content["feasible"] is False
    limit = content["reasons"][0]
    assert list(limit) == ["identity", "formula", "number", "text", "rules_out"]
    assert (limit["identity"], round(limit["number"], 2), limit["rules_out"]) == ("I1", 26.02, True)
    assert content["wish"] == {"snr": 35.0, "rms_ratio": 0.95, "kbps": 8.0, "sample_rate": 16000}
    assert content["data"] is None


def test_a_modest_wish(capsys):
    assert told(capsys, "--snr", "5", "--rms-ratio", "0.8", "--kbps", "8")["feasible"] is True
    assert main(["feasible", "--snr", "5", "--rms-ratio", "0.8", "--kbps", "8"]) == 0
    shown = capsys.readouterr().out
    assert "13.979" in shown
    assert shown.splitlines()[-1].startswith("Feasible as far as 3 checks can tell")


def test_an_infinite_limit_is_null_in_json(capsys):
    assert told(capsys, "--rms-ratio", "1")["reasons"][0]["number"] is None


def test_a_move(capsys):
    content = told(capsys, "--move", "output_scale", "1.0", "3.0", "--steps", "300", "--lr", "1e-5")
    assert content["reasons"][0]["number"] == 27510
    assert content["feasible"] is False
    # 2 / (3.36 x 0.01) steps, and 2 / 0.01
    rest = ["--steps", "100", "--lr", "0.01", "--betas", "0.8", "0.99"]
    between = told(capsys, "--move", "output_scale", "3.0", "1.0", *rest)
    assert between["feasible"] is True
    assert between["reasons"][0]["number"] == 60
    assert "between" in between["reasons"][0]["text"]


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """White noise, 3 files of 4 s at -20 dBFS."""
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path / "cache"))
    for number in range(3):
        audio = 0.1 * np.random.default_rng(number).standard_normal((1, 64000))
        write(tmp_path / "noise" / f"{number}.wav", audio.clip(-1, 1), 16000)
    return tmp_path / "noise"


def test_recordings_give_the_bound(capsys, recordings):
    content = told(capsys, "--kbps", "16", "--snr", "8", "--mse", "0.0016", "--data", str(recordings))
    needed, rate, loudness = content["reasons"]
    audio = [0.1 * np.random.default_rng(number).standard_normal(64000) for number in range(3)]
    expected = WaterFilling([spectra(one, 16000) for one in audio]).snr(1.0)
    assert rate["number"] == pytest.approx(expected, abs=0.01)
    assert 6.02 < rate["number"] < 7
    assert rate["rules_out"] is True
    assert needed["rules_out"] is False
    assert loudness["number"] == pytest.approx(0.04 * 10**0.4)
    assert "as recorded they have 0.0997" in loudness["text"]
    assert content["data"]["minutes_read"] == pytest.approx(0.2)
    assert (content["data"]["files"], content["data"]["files_read"]) == (3, 3)


def test_minutes_limit_what_is_read(capsys, recordings):
    assert main(["feasible", "--kbps", "16", "--minutes", "0.1", "--data", str(recordings)]) == 0
    shown = capsys.readouterr()
    assert "read 0.1 of 0.2 minutes" in shown.out
    assert "reading" not in shown.out


def test_seconds_are_spread_over_recordings():
    taken = spread([5.0] * 100, 60.0)
    assert sum(taken) == pytest.approx(60)
    assert [index for index, part in enumerate(taken) if part][:3] == [8, 16, 24]
    assert [part for part in taken if part] == pytest.approx([5.0] * 12)
    assert spread([3600.0, 3600.0], 60.0) == [30.0, 30.0]
    assert spread([7.0, 0.5, 60.0], 6.0) == pytest.approx([0.0, 0.5, 5.5])
    assert spread([0.3, 0.4], 900.0) == [0.3, 0.4]


def quiet_and_broken(tmp_path):
    write(tmp_path / "silent" / "a.wav", np.zeros((1, 32000)), 16000)
    write(tmp_path / "wide" / "a.wav", np.ones((1, 32000)) * 0.1, 44100)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.wav").write_bytes(b"RIFF no audio")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "Nothing to check: give --snr"),
        (["--snr", "nan"], "snr: must be a number of dB"),
        (["--snr", "5", "--kbps", "-1"], "kbps: must be a number > 0"),
        (["--rms-ratio", "0"], "rms-ratio: must be a number > 0"),
        (["--mse", "0.1"], "give --snr too"),
        (["--kbps", "8", "--minutes", "0", "--data", "empty"], "--minutes: must be > 0"),
        (["--snr", "5", "--data", "empty"], "--data: no check reads recordings without --kbps"),
        (["--kbps", "8", "--data", "empty"], "empty"),
        (["--kbps", "8", "--data", "nowhere"], "no such manifest"),
        (["--kbps", "8", "--data", "broken"], "cannot be"),
        (["--kbps", "8", "--data", "silent"], "silent"),
        (["--kbps", "8", "--data", "wide"], "44100 Hz"),
        (["--move", "s", "1", "3"], "--steps: is missing"),
        (["--lr", "1"], "--move: is missing"),
        (["--snr", "5", "--betas", "0.9", "0.99"], "--move: is missing"),
        (["--move", "s", "1", "x", "--steps", "3", "--lr", "1"], "FROM and TO must be numbers"),
        (["--move", "s", "1", "inf", "--steps", "3", "--lr", "1"], "FROM and TO must be finite"),
        (["--move", "s", "1", "3", "--steps", "0", "--lr", "1"], "--steps: must be >= 1"),
        (["--move", "s", "1", "3", "--steps", "3", "--lr", "nan"], "--lr: must be at least"),
        (["--move", "s", "1", "3", "--steps", "3", "--lr", "1", "--betas", "1", "0"], "--betas: must both be in"),
    ],
)
def test_what_cannot_be_checked_is_refused(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path / "cache"))
    quiet_and_broken(tmp_path)
    assert main(["feasible", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
