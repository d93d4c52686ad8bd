"""Stopped at any moment, preparation goes on where it was, and ends as if it had never been stopped."""

import json
import os
import signal as signals
import subprocess
import sys
import time
from pathlib import Path

import pytest
from speechlike import QUIET, save, signal

from telucodec.data.convert import convert
from telucodec.data.prepare import JOURNAL, Options, prepare

SCRIPT = """
import sys, time
from pathlib import Path
from rich.console import Console
import telucodec.data.prepare as room
from telucodec.data.convert import convert

def slowly(job):
    time.sleep(0.1)
    return convert(job)

if __name__ == "__main__":
    room.convert = slowly
    try:
        room.prepare(Path(sys.argv[1]), Path(sys.argv[2]), room.Options(workers=2), Console(quiet=True))
    except KeyboardInterrupt:
        sys.exit(130)
"""
FILES = 40


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("source")
    for n in range(FILES):
        save(folder / f"{n}.wav", signal(0.5, seed=n))
    (folder / "junk.wav").write_bytes(b"junk" * 50)
    return folder


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def lines(journal):
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def start_and_stop(source, dest, stop, tmp_path):
    """Start preparation in a process group of its own, and stop it in the middle; returns its exit code and workers."""
    script = tmp_path / "slowly.py"
    script.write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, script, source, dest], start_new_session=True)
    deadline = time.monotonic() + 60
    while lines(dest / JOURNAL) < 8:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    workers = [int(pid) for pid in children.read_text().split()] if children.exists() else []
    stop(process)
    return process.wait(timeout=30), workers


def kill(process):
    process.kill()


def interrupt(process):
    os.killpg(process.pid, signals.SIGINT)  # as a terminal does on Ctrl-C: to parent and workers alike


def gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except OSError:
        return True


@pytest.mark.parametrize(("stop", "code"), [(kill, -signals.SIGKILL), (interrupt, 130)])
def test_stopped_and_started_again_equals_never_stopped(source, tmp_path, stop, code):
    prepare(source, tmp_path / "whole", Options(workers=0), QUIET)
    dest = tmp_path / "stopped"
    returned, workers = start_and_stop(source, dest, stop, tmp_path)
    assert returned == code
    assert 8 <= lines(dest / JOURNAL) < FILES + 1
    assert not (dest / "manifest.jsonl").exists()
    deadline = time.monotonic() + 10
    while not all(map(gone, workers)):
        assert time.monotonic() < deadline, "workers outlive their parent"
        time.sleep(0.05)
    done = {path: path.stat().st_mtime_ns for path in finished(dest)}
    assert len(done) >= 7
    with (dest / JOURNAL).open("a") as journal:
        journal.write('{"key": "half a li')  # what a power cut leaves
    (dest / "audio" / ".x.flac.1.partial").touch()
    prepare(source, dest, Options(workers=0), QUIET)
    assert {path: path.stat().st_mtime_ns for path in done} == done  # nothing finished was done again
    assert contents(dest) == contents(tmp_path / "whole")


def finished(dest):
    rows = [json.loads(line) for line in (dest / JOURNAL).read_text().split("\n") if line.endswith("}")]
    return [dest / row["output"] for row in rows if "measured" in row]


def test_interrupted_in_this_process(source, tmp_path, monkeypatch):
    done = []

    def stops(job):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(job.name)
        return convert(job)

    monkeypatch.setattr("telucodec.data.prepare.convert", stops)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, tmp_path / "out", Options(workers=0), QUIET)
    monkeypatch.undo()
    again = []
    monkeypatch.setattr("telucodec.data.prepare.convert", lambda job: again.append(job.name) or convert(job))
    prepare(source, tmp_path / "out", Options(workers=0), QUIET)
    assert len(again) == FILES + 1 - 5
    assert not set(again) & set(done)


def test_a_full_disk_names_the_file_and_keeps_what_is_done(source, tmp_path, monkeypatch):
    from telucodec.errors import InputError

    written = []

    def full(path, *args, **how):
        if len(written) == 3:
            raise OSError(28, "No space left on device")
        written.append(path)
        return os_replace(path, *args, **how)

    os_replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: full(a, b) if str(b).endswith(".flac") else os_replace(a, b))
    with pytest.raises(InputError, match=r"\.flac: cannot be written \(No space left on device\)\. Free some space"):
        prepare(source, tmp_path / "out", Options(workers=0), QUIET)
    monkeypatch.undo()
    assert lines(tmp_path / "out" / JOURNAL) == 3
    prepare(source, tmp_path / "out", Options(workers=0), QUIET)
    prepare(source, tmp_path / "whole", Options(workers=0), QUIET)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
