"""Jobs that are forked from a process which has imported what they import: as good as those that start anew."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from test_jobs_processes import alive, gone, until

import telucodec
from telucodec.errors import InputError
from telucodec.study.jobs import forks
from telucodec.study.jobs.forks import EVERY, load
from telucodec.study.jobs.job import Job
from telucodec.study.jobs.local import COMMAND, Local, LocalSettings, Process
from telucodec.study.jobs.warm import MODULES, Forked, Warm
from telucodec.training.version import code_version, version_on_disk

ON = LocalSettings(warm=True)
ABOUT = """
import json, os, random, signal, sys, tempfile, threading, uuid
import numpy
cmdline = open("/proc/self/cmdline").read().rstrip(chr(0)).split(chr(0))
same = {
    "words": [sys.argv, sys.orig_argv, cmdline],
    "module": [__name__, __file__, sys.path[0], sys.modules["__main__"].__file__],
    "environment": dict(os.environ),
    "folder": os.getcwd(),
    "session": [os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()],
    "streams": [os.isatty(n) for n in range(3)] + [os.readlink("/proc/self/fd/1"), os.readlink("/proc/self/fd/2")],
    "text": [sys.stdout.encoding, sys.stdout.write_through, sys.stderr.line_buffering],
    "open": sorted(int(n) for n in os.listdir("/proc/self/fd")),
    "signals": [str(signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD)],
    "threads": threading.active_count(),
}
drawn = [random.random(), numpy.random.rand(), uuid.uuid4().hex, tempfile.mktemp(), os.urandom(8).hex()]
print(json.dumps([same, drawn]))
"""


@pytest.fixture(scope="module")
def warm():
    one = Warm(("numpy", "uuid", "tempfile"))
    yield one
    one.close()


@pytest.fixture
def make(tmp_path, warm):
    """Run a script as a job, and wait for it: its exit code, and what it printed."""

    def run(source, devices=(), warm=warm):
        process = begin(tmp_path, source, devices, warm)
        code = process.wait()
        return code, process.log.read_text().rpartition("== started ")[2].partition("\n")[2]

    return run


def begin(folder, source, devices=(), warm=None):
    (folder / "script.py").write_text(source)
    return Process(folder, devices, (sys.executable, str(folder / "script.py")), warm)


def test_what_is_forked_sees_what_is_started_sees_and_draws_numbers_of_its_own(make, monkeypatch):
    monkeypatch.setenv("TELUCODEC_CACHE", "elsewhere")  # after the process that forks was started
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    said = [make(ABOUT, (3, 5), warm=None), make(ABOUT, (3, 5)), make(ABOUT, (3, 5))]
    assert [code for code, _ in said] == [0, 0, 0]
    (started, _), (forked, one), (again, other) = (json.loads(text) for _, text in said)
    assert forked == again == started
    assert started["session"] == [True, True]
    assert (started["environment"]["CUDA_VISIBLE_DEVICES"], started["environment"]["TELUCODEC_CACHE"]) == (
        "3,5",
        "elsewhere",
    )
    assert all(a != b for a, b in zip(one, other, strict=True)), "what one draws, another does not"


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; print('out'); sys.exit('why')", 1, "out\nwhy\n"),
        ("import atexit; atexit.register(print, 'at its end')", 0, "at its end\n"),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
    ],
)
def test_how_what_is_forked_ends_is_known(make, source, code, said):
    assert make(source) == (code, said)


def test_an_error_of_what_is_forked_is_in_its_log(make):
    code, said = make("raise OSError('no such disk')")
    assert code == 1
    assert said.startswith("Traceback")
    assert said.endswith("OSError: no such disk\n")


def test_a_module_is_run_as_python_runs_it(tmp_path, warm):
    folders = [tmp_path / "started", tmp_path / "forked"]
    for folder in folders:
        folder.mkdir()
    started, forked = Process(folders[0], ()), Process(folders[1], (), COMMAND, warm)
    assert (started.wait(), forked.wait()) == (2, 2)
    said = [one.log.read_text().partition("\n")[2] for one in (started, forked)]
    assert said[0] == said[1].replace(str(folders[1]), str(folders[0]))
    assert "holds no job (job.json)" in said[1]


def test_it_is_asked_to_stop_and_killed_with_all_that_it_started(tmp_path, warm):
    asked = begin(tmp_path, "import os; print(len(os.read(0, 1)))", warm=warm)
    until(lambda: asked.poll() is None and asked.process.pid)
    asked.stop()
    assert asked.wait() == 0
    assert asked.log.read_text().endswith("\n0\n")
    killed = begin(tmp_path, "import subprocess; subprocess.run(['sleep', '60'])", warm=warm)
    until(lambda: killed.poll() is None and killed.process.pid and killed.log.exists() and alive(killed.process.pid))
    killed.kill()
    assert killed.wait() == -signal.SIGKILL
    until(lambda: not alive(killed.process.pid))


def test_one_that_has_not_begun_is_killed_too(tmp_path, monkeypatch):
    (tmp_path / "slow.py").write_text("import time; time.sleep(0.5)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    warm = Warm(("slow",))
    process = begin(tmp_path, "open('begun', 'w')", warm=warm)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    after = begin(tmp_path, "pass", warm=warm)
    assert after.wait() == 0
    assert not (tmp_path / "begun").exists()
    warm.close()


def test_what_runs_goes_on_when_the_process_that_forked_it_is_killed_and_another_takes_its_place(tmp_path, capfd):
    launcher = Local(ON, (sys.executable, str(tmp_path / "script.py")), ("numpy",))
    (tmp_path / "script.py").write_text("import os; print(len(os.read(0, 1)))")
    jobs = [Job(f"j{n}", {"n": n}, (), tmp_path) for n in range(3)]
    for one in jobs:
        one.write()
    launcher.expect(3)
    first = launcher.start(jobs[0], ())
    until(lambda: first.poll() is None and first.process.pid)
    os.kill(launcher.warm.process.pid, signal.SIGKILL)
    launcher.warm.process.wait()
    second = launcher.start(jobs[1], ())
    until(lambda: second.poll() is None and second.process.pid)
    assert first.poll() is None
    assert isinstance(second.process, Forked)
    assert second.process.alone is None
    for one in (first, second):
        one.stop()
    assert (first.wait(), second.wait()) == (1, 0), "nobody was left who could tell how the first ended"
    assert first.log.read_text().endswith("\n0\n"), "but it did"
    told = capfd.readouterr().err
    assert "the process that jobs are forked from was killed by SIGKILL: another takes its place" in told
    process = launcher.warm.process
    launcher.expect(0)
    assert process.returncode in (0, -signal.SIGKILL), "with the last job it is over, by itself or killed"


def test_jobs_start_without_it_where_it_cannot_begin_which_is_said(tmp_path, capfd):
    launcher = Local(ON, (sys.executable, "-c", "print('made')"), ("telucodec.no_such",))
    jobs = [Job(f"j{n}", {"n": n}, (), tmp_path) for n in range(2)]
    for one in jobs:
        one.write()
    launcher.expect(2)
    told = "the process that jobs are forked from failed (ModuleNotFoundError: No module named 'telucodec.no_such')"
    first = launcher.start(jobs[0], ())
    assert first.wait() == 0
    assert f"{told}: this one starts without it\nmade\n" in first.log.read_text()
    second = launcher.start(jobs[1], ())
    assert isinstance(second.process, subprocess.Popen)
    assert second.wait() == 0
    said = capfd.readouterr().err
    assert f"{told}: this one starts without it" in said
    assert f"{told}: jobs start without it" in said


@pytest.mark.parametrize(
    ("warm", "count", "forks"), [(True, 2, True), (True, None, True), (True, 1, False), (False, 9, False)]
)
def test_forking_is_for_two_jobs_or_more(tmp_path, warm, count, forks):
    launcher = Local(LocalSettings(warm=warm), (sys.executable, "-c", ""), ())
    launcher.expect(count)
    one = Job("a", {}, (), tmp_path)
    one.write()
    process = launcher.start(one, ())
    assert isinstance(process.process, Forked if forks else subprocess.Popen)
    process.kill()
    process.wait()
    launcher.expect(0)
    assert launcher.warm is None


@pytest.mark.slow
def test_what_runs_import_is_there_and_torch_draws_numbers_of_its_own(tmp_path):
    warm = Warm()
    source = "import sys\nfrom telucodec.training.version import modules\n"
    source += "absent = [name for name in modules() if name not in sys.modules]\n"
    source += "print('lightning' in sys.modules, 'hydra' in sys.modules, absent)\nimport torch\n"
    source += "print(torch.cuda.is_initialized(), torch.rand(4, dtype=torch.float64).tolist())"
    jobs = [begin(tmp_path, source, warm=warm) for _ in range(2)]
    assert [one.wait() for one in jobs] == [0, 0]
    said = [line for line in jobs[0].log.read_text().splitlines() if not line.startswith("==")]
    assert said.count("True True []") == 2
    drawn = [line.removeprefix("False ") for line in said if line.startswith("False")]
    assert len(set(drawn)) == 2
    warm.close()


@pytest.mark.gpu
def test_what_is_forked_computes_on_the_device_that_it_was_given(tmp_path):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    warm = Warm(MODULES)
    source = "import torch; print(torch.cuda.device_count(), torch.arange(4.0, device='cuda').sum().item())"
    jobs = [begin(tmp_path, source, (0,), warm) for _ in range(2)]
    assert [one.wait() for one in jobs] == [0, 0]
    assert jobs[0].log.read_text().count("1 6.0\n") == 2
    warm.close()


def test_modules_that_start_threads_are_refused(tmp_path, monkeypatch):
    (tmp_path / "busy.py").write_text(
        "import threading\nthreading.Thread(target=threading.Event().wait, args=(2,)).start()"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit, match="to import busy starts threads or CUDA"):
        load(["busy"], code_version())


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")  # what is forked does nothing but end
def test_a_look_for_devices_that_would_keep_forks_from_them_is_refused(monkeypatch):
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    here = os.getpid()
    monkeypatch.setattr(torch.cuda, "_is_in_bad_fork", lambda: os.getpid() != here)  # as it is after such a look
    with pytest.raises(SystemExit, match="to import torch starts threads or CUDA"):
        load(["torch"], code_version())


def test_code_that_changes_while_it_is_imported_is_refused(monkeypatch):
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(forks, "_loses_cuda", bool)
    with pytest.raises(SystemExit, match="changed while it was imported"):
        load([], "0" * 12)


PARTS = ("__init__", "errors", "disk", "data/__init__", "data/cache", "training/__init__", "training/version")
JOBS = ("study/__init__", "study/jobs/__init__", "study/jobs/forks")


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A copy of the package that is hardly more than what forks, with a module that can be changed."""
    code_version()  # ours, which this process goes on to say
    ours, copy = Path(telucodec.__file__).parent, tmp_path / "telucodec"
    for name in PARTS + JOBS:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ours / f"{name}.py", copy / f"{name}.py")
    monkeypatch.setattr(telucodec, "__file__", str(copy / "__init__.py"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return copy


def test_code_that_changes_between_jobs_is_never_recorded_for_what_did_not_run(small, tmp_path, capfd):
    changed = small / "changed.py"
    source = "import os, sys\nfrom telucodec.training.version import code_version\nos.read(0, 1)\n"
    source += "from telucodec.changed import VALUE\nprint(code_version(), VALUE)"
    (tmp_path / "script.py").write_text(source)
    launcher = Local(ON, (sys.executable, str(tmp_path / "script.py")), (EVERY,))
    jobs = iter([Job(f"j{n}", {"n": n}, (), tmp_path) for n in range(4)])

    def start():
        one = next(jobs)
        one.write()
        process = launcher.start(one, ())
        until(lambda: process.poll() is None and process.process.pid)
        return process

    def end(process):
        process.stop()
        assert process.wait() == 0
        return process.log.read_text().splitlines()[-1]

    changed.write_text("VALUE = 1")
    old = version_on_disk()
    launcher.expect(4)
    before = start()
    changed.write_text("VALUE = 22")
    new = version_on_disk()
    assert end(between := start()) == f"{new} 22"
    changed.write_text("VALUE = (")
    broken = start()
    broken.stop()
    assert broken.wait() == 1
    changed.write_text("VALUE = 1")
    after = start()
    assert end(before) == f"{old} 1", "though the file had changed before the job asked for it"
    assert end(after) == f"{old} 1"
    assert [isinstance(one.process, Forked) for one in (before, between, broken, after)] == [True, False, False, True]
    assert capfd.readouterr().err.count("the code on disk is not what jobs are forked with") == 2
    launcher.expect(0)


def test_an_environment_of_any_size_reaches_what_is_forked(make, monkeypatch):
    for number in range(20):  # each as large as a process may be started with, all too large for a socket
        monkeypatch.setenv(f"LARGE_{number}", str(number % 10) * 100_000)
    code, said = make("import os; print(sum(len(v) for k, v in os.environ.items() if k.startswith('LARGE_')))")
    assert (code, said) == (0, "2000000\n")


def test_a_request_that_cannot_be_made_is_said(tmp_path, warm, monkeypatch):
    def full(*_):
        raise OSError(errno.EMSGSIZE, "Message too long")

    monkeypatch.setattr("telucodec.study.jobs.warm.socket.send_fds", full)
    with pytest.raises(InputError, match="cannot be started \\(Message too long\\)"):
        begin(tmp_path, "pass", warm=warm)


def test_it_ends_with_the_process_that_started_it():
    code = "from telucodec.study.jobs.warm import Warm; w = Warm(('numpy',)); print(w.process.pid, flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    pid = int(process.stdout.readline())
    assert not gone(pid)
    process.kill()
    process.wait()
    until(lambda: gone(pid))
