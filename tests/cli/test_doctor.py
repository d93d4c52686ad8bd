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


def with_gpus(monkeypatch, capability, archs, product=1.0, **version):
    """A torch that sees two GPUs of one kind; a product that is an error is raised."""

    def ones(*shape, device):
        if isinstance(product, Exception):
            raise product
        return torch.full(shape, product)

    cuda = SimpleNamespace(
        is_available=lambda: True, device_count=lambda: 2, get_arch_list=lambda: archs,
        get_device_capability=lambda number: capability, get_device_name=lambda number: "Some GPU",
        mem_get_info=lambda number: (4 * GIB, 8 * GIB),
    )  # fmt: skip
    library = SimpleNamespace(
        cuda=cuda, ones=ones, version=SimpleNamespace(**{"cuda": "13.0", "hip": None} | version),
        _C=SimpleNamespace(_cuda_getDriverVersion=lambda: 13000),
        backends=SimpleNamespace(cudnn=SimpleNamespace(version=lambda: 9)),
    )  # fmt: skip
    monkeypatch.setattr(surroundings, "import_module", lambda name: library)
    return {finding.what: finding for finding in surroundings.cuda()}


@pytest.mark.parametrize(
    ("capability", "archs", "good"),
    [
        ((8, 6), ["sm_80", "sm_90"], True),
        ((8, 0), ["sm_86", "sm_90"], False),
        ((6, 1), ["sm_75", "sm_80", "compute_90"], False),
        ((12, 0), ["sm_80", "compute_90"], True),
        ((9, 0), ["gfx90a"], True),
        ((9, 0), ["sm_80", "sm_90a"], True),
        ((9, 0), [], True),
    ],
)
def test_a_gpu_is_held_against_what_torch_was_built_for(monkeypatch, capability, archs, good):
    found = with_gpus(monkeypatch, capability, archs)
    assert [found[f"GPU {number}"].verdict for number in (0, 1)] == (["good"] * 2 if good else ["bad", "note"])
    if good:
        assert found["GPU 0"].found.startswith("Some GPU, 4.0 of 8.0 GiB free, capability")
    else:
        assert found["GPU 0"].found.endswith("cannot compute (this torch is not built for it)")
        assert "CUDA_VISIBLE_DEVICES" in found["GPU 0"].cure


def test_a_gpu_that_fails_at_one_product_is_bad_where_auto_would_take_it(monkeypatch):
    found = with_gpus(monkeypatch, (9, 0), ["sm_90"], RuntimeError("CUDA error:\nno kernel image is available"))
    assert found["GPU 0"].verdict == "bad"
    assert found["GPU 0"].found == "Some GPU, capability 9.0, cannot compute (CUDA error: no kernel image is available)"
    assert with_gpus(monkeypatch, (9, 0), ["sm_90"], 2.0)["GPU 0"].verdict == "bad", "1 x 1 is not 4"


def test_a_torch_for_rocm_is_not_called_one_for_the_cpu(monkeypatch):
    found = with_gpus(monkeypatch, (9, 4), ["gfx942"], cuda=None, hip="6.4")
    assert found["CUDA"].found == "torch is built for ROCm 6.4"
    assert found["GPU 0"].verdict == "good"


def test_a_torch_without_cuda_inside_is_one_for_the_cpu_whatever_its_version_says(monkeypatch):
    monkeypatch.setattr(surroundings, "import_module", lambda name: library(built=False))
    assert [finding.found for finding in surroundings.cuda()] == ["torch is built for the CPU alone"]


def library(built):
    cuda = SimpleNamespace(is_available=lambda: False)
    inside = SimpleNamespace(**({"_cuda_getDriverVersion": lambda: 13000} if built else {}))
    return SimpleNamespace(cuda=cuda, version=SimpleNamespace(cuda="13.0", hip=None), _C=inside)


def test_a_torch_for_cuda_on_a_machine_whose_driver_shows_no_gpu(monkeypatch):
    monkeypatch.setattr(surroundings, "import_module", lambda name: library(built=True))
    (found,) = surroundings.cuda()
    assert (found.found, found.verdict) == ("torch is built for CUDA 13.0; driver for CUDA 13.0", "note")


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
