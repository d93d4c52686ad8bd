import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from speechlike import QUIET, save, signal

from telucodec.cli.data import configure
from telucodec.data import synthesis
from telucodec.data.cache import cache_dir
from telucodec.data.info import describe, draw
from telucodec.data.prepare import Options, prepare
from telucodec.data.sentences import Plan
from telucodec.errors import InputError


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def source(tmp_path):
    for n in range(9):
        save(tmp_path / "in" / f"s{n % 3}" / f"{n}.wav", signal(0.5 + 0.1 * n, n, level=0.01 * (n + 1)))
    return tmp_path / "in"


def run(*arguments):
    parser = argparse.ArgumentParser()
    configure(parser)
    args = parser.parse_args(list(map(str, arguments)))
    return args.run(args)


def test_description_against_numbers_made_by_hand(source, tmp_path):
    made = prepare(source, tmp_path / "out", Options(workers=0, speaker_from="parent", language="te"), QUIET)
    whole = describe(made.manifest)["all"]
    assert whole.utterances == 9
    assert whole.seconds == pytest.approx(8.1)
    assert whole.speakers == {"s2": 3.0, "s1": 2.7, "s0": 2.4}
    assert whole.languages == {"te": 8.1}
    assert whole.source_sample_rates == {"16000": 9}
    assert whole.duration_seconds["50"] == pytest.approx(0.9)
    assert whole.rms_dbfs["50"] == pytest.approx(20 * np.log10(0.05), abs=0.05)
    assert whole.rms_dbfs["0"] == pytest.approx(-40, abs=0.05)
    parts = describe(made.manifest)
    assert sum(parts[split].utterances for split in ("train", "valid", "test")) == 9


def test_the_picture_is_drawn(source, tmp_path):
    made = prepare(source, tmp_path / "out", Options(workers=0), QUIET)
    draw(made.manifest, tmp_path / "new" / "a.png")
    assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "b.png").mkdir()
    with pytest.raises(InputError, match=r"b\.png: cannot be written"):
        draw(made.manifest, tmp_path / "b.png")


def test_prepare_from_the_command_line(source, tmp_path, capsys):
    (source / "junk.wav").write_bytes(b"junk" * 50)
    out = tmp_path / "out"
    assert run("prepare", source, out, "--workers", 0, "--speaker-from", "parent", "--language", "te") == 0
    said = capsys.readouterr().out
    assert "refused 1 of 10 recordings: 1 unreadable" in said
    for name in ("manifest.jsonl", "refused.csv", "report.json"):
        assert f"wrote {out / name}" in said
    assert f"data=manifest data.manifest={out / 'manifest.jsonl'}" in said


def test_info_from_the_command_line(source, tmp_path, capsys):
    out = tmp_path / "out"
    prepare(source, out, Options(workers=0), QUIET)
    assert run("info", out, "--png", tmp_path / "a.png", "--verify") == 0
    said = capsys.readouterr().out
    assert "bandwidth Hz" in said
    assert f"wrote {tmp_path / 'a.png'}" in said
    assert "0 of 9 files are missing or changed" in said
    assert run("info", out / "manifest.jsonl", "--json") == 0
    assert json.loads(capsys.readouterr().out)["all"]["utterances"] == 9
    first = next((out / "audio").rglob("*.flac"))
    whole = first.read_bytes()
    first.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert run("info", out, "--verify") == 1
    assert f"{first}: changed since the manifest was made" in capsys.readouterr().out


def test_info_of_a_bare_folder(source, capsys):
    (source / "junk.wav").write_bytes(b"junk" * 50)
    assert run("info", source) == 0
    captured = capsys.readouterr()
    assert "(unknown) 0.1 min" in captured.out
    assert "set aside 1 files" in captured.err
    with pytest.raises(InputError, match="no such manifest"):
        run("info", source / "nothing.jsonl")


def test_embedded_prints_the_path_alone(capsys, monkeypatch):
    pytest.importorskip("espeakng_loader")
    monkeypatch.setattr(synthesis, "Plan", lambda: Plan(1, 1, 1))
    assert run("embedded") == 0
    assert Path(capsys.readouterr().out.strip()).is_file()


@pytest.mark.parametrize("command", ["prepare", "info", "embedded"])
def test_help_has_examples(command, capsys):
    with pytest.raises(SystemExit):
        run(command, "--help")
    assert f"telucodec data {command}" in capsys.readouterr().out


def test_the_command_imports_nothing_heavy():
    heavy = {"torch", "lightning", "hydra", "omegaconf", "librosa", "matplotlib", "scipy"}
    code = f"import sys, telucodec.cli.data; print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_cache_folder(monkeypatch, tmp_path):
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("TELUCODEC_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "telucodec"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache_dir() == Path.home() / "Library" / "Caches" / "telucodec"
    monkeypatch.setattr(sys, "platform", "linux")
    assert cache_dir() == Path.home() / ".cache" / "telucodec"
