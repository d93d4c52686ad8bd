"""`telucodec doctor`: what it says of this machine, of a broken one, and of recordings."""

import json
import os
import shutil
import sys
from importlib.metadata import version
from types import SimpleNamespace

import pytest
import torch

from telucodec.cli.main import main
from telucodec.training import surroundings
from telucodec.training.surroundings import GIB, LOOKS, Finding, Look, survey

NO_GPU = not torch.cuda.is_available()


def examined(capsys, *arguments):
    code = main(["doctor", "--json", *map(str, arguments)])
    told = json.loads(capsys.readouterr().out)
    assert code == (0 if told["works"] else 1)
    return told["works"], {part: {row["what"]: row for row in rows} for part, rows in told["parts"].items()}


def test_this_machine_can_train_and_its_figures_are_those_of_the_system(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path / "not" / "there"))
    monkeypatch.chdir(tmp_path)
    works, parts = examined(capsys)
    assert works
    assert parts["packages"]["torch"]["found"] == version("torch")
    assert parts["packages"]["pair"]["verdict"] == "good"
    cores = len(os.sched_getaffinity(0))
    assert parts["devices"]["CPU"]["found"].startswith(f"{cores} of {os.cpu_count()} cores")
    assert parts["devices"]["gloo"]["found"] == "connects: the sum over 1 process is 1"
    assert not torch.distributed.is_initialized()
    free = float(parts["limits"]["cache"]["found"].split()[-3])
    assert free == pytest.approx(shutil.disk_usage(tmp_path).free / GIB, abs=1)
    assert parts["limits"]["cache"]["found"].startswith(str(tmp_path / "not" / "there"))
    assert {"auto", "cpu", "gpu", "ddp", "ddp_cpu"} <= {name.partition("=")[2] for name in parts["trainers"]}
    assert parts["trainers"]["trainer=cpu"]["found"].startswith("1 process on ")
    assert parts["trainers"]["trainer=ddp_cpu"]["found"].startswith("2 processes on ")
    if NO_GPU:
        gpu = parts["trainers"]["trainer=gpu"]
        assert gpu["verdict"] == "note"
        assert gpu["found"] == "accelerator is gpu, but no CUDA device is visible"
        assert gpu["cure"] == "use trainer=cpu or trainer=auto"


def test_the_tables_fit_into_eighty_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[-1] == "A training can run here."
    first = {line.split()[0] for line in lines if line.split()}
    assert {"packages", "devices", "extras", "limits", "trainers"} <= first


def test_a_broken_package_is_a_row_and_not_a_traceback(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchaudio", None)  # what an import of it then raises is ImportError
    works, parts = examined(capsys)
    assert not works
    assert parts["packages"]["pair"]["verdict"] == "bad"
    assert parts["packages"]["pair"]["found"].startswith("ModuleNotFoundError: import of torchaudio halted")
    assert parts["devices"]["CPU"]["verdict"] == "good", "the rest is looked at all the same"


def test_packages_of_two_releases_are_told(monkeypatch):
    versions = {"torch": "2.11.0+cu130", "torchaudio": "2.11.0+cpu"}
    monkeypatch.setattr(surroundings, "import_module", lambda name: SimpleNamespace(__version__=versions[name]))
    (found,) = surroundings.pair()
    assert found.verdict == "note"
    assert found.found == "torch 2.11.0+cu130 and torchaudio 2.11.0+cpu are not a pair"


def test_a_requirement_that_is_not_met_is_named(monkeypatch):
    asked = ["numpy>=999", "rich>=1", "surely-not-there>=2", "optuna>=999; extra == 'search'"]
    monkeypatch.setattr(surroundings, "requires", lambda name: asked)
    (found,) = surroundings.requirements()
    numpy = surroundings.version("numpy")
    assert found.found == f"numpy is {numpy}, wanted >=999; surely-not-there is not installed, wanted >=2"


def test_small_limits_are_told_with_the_cure(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(surroundings.resource, "getrlimit", lambda which: (256, 4096))
    usage = SimpleNamespace(total=64 * 2**20, free=GIB)
    monkeypatch.setattr(surroundings.shutil, "disk_usage", lambda folder: usage)
    found = {finding.what: finding for finding in surroundings.limits()}
    assert found["open files"][2:] == ("256", "note", "ulimit -n 4096")
    assert found["this folder"].found == f"{tmp_path}: 1.0 GiB free"
    assert found["/dev/shm"].found == "0.06 GiB for what loading processes hand over"
    assert {finding.verdict for finding in found.values()} == {"note"}


def test_what_breaks_while_it_is_looked_at_has_the_verdict_of_its_look():
    def breaks():
        yield Finding("a", "first", "is there", "good")
        raise OSError("no such device")

    found = list(survey([Look("a", "second", breaks, "note")]))
    assert found[0].plain() == {"what": "first", "found": "is there", "verdict": "good", "cure": ""}
    assert found[1].plain()["found"] == "OSError: no such device"
    assert found[1].verdict == "note"
    assert {look.part for look in LOOKS} == {"packages", "devices", "extras", "limits"}


def test_recordings_are_read_and_a_damaged_one_is_named(capsys, speech_folder):
    works, parts = examined(capsys, "--data", speech_folder)
    assert works
    assert "12 utterances" in parts["data"]["manifest"]["found"]
    assert parts["data"]["audio"]["found"] == "12 of them were read as the manifest says"
    manifest = parts["data"]["manifest"]["found"].split(": ")[0]
    (speech_folder / "speaker_0" / "1.flac").unlink()
    works, parts = examined(capsys, "--data", manifest)
    assert not works
    assert "1.flac: missing" in parts["data"]["error"]["found"]
    works, parts = examined(capsys, "--data", speech_folder / "nowhere")
    assert "no such manifest or folder" in parts["data"]["error"]["found"]
