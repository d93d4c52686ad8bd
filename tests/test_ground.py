import math
import os
import stat

import pytest
import torch

from telucodec.disk import holding, is_held, replacing, write_text
from telucodec.errors import InputError, above, at_least, inside
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
        with pytest.raises(InputError, match="another process"), holding(path):
            pass
    assert not is_held(path)


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
