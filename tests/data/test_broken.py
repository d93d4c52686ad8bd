"""Files that break after a run has begun: another crop stands in, and too many end the run."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from rich.console import Console
from torch.utils.data import DataLoader

from telucodec.audio.files import read
from telucodec.data.folder import index_folder
from telucodec.data.level import AsRecorded
from telucodec.data.sampler import CropOrder, EndlessBatches
from telucodec.data.segments import TRIES, Segments, collate
from telucodec.errors import InputError
from telucodec.records import Batch, Broken
from telucodec.training.callbacks.broken import BrokenFiles
from telucodec.training.callbacks.logging import Logging

CROP = 1600


def segments(folder):
    manifest = index_folder(folder, Console(quiet=True)).manifest
    return Segments(
        manifest, manifest.entries, CropOrder([e.samples for e in manifest.entries], CROP, seed=0), AsRecorded()
    )


def cut(file):
    file.write_bytes(file.read_bytes()[:200])


def flip(file):
    """One bit in the middle of each frame: FLAC has a checksum for each (WAV has none, and plays what it gets)."""
    raw = bytearray(file.read_bytes())
    raw[200::500] = bytes(byte ^ 16 for byte in raw[200::500])
    file.write_bytes(raw)


def not_finite(file):
    audio = np.full(soundfile.info(file).frames, np.nan, np.float32)
    soundfile.write(file, audio, 16000, "FLOAT", format="WAV")


DAMAGE = {"deleted": lambda file: file.unlink(), "cut": cut, "flipped": flip, "not finite": not_finite}


@pytest.mark.parametrize("damage", DAMAGE)
def test_another_crop_stands_in_for_a_broken_one(speech_folder, damage):
    data = segments(speech_folder)
    whole = [data[position] for position in range(40)]
    entry = data.order(0).entry
    file = data.manifest.locate(data.entries[entry])
    DAMAGE[damage](file)
    touched = [position for position in range(40) if data.order(position).entry == entry]
    assert 1 < len(touched) < 40
    for position in range(40):
        item = data[position]
        if position not in touched:
            assert (item.file, item.broken) == (whole[position].file, ())
            assert torch.equal(item.audio, whole[position].audio)
            continue
        assert {broken.file for broken in item.broken} == {str(file)}
        assert item.broken[0].why.startswith(f"{file}: ")
        crop = data.order.instead(position, len(item.broken))
        good = data.manifest.locate(data.entries[crop.entry])
        assert item.file == str(good) != str(file)
        assert torch.equal(item.audio, torch.from_numpy(read(good)[0][:, crop.start : crop.start + CROP]))


def test_who_stands_in_depends_on_nothing_but_seed_and_position(speech_folder):
    data = segments(speech_folder)
    for entry in data.entries[::2]:
        data.manifest.locate(entry).unlink()
    backwards = [data[position] for position in reversed(range(24))][::-1]

    def heard(count, start, workers, rank=0, ranks=1):
        order = EndlessBatches(4, start, rank, ranks)
        batches = iter(DataLoader(data, batch_sampler=order, num_workers=workers, collate_fn=collate))
        return [next(batches) for _ in range(count)]

    whole, by_workers, resumed = heard(6, 0, 0), heard(6, 0, 2), heard(3, 12, 0)
    assert all(torch.equal(a.audio, b.audio) and a.broken == b.broken for a, b in zip(whole, by_workers, strict=True))
    assert all(torch.equal(a.audio, b.audio) and a.broken == b.broken for a, b in zip(whole[3:], resumed, strict=True))
    assert torch.equal(whole[1].audio, torch.cat([heard(2, 0, 0, rank, 2)[1].audio for rank in range(2)]))
    assert torch.equal(torch.cat([batch.audio for batch in whole]), torch.stack([item.audio for item in backwards]))
    assert sum(len(batch.broken) for batch in whole) == sum(len(item.broken) for item in backwards) > 6
    other = CropOrder(data.order.lengths, CROP, seed=1)
    assert [data.order.instead(k, 1) for k in range(24)] != [other.instead(k, 1) for k in range(24)]


def test_where_nothing_can_be_read_there_is_silence_after_so_many_tries(speech_folder):
    data = segments(speech_folder)
    for entry in data.entries:
        data.manifest.locate(entry).unlink()
    item = data[0]
    assert item.audio.shape == (1, CROP)
    assert not item.audio.any()
    assert len(item.broken) == TRIES
    assert item.file == str(data.manifest.locate(data.entries[data.order(0).entry]))


class Record:
    """Keeps what it is told."""

    def __init__(self):
        self.incidents, self.rows = [], []

    def tell(self, row):
        self.incidents.append(row)

    def log_metrics(self, figures, step):
        self.rows.append((step, figures))


def watch(rate, grace, batch_size=4):
    run = SimpleNamespace(record=Record(), console=Console(quiet=True), data=SimpleNamespace(batch_size=batch_size))
    return BrokenFiles(rate=rate, grace=grace, run=run), run.record


def step(callback, record, number, *files):
    trainer = SimpleNamespace(global_step=number, loggers=[record])
    batch = Batch(torch.zeros(4, 1, 8), ("",) * 4, tuple(Broken(file, f"{file}: gone.") for file in files))
    callback.on_train_batch_end(trainer, None, None, batch, 0)


def test_files_are_named_once_and_crops_counted():
    callback, record = watch(0.5, 1)
    step(callback, record, 3, "a", "b", "a")
    step(callback, record, 4)
    again, _ = watch(0.5, 1)
    again.load_state_dict(json.loads(json.dumps(callback.state_dict())))
    step(again, record, 5, "b", "c")
    assert record.rows == [(3, {"data/broken": 3}), (5, {"data/broken": 5})]
    assert [(row["step"], row["file"]) for row in record.incidents] == [(3, "a"), (3, "b")]
    assert again.run.record.incidents[0]["why"] == "c: gone."


def test_more_than_the_rate_end_the_run_once_there_are_a_few():
    """4 crops a step: 3 of 24 are 12.5 %, at the rate; 4 of 28 are 14 %, above it. 2 are never too many."""
    callback, record = watch(0.125, 2)
    step(callback, record, 1, "a", "b")
    step(callback, record, 6, "c")
    with pytest.raises(InputError, match=r"^4 of 28 training crops could not be read by step 7, more than .*a: gone"):
        step(callback, record, 7, "a")


def test_a_disk_that_is_gone_ends_the_run_whatever_the_rate():
    callback, record = watch(0.9, 10**6)
    step(callback, record, 10**6, *"abcdefghijklmnopqrs")
    with pytest.raises(InputError, match="20 files"):
        step(callback, record, 10**6, *"abcdefghijklmnopqrst")


@pytest.mark.parametrize(("values", "message"), [((1.0, 1), r"rate must be in \[0, 1\)"), ((0.1, -1), "grace must be")])
def test_wrong_values_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        watch(*values)


@pytest.fixture
def vanishing(monkeypatch):
    """Half of the training files are gone when the second step has been logged."""
    logged = Logging.on_train_batch_end

    def gone(self, trainer, *rest):
        logged(self, trainer, *rest)
        data = trainer.datamodule
        for entry in data.train_entries[::2] if trainer.global_step == 2 else ():
            data.manifest.locate(entry).unlink()

    monkeypatch.setattr(Logging, "on_train_batch_end", gone)


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def test_a_run_goes_on_without_them_and_tells(train, vanishing, capsys):
    code, run = train("callback.broken.rate=0.9")
    assert code == 0
    out = " ".join(capsys.readouterr().out.split())
    counts = [row["data/broken"] for row in rows(run) if "data/broken" in row]
    told = [json.loads(line) for line in (run / "incidents.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows(run) if "loss/l1" in row] == [1, 2, 3, 4, 5, 6]
    assert counts == sorted(counts)
    assert counts[-1] >= len(told) >= 1
    assert len({row["file"] for row in told}) == len(told)
    assert all(f"another crop in its place: {row['why']}" in out for row in told)


def test_a_run_with_too_many_ends(train, vanishing, capsys):
    code, run = train("broken=refuse")
    assert code == 2
    assert "training crops could not be read by step" in " ".join(capsys.readouterr().err.split())
    assert json.loads((run / "run.json").read_text())["status"] == "failed"
