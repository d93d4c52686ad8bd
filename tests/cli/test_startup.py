"""What a command does not need it does not import, and configurations are composed no oftener than they must be."""

import gc
import os
import re
import subprocess
import sys

import pytest
import torch
import yaml

from conftest import ROOT, config, voices
from telucodec.audio.files import write
from telucodec.build import build
from telucodec.cli import compose
from telucodec.cli.compose import compose_config
from telucodec.cli.loading import load
from telucodec.errors import InputError
from telucodec.models.stored import CONFIG, save_codec

HEAVY = ("torch", "lightning", "scipy", "matplotlib")


def imported(folder, *commands):
    """Which heavy packages are there when commands have been run one after the other in a process of their own."""
    code = "import sys; from telucodec.cli.main import main\n"
    for words in commands:
        code += f"try: assert not main({list(map(str, words))})\nexcept SystemExit as end: assert not end.code\n"
    code += f"print(*[name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    env = os.environ | {"TELUCODEC_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stderr.split("\n")[-2].split()


def test_what_trains_nothing_imports_no_torch(tmp_path):
    for number in range(3):
        write(tmp_path / f"speech/{number}/a.wav", voices(number, 0.5), 16000)
    commands = [["--help"], ["--version"], ["train", "--help"], ["train", "--cfg", "name=a"], ["fixes"]]
    commands += [["diff", "default", "small"], ["data", "info", tmp_path / "speech"]]
    assert imported(tmp_path, *commands) == []


@pytest.mark.slow
def test_coding_a_file_imports_no_lightning(tmp_path):
    codec = build(config()["training"]["codec"], "codec")
    codec(torch.randn(2, 1, 4000))
    (tmp_path / CONFIG).write_text(yaml.safe_dump(config()))
    save_codec(codec, tmp_path)
    write(tmp_path / "in.wav", voices(0, 0.2), 16000)
    command = ["reconstruct", tmp_path, tmp_path / "in.wav", tmp_path / "out.wav"]
    assert imported(tmp_path, command) == ["torch"]
    assert (tmp_path / "out.wav").exists()


def test_our_own_files_bring_no_key_that_nothing_reads():
    """So that only what a user adds has to be held against the default, which takes as long to compose again."""
    known, apart = set(compose_config([], None)), {"launcher", "sweeper"}  # groups of a sweep
    for path in sorted((ROOT / "conf").glob("*/*.yaml")):
        text = path.read_text()
        package = re.search(r"^# @package (\S+)", text, re.MULTILINE)
        name = package[1] if package else path.parent.name
        brought = set(yaml.safe_load(text) or ()) - {"defaults"} if name == "_global_" else {name.partition(".")[0]}
        assert brought <= known | apart, path


def test_a_choice_is_composed_once_and_an_added_key_is_held_against_the_default(monkeypatch):
    composed, chosen = [], compose._chosen.__wrapped__
    monkeypatch.setattr(compose, "_chosen", lambda *given: composed.append(given[0]) or chosen(*given))
    compose_config(["trainer=cpu", "seed=3"], None)
    assert composed == [("trainer=cpu",)]
    with pytest.raises(InputError, match="seeed: nothing reads this key"):
        compose_config(["trainer=cpu", "+seeed=3"], None)
    assert composed == [("trainer=cpu",), ("trainer=cpu",), ()]


def test_loading_leaves_the_collector_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "loaded_by_us.py").write_text("import gc\ncollects = gc.isenabled()\n")
    (tmp_path / "breaks.py").write_text("raise ArithmeticError\n")
    monkeypatch.syspath_prepend(tmp_path)
    load("loaded_by_us")
    assert not sys.modules["loaded_by_us"].collects
    assert gc.isenabled()
    with pytest.raises(ArithmeticError):
        load("breaks")
    assert gc.isenabled()
    frozen = gc.get_freeze_count()
    load("loaded_by_us")  # is there already: nothing of this process is frozen with it
    assert gc.get_freeze_count() == frozen
    gc.unfreeze()
