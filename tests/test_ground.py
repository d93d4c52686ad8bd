import math
import os
import signal
import stat

import pytest
import torch

from telucodec.disk import holding, is_held, remove_partial, replacing, write_text
from telucodec.errors import BusyError, InputError, above, at_least, inside
from telucodec.precision import in_float32


def test_a_failed_write_leaves_what_stood_there(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def interrupted():
        with replacing(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_on_the_disk_before_it_has_its_name_and_then_its_folder_is(tmp_path, monkeypatch):
    flush, rename, done = os.fsync, os.replace, []

    def flushed(descriptor):
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        flush(descriptor)

    def renamed(source, target):
        done.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", flushed)
    monkeypatch.setattr(os, "replace", renamed)
    write_text(tmp_path / "a.txt", "x")
    assert done == ["file", "rename", "folder"]


def test_what_is_written_has_the_usual_permissions(tmp_path):
    mask = os.umask(0o022)
    try:
        write_text(tmp_path / "a.txt", "x")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/a\.txt: cannot be written"):
        write_text(tmp_path / "file" / "a.txt", "x")


def test_a_lock_is_held_by_one_and_free_afterwards(tmp_path):
    path = tmp_path / "run" / ".lock"
    assert not is_held(path)
    with holding(path):
        assert is_held(path)
        with pytest.raises(BusyError, match="another process"), holding(path):
            pass
    assert not is_held(path)
    path.write_text("kept")
    with holding(path):
        assert path.read_text() == "kept", "a lock is never emptied"


def test_a_process_that_was_forked_does_not_hold_its_parents_lock(tmp_path):
    """A loading process outlives a training process that was killed by some seconds."""
    path = tmp_path / ".lock"
    hears, told = os.pipe()
    killed = os.fork()
    if killed == 0:
        with holding(path):
            os.write(told, str(os.fork() or os.getpid()).encode().ljust(10))  # both of them say who the child is
            signal.pause()
    outlives = {int(os.read(hears, 10)) for _ in range(2)}
    assert is_held(path)
    os.kill(killed, signal.SIGKILL)
    os.waitpid(killed, 0)
    assert not is_held(path)
    for pid in outlives:
        os.kill(pid, signal.SIGKILL)


def test_what_a_killed_process_left_half_written_is_removed(tmp_path):
    write_text(tmp_path / "a.json", "whole")
    (tmp_path / ".a.json.123.partial").write_text("ha")
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / ".b.json.123.partial").write_text("ha")
    remove_partial(tmp_path)
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == [".b.json.123.partial", "a.json"]


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf, [1, -1]])
def test_bounds_refuse_what_lies_outside_and_what_is_no_number(value):
    with pytest.raises(ValueError, match="x must be >= 0"):
        at_least(0, x=value)
    if not isinstance(value, list):
        with pytest.raises(ValueError, match="x must be > 0"):
            above(0, x=value)
        with pytest.raises(ValueError, match="x must be in"):
            inside(0, 1, x=value)


def test_empty_lists_are_refused():
    with pytest.raises(ValueError, match="x must not be empty"):
        at_least(0, x=[])


def test_numbers_stay_long_inside_autocast():
    a = torch.randn(8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
        with in_float32(a.device):
            assert (a @ a).dtype == torch.float32
