"""Checkpoints on disks that fail: whole or absent, and what has changed is found."""

import io
import os
import random
import resource
import signal
import time
from types import SimpleNamespace
from zipfile import ZipFile

import pytest
import torch
from rich.console import Console
from stopped_run import assert_same, in_a_child

from conftest import toy_module
from telucodec.errors import DivergedError, InputError
from telucodec.models.stored import CONFIG_VERSION
from telucodec.training.callbacks.saving import Saving
from telucodec.training.callbacks.stop import Stop
from telucodec.training.callbacks.validation import Validation
from telucodec.training.checkpoint import (
    FORMAT,
    AtomicIO,
    newest_checkpoint,
    random_states,
    read_checkpoint,
    restore_random_states,
    saved,
    write_checkpoint,
)


def content(step, values=1000):
    """A checkpoint as small as one can be, whose numbers follow from its step."""
    own = {"format": FORMAT, "config_version": CONFIG_VERSION, "version": "0"}
    own |= {"random": [random_states()], "clipping": {"codec": (2, torch.tensor([1.0, step]))}}
    weights = {"weight": torch.full((values,), float(step)), "codes": torch.arange(300), "on": torch.tensor([True])}
    theirs = {"optimizer_states": [], "callbacks": {}, "pytorch-lightning_version": "2.5.0"}
    theirs |= {"loops": {"fit": [0.5, None, "x"]}}
    return theirs | {"telucodec": own, "global_step": step, "state_dict": weights}


def written(folder, step, values=1000):
    path = folder / "checkpoints" / f"step-{step:09d}.ckpt"
    write_checkpoint(content(step, values), path)
    return path


def test_a_flipped_bit_is_found_or_does_no_harm(tmp_path):
    """Of 40 random ones; those that are not found lie in what no reader looks at, such as dates in the archive."""
    path = written(tmp_path, 1)
    before, bytes_ = read_checkpoint(path), path.read_bytes()
    draw, found = random.Random(0), 0
    for _ in range(40):
        changed = bytearray(bytes_)
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
        path.write_bytes(changed)
        now, skipped = newest_checkpoint(tmp_path)
        if now is None:
            assert "step-000000001.ckpt: damaged" in skipped[0]
            found += 1
        else:
            assert_same(read_checkpoint(path), before)
    assert found >= 10


def test_every_byte_of_a_tensor_is_watched(tmp_path):
    """torch alone reads the changed number as if nothing had happened."""
    path = written(tmp_path, 1)
    whole, pattern = path.read_bytes(), torch.full((1000,), 1.0).numpy().tobytes()
    start = whole.index(pattern)
    for place in (0, 1, 1999, 3999):
        changed = bytearray(whole)
        changed[start + place] ^= 1
        path.write_bytes(changed)
        assert not torch.equal(torch.load(path)["state_dict"]["weight"], torch.ones(1000))
        with pytest.raises(InputError, match=r"damaged .* has changed since it was written"):
            read_checkpoint(path)


def test_a_cut_file_is_named_and_the_one_before_it_is_used(tmp_path):
    older, newer = written(tmp_path, 1), written(tmp_path, 2)
    whole = newer.read_bytes()
    for part in (0, 1, 30, len(whole) // 2, len(whole) - 1):
        newer.write_bytes(whole[:part])
        path, skipped = newest_checkpoint(tmp_path)
        assert path == older
        assert len(skipped) == 1
        assert "step-000000002.ckpt: damaged" in skipped[0]
    newer.write_bytes(whole)
    assert newest_checkpoint(tmp_path) == (newer, [])


def test_its_checksums_are_those_that_unzip_knows(tmp_path):
    with ZipFile(written(tmp_path, 1)) as archive:
        assert archive.testzip() is None
        assert all(info.CRC for info in archive.infolist() if info.file_size)


def test_a_checkpoint_of_format_1_is_read_as_one_of_now(tmp_path):
    """It had one process's random states, those of every device among them, and no counters of clipping."""
    path, states = written(tmp_path, 1), random_states()
    old = content(1)
    old["telucodec"] |= {"format": 1, "random": states | {"cuda": [torch.ones(4), torch.zeros(4)]}}
    del old["telucodec"]["clipping"]
    write_checkpoint(old, path)
    own = read_checkpoint(path)["telucodec"]
    assert (own["format"], own["clipping"]) == (FORMAT, {})
    assert_same(own["random"], [states | {"cuda": torch.ones(4)}])


@pytest.mark.parametrize("change", [{"format": FORMAT + 1}, {"format": 0}, {"format": 1, "config_version": 1}])
def test_other_versions_are_refused_by_name(tmp_path, change):
    path, other = written(tmp_path, 1), content(1)
    other["telucodec"] |= change
    write_checkpoint(other, path)
    with pytest.raises(InputError, match=rf"checkpoint format {change['format']}, config version"):
        read_checkpoint(path)


@pytest.mark.parametrize("own", [None, {}, [], {"format": 1, "config_version": CONFIG_VERSION, "version": "0"}])
def test_what_is_no_checkpoint_of_ours_is_named(tmp_path, own):
    path = tmp_path / "a.ckpt"
    write_checkpoint(content(1) | {"telucodec": own}, path)
    with pytest.raises(InputError, match=r"a\.ckpt: damaged or no checkpoint"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer_states", None), ("loops", []), ("callbacks", 5), ("pytorch-lightning_version", "\0"),
        ("telucodec", {"random": {}}), ("telucodec", {"clipping": []}),
    ],
)  # fmt: skip
def test_a_whole_archive_that_lacks_a_part_is_named_and_the_one_before_it_is_used(tmp_path, key, value):
    older, newer = written(tmp_path, 1), written(tmp_path, 2)
    other = content(2)
    other[key] = other[key] | value if key == "telucodec" else value
    write_checkpoint(other, newer)
    path, skipped = newest_checkpoint(tmp_path)
    assert path == older
    assert "step-000000002.ckpt: damaged or no checkpoint of telucodec" in skipped[0]


def test_a_pipe_in_the_place_of_a_checkpoint_is_passed_over(tmp_path):
    older = written(tmp_path, 1)
    os.mkfifo(older.with_name("step-000000002.ckpt"))
    assert newest_checkpoint(tmp_path)[0] == older


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "step-1.ckpt"
    AtomicIO().save_checkpoint({"a": 1}, path)
    before = path.read_bytes()

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(InputError, match=r"step-1\.ckpt: cannot be written \(No space left on device\)"):
        AtomicIO().save_checkpoint({"a": 2}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_of_several_processes_all_hear_of_a_failed_save(tmp_path, monkeypatch):
    """The one that writes goes on to where the others wait, and then all raise."""
    monkeypatch.setattr("telucodec.ranks.together", lambda: True)
    (tmp_path / "file").write_text("")
    checkpoints = AtomicIO()
    checkpoints.save_checkpoint({"a": 1}, tmp_path / "file" / "a.ckpt")
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"a\.ckpt: cannot be written"):
        checkpoints.check()


def test_a_truly_full_disk_is_an_error_that_names_the_file(tmp_path):
    """/dev/full takes no byte: the partial file is made a link to it."""
    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    path = tmp_path / "step-1.ckpt"
    path.with_name(f".{path.name}.{os.getpid()}.partial").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"step-1\.ckpt: cannot be written"):
        AtomicIO().save_checkpoint({"a": torch.zeros(100_000)}, path)
    assert not path.exists()


def test_a_disk_that_fills_up_while_it_is_written_leaves_nothing(tmp_path):
    """The system stops the write after 64 KiB of 400."""
    older, path = written(tmp_path, 1), tmp_path / "checkpoints" / "step-000000002.ckpt"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, hard))
    try:
        with pytest.raises(InputError, match=r"step-000000002\.ckpt: cannot be written"):
            write_checkpoint(content(2, 100_000), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert newest_checkpoint(tmp_path) == (older, [])
    assert list(older.parent.iterdir()) == [older]


def test_a_folder_that_may_not_be_written_is_an_error_that_names_the_file(tmp_path):
    older = written(tmp_path, 1)

    def refused():
        if os.getuid() == 0:
            os.setuid(65534)  # whom nothing belongs to
        with pytest.raises(InputError, match=r"step-000000002\.ckpt: cannot be written \(Permission denied\)"):
            write_checkpoint(content(2), older.with_name("step-000000002.ckpt"))

    for folder in [*tmp_path.parents][:3]:  # pytest keeps them to itself
        folder.chmod(0o755)
    older.parent.chmod(0o555)
    try:
        assert in_a_child(refused) == 0
    finally:
        older.parent.chmod(0o755)
    assert newest_checkpoint(tmp_path) == (older, [])


def test_a_save_killed_at_50_moments_always_leaves_a_loadable_checkpoint(tmp_path):
    """A process saves again and again, 1 MB each, and is killed somewhere in its first, second or third save."""
    values, draw, reached = 250_000, random.Random(0), 0
    began = time.monotonic()
    written(tmp_path, 0, values)
    lasts = time.monotonic() - began

    def again_and_again(told, step):
        while True:
            os.write(told, b"x")
            step += 1
            written(tmp_path, step, values)
            for old in sorted(saved(tmp_path).items())[:-2]:
                old[1].unlink()

    for _ in range(50):
        hears, told = os.pipe()
        child = os.fork()
        if child == 0:
            again_and_again(told, reached)
        done = draw.randrange(3)
        for _ in range(1 + done):
            os.read(hears, 1)
        time.sleep(draw.uniform(0, lasts))
        os.kill(child, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        os.close(hears)
        os.close(told)
        path, skipped = newest_checkpoint(tmp_path)
        assert path is not None
        assert skipped == []
        found = read_checkpoint(path)
        assert found["global_step"] >= reached + done
        reached = found["global_step"]
        assert torch.equal(found["state_dict"]["weight"], torch.full((values,), float(reached)))


class Trainer(SimpleNamespace):
    """What `Saving` asks of Lightning's."""

    is_global_zero = True
    max_steps = 8
    flushed = 0  # the step up to which the record is on the disk

    def save_checkpoint(self, path):
        assert self.flushed == self.global_step
        write_checkpoint(content(self.global_step), path)


def saving(folder, values, module=None, validated=1, **given):
    """A run of 8 steps whose validations log some values of val/snr; gives the steps whose checkpoints are left."""

    def history(key):
        return [(step, value) for step, value in values.items() if key == "val/snr" and step <= trainer.global_step]

    record = SimpleNamespace(history=history, flush=lambda: setattr(trainer, "flushed", trainer.global_step))
    validation = Validation.__new__(Validation)
    validation.every = validated
    run = SimpleNamespace(folder=folder, record=record, stop=Stop())
    callback, module = Saving(run=run, **given), module or toy_module()
    trainer = Trainer(strategy=SimpleNamespace(checkpoint_io=AtomicIO()), global_step=0, callbacks=[validation])
    callback.on_train_start(trainer, module)
    for step in range(1, 9):
        trainer.global_step = step
        callback.on_train_batch_end(trainer, module, None, None, step)
    return sorted(saved(folder))


SNR = {0: 20.0, 2: 1.0, 4: 3.0, 5: 9.0, 6: 9.0, 7: 2.0, 8: float("nan")}


@pytest.mark.parametrize(
    ("best", "keep", "left"),
    [
        (None, 1, [8]),
        (None, 3, [4, 6, 8]),
        ("highest val/snr", 1, [5, 8]),  # saved for its own sake; 0 was before the first step, 6 is no better
        ("lowest val/snr", 2, [2, 6, 8]),
    ],
)
def test_the_newest_are_kept_and_the_best(tmp_path, best, keep, left):
    assert saving(tmp_path, SNR, every=2, keep=keep, best=best) == left


def test_whether_it_is_the_best_is_asked_after_a_validation_alone(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(Saving, "_leads", lambda self, step: asked.append(step))
    saving(tmp_path, SNR, validated=3, every=8, keep=1, best="highest val/snr")
    assert asked == [3, 6]


def test_codebooks_of_their_own_go_on_as_the_first_ones_which_is_said(tmp_path):
    for policy, told in (("own", True), ("all", False)):
        console = Console(file=io.StringIO(), width=300)
        callback = Saving(every=1, keep=1, best=None, run=SimpleNamespace(console=console))
        callback.on_load_checkpoint(Trainer(), toy_module(f"ranks={policy}"), {"telucodec": {"random": [{}, {}]}})
        assert ("holds the first process's codebooks" in console.file.getvalue()) == told


def test_a_damaged_newer_checkpoint_does_not_push_out_the_good_ones(tmp_path):
    """It is counted as none: a run that goes on from step 4 keeps 6 and 8 as if there were no 20."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-000000020.ckpt").write_bytes(b"x")
    assert saving(tmp_path, {}, every=2, keep=2, best=None) == [6, 8, 20]
    assert newest_checkpoint(tmp_path)[0].name == "step-000000008.ckpt"


@pytest.mark.parametrize("best", ["val/snr", "highest", "highest ", "best val/snr"])
def test_what_is_best_must_be_said(tmp_path, best):
    with pytest.raises(ValueError, match='best must be null, "highest KEY" or "lowest KEY"'):
        saving(tmp_path, {}, every=2, keep=1, best=best)


def test_a_figure_that_no_validation_logs_is_refused_at_the_start(tmp_path):
    with pytest.raises(InputError, match="no validation has logged 'val/srn'"):
        saving(tmp_path, {}, every=2, keep=1, best="highest val/srn")


def test_weights_that_are_not_finite_are_not_saved(tmp_path):
    spoiled = toy_module()
    with torch.no_grad():
        next(spoiled.codec.parameters()).fill_(float("nan"))
    with pytest.raises(DivergedError, match="not finite any more at step 2"):
        saving(tmp_path, {}, spoiled, every=2, keep=1, best=None)
    assert saved(tmp_path) == {}


def test_random_states_come_back():
    import numpy as np

    def draw():
        return random.random(), np.random.rand(), torch.randn(3).tolist()  # noqa: NPY002

    draw()
    states = random_states()
    first = draw()
    assert draw() != first
    restore_random_states(states)
    assert draw() == first
