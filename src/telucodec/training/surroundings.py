"""What there is to train with: packages, devices, limits of the system. Nothing is taken for granted, torch neither."""

import os
import platform
import re
import resource
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distributions, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple

from telucodec.data.cache import cache_dir
from telucodec.data.workers import default_workers

SHOWN = ("torch", "torchaudio", "lightning", "hydra-core", "omegaconf", "tensorboard", "soundfile", "numpy")
EXTRAS = {  # of pyproject.toml: what they bring, and what for
    "synth": (("espeakng_loader",), "the embedded speech that a run without data= trains on"),
    "perceptual": (("pesq", "pystoi", "visqol"), "evaluate --perceptual"),
    "teacher": (("transformers",), "teacher=transformers"),
    "search": (("optuna",), "sweeper=optuna"),
    "slurm": (("submitit",), "launcher=submitit"),
    "ray": (("ray",), "launcher=ray"),
}
GIB = 2**30
FILES, SHARED, DISK = 1024, GIB // 2, 2 * GIB  # with less of these, long runs have failed


class Finding(NamedTuple):
    """One thing that was looked at."""

    part: str  # what it belongs to
    what: str
    found: str
    verdict: Literal["good", "note", "bad"]  # bad: no training can run here
    cure: str = ""  # empty where all is well

    def plain(self) -> dict[str, str]:
        """For JSON."""
        return {key: str(value) for key, value in self._asdict().items() if key != "part"}


class Look(NamedTuple):
    """Something to look at."""

    part: str
    what: str
    look: Callable[[], Iterator[Finding]]
    broken: Literal["note", "bad"]  # the verdict where looking at it fails


def survey(looks: Iterable[Look]) -> Iterator[Finding]:
    """Everything that was found; what breaks while it is looked at is a finding too."""
    for part, what, look, broken in looks:
        try:
            yield from look()
        except Exception as error:  # a broken package may raise anything
            yield Finding(part, what, f"{type(error).__name__}: {error}", broken, "repair it, or install it again")


def packages() -> Iterator[Finding]:
    """Versions of what decides what a run does."""
    told = f"{platform.python_version()}, {platform.platform()}"
    yield Finding("packages", "python", told, "good" if sys.version_info >= (3, 11) else "bad")
    for name in SHOWN:
        try:
            yield Finding("packages", name, version(name), "good")
        except PackageNotFoundError:
            yield Finding("packages", name, "is not installed", "bad", f"pip install {name}")


def requirements() -> Iterator[Finding]:
    """Whether all that telucodec asks for is there, in a version that it asks for."""
    from packaging.requirements import Requirement

    wrong = []
    for line in requires("telucodec") or ():
        asked = Requirement(line)
        if asked.marker is not None and not asked.marker.evaluate({"extra": ""}):
            continue
        there = next((found.version for found in distributions(name=asked.name)), "not installed")
        if there == "not installed" or not asked.specifier.contains(there, prereleases=True):
            wrong.append(f"{asked.name} is {there}, wanted {asked.specifier}")
    cure = "pip install --upgrade telucodec" if wrong else ""
    yield Finding("packages", "requirements", "; ".join(wrong) or "all are met", "note" if wrong else "good", cure)


def pair() -> Iterator[Finding]:
    """Whether torch and torchaudio are of one release and one build; both are loaded."""
    torch, audio = (import_module(name).__version__ for name in ("torch", "torchaudio"))
    alike = torch.split(".")[:2] == audio.split(".")[:2] and torch.partition("+")[2] == audio.partition("+")[2]
    cure = "" if alike else "install both from one source, in one command"
    told = f"torch {torch} and torchaudio {audio} {'are' if alike else 'are not'} a pair"
    yield Finding("packages", "pair", told, "good" if alike else "note", cure)


def audio_files() -> Iterator[Finding]:
    """Whether recordings could be read."""
    files = import_module("telucodec.audio.files").soundfile
    resampler = import_module("telucodec.audio.resample").RESAMPLER
    yield Finding("packages", "audio files", f"libsndfile {files.__libsndfile_version__}, {resampler}", "good")


def tensorboard() -> Iterator[Finding]:
    """Whether events could be written."""
    import_module("torch.utils.tensorboard")
    yield Finding("packages", "TensorBoard", "writes events", "good")


def cpu() -> Iterator[Finding]:
    """Cores and threads."""
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    torch = import_module("torch")
    told = f"{default_workers()} of {os.cpu_count()} cores may be used; a run takes trainer.threads of them"
    yield Finding("devices", "CPU", told, "good")
    told = f"{torch.get_num_threads()} of torch by itself; OMP_NUM_THREADS is {threads}"
    yield Finding("devices", "threads", told, "good")


def cuda() -> Iterator[Finding]:
    """What torch was built for, the driver, and every GPU."""
    torch: Any = import_module("torch")
    rocm, there = torch.version.hip, torch.cuda.is_available()
    ask = getattr(torch._C, "_cuda_getDriverVersion", None)  # missing in a torch for the CPU, whatever its version says
    built, driver = (torch.version.cuda, ask()) if ask else (None, 0)
    has = f"driver for CUDA {driver // 1000}.{driver % 1000 // 10}" if driver else "no driver"
    other = f"torch is built for ROCm {rocm}" if rocm else "torch is built for the CPU alone"
    told = f"torch is built for CUDA {built}; {has}" if built else other
    lost = bool(driver) and not there
    cure = "CUDA_VISIBLE_DEVICES hides the GPUs, or the driver is older than this torch" if lost else ""
    yield Finding("devices", "CUDA", told, "note" if lost else "good", cure)
    for number in range(torch.cuda.device_count() if there else 0):
        yield _gpu(torch, number)
    if there:
        yield Finding("devices", "cuDNN", str(torch.backends.cudnn.version()), "good")


def nccl() -> Iterator[Finding]:
    """What connects GPUs."""
    torch: Any = import_module("torch")
    if torch.distributed.is_available() and torch.distributed.is_nccl_available():
        yield Finding("devices", "NCCL", ".".join(map(str, torch.cuda.nccl.version())), "good")
    else:
        yield Finding("devices", "NCCL", "is not part of this torch: no run on several GPUs", "note")


def gloo() -> Iterator[Finding]:
    """What connects processes: here one meets itself, and adds up."""
    torch, dist = import_module("torch"), import_module("torch.distributed")
    if not dist.is_available() or not dist.is_gloo_available():
        yield Finding("devices", "gloo", "is not part of this torch: no run of several processes", "note")
        return
    try:
        dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
        one = torch.ones(1)
        dist.all_reduce(one)
        dist.destroy_process_group()
    except RuntimeError as error:
        cure = "set GLOO_SOCKET_IFNAME to a network interface, such as lo"
        yield Finding("devices", "gloo", f"does not connect ({error})", "note", cure)
    else:
        yield Finding("devices", "gloo", f"connects: the sum over 1 process is {int(one)}", "good")


def extras() -> Iterator[Finding]:
    """What is installed beside what every run needs."""
    for name, (modules, use) in EXTRAS.items():
        missing = [module for module in modules if find_spec(module) is None]
        found = f"lacks {', '.join(missing)}: no {use}" if missing else use
        cure = f"pip install 'telucodec[{name}]'" if missing else ""
        yield Finding("extras", name, found, "note" if missing else "good", cure)


def limits() -> Iterator[Finding]:
    """Disk, open files and shared memory."""
    yield _disk("cache", cache_dir(), "set TELUCODEC_CACHE to a folder on a larger disk")
    yield _disk("this folder", Path.cwd(), "train elsewhere, or give run_root=PATH")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    few = 0 <= most < FILES
    yield Finding("limits", "open files", str(most), "note" if few else "good", f"ulimit -n {4 * FILES}" if few else "")
    shared = Path("/dev/shm")  # loading processes hand their batches over in it
    if shared.is_dir():
        size = shutil.disk_usage(shared).total
        small, cure = size < SHARED, "give the container more (docker run --shm-size=8g), or loader.workers=0"
        told = f"{size / GIB:.2f} GiB for what loading processes hand over"
        yield Finding("limits", "/dev/shm", told, "note" if small else "good", cure if small else "")


def _gpu(torch: Any, number: int) -> Finding:
    major, minor = torch.cuda.get_device_capability(number)
    try:
        one = torch.ones(1, 1, device=f"cuda:{number}")
        wrong = "" if float(one @ one) == 1 and _is_built_for(torch, major, minor) else "this torch is not built for it"
        free, total = torch.cuda.mem_get_info(number)
    except RuntimeError as error:
        wrong = " ".join(str(error).split())[:200]
    if wrong:  # trainer=auto takes the first
        told = f"{torch.cuda.get_device_name(number)}, capability {major}.{minor}, cannot compute ({wrong})"
        cure = "hide it with CUDA_VISIBLE_DEVICES, or install a torch that is built for it"
        return Finding("devices", f"GPU {number}", told, "note" if number else "bad", cure)
    half = "bf16" if major >= 8 else "no bf16 of its own"
    memory = f"{free / GIB:.1f} of {total / GIB:.1f} GiB free"
    told = f"{torch.cuda.get_device_name(number)}, {memory}, capability {major}.{minor}, {half}"
    full = free < GIB
    return Finding("devices", f"GPU {number}", told, "note" if full else "good", "others use it" if full else "")


def _is_built_for(torch: Any, major: int, minor: int) -> bool:
    """Whether this torch holds programs for a capability: sm_80 runs on 8.0 to 8.9, compute_80 on all from 8.0 on."""
    kinds = re.findall(r"\b(sm|compute)_(\d+)", " ".join(torch.cuda.get_arch_list()))  # sm_90a is one for 9.0
    built = [(kind, divmod(int(digits), 10)) for kind, digits in kinds]
    exact = any(kind == "sm" and of[0] == major and of[1] <= minor for kind, of in built)
    return not built or exact or any(kind == "compute" and of <= (major, minor) for kind, of in built)


def _disk(what: str, folder: Path, cure: str) -> Finding:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(there, os.W_OK):
        return Finding("limits", what, f"{folder}: cannot be written", "note", cure)
    free = shutil.disk_usage(there).free
    told = f"{folder}: {free / GIB:.1f} GiB free"
    return Finding("limits", what, told, "note", cure) if free < DISK else Finding("limits", what, told, "good")


LOOKS = (
    Look("packages", "versions", packages, "bad"),
    Look("packages", "requirements", requirements, "note"),
    Look("packages", "pair", pair, "bad"),
    Look("packages", "audio files", audio_files, "bad"),
    Look("packages", "TensorBoard", tensorboard, "bad"),
    Look("devices", "CPU", cpu, "bad"),
    Look("devices", "CUDA", cuda, "note"),
    Look("devices", "NCCL", nccl, "note"),
    Look("devices", "gloo", gloo, "note"),
    Look("extras", "extras", extras, "note"),
    Look("limits", "limits", limits, "note"),
)
