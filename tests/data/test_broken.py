"""Files that break after a run has begun: another crop stands in, and too many end the run."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from rich.console import Console
from test_crops import folder_source, prepared, speech
from torch.utils.data import DataLoader

from conftest import voices
from telucodec.audio.files import read, write
from telucodec.data.continued import damaged
from telucodec.data.folder import index_folder
from telucodec.data.level import AsRecorded
from telucodec.data.manifest import read_manifest
from telucodec.data.sampler import CropOrder, EndlessBatches
from telucodec.data.segments import TRIES, Segments, collate
from telucodec.data.source import FromManifest
from telucodec.errors import InputError
from telucodec.records import Batch, Broken
from telucodec.training.callbacks.broken import BrokenFiles
from telucodec.training.callbacks.logging import Logging
from telucodec.training.resume import DATA, bind_data

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
    assert [each.silent for each in item.broken] == [False] * (TRIES - 1) + [True]
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


def step(callback, record, number, *files, silent=""):
    trainer = SimpleNamespace(global_step=number, loggers=[record])
    broken = tuple(Broken(file, f"{file}: gone.", file == silent) for file in files)
    batch = Batch(torch.zeros(4, 1, 8), ("",) * 4, broken)
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
    """Told by a place that stays silent, and not by how many crops of all places were broken."""
    callback, record = watch(0.9, 10**6)
    step(callback, record, 10**6, *"abcdefghijklmnopqrstuvwxyz")
    with pytest.raises(InputError, match=r"^20 training crops in a row .* for one place in step 1000001: .*last: c: g"):
        step(callback, record, 10**6 + 1, *"abcd", silent="c")


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


def begun(speech_folder, tmp_path, kind):
    """A run's source, its list of utterances and what it has to train on."""
    source = folder_source(speech_folder)
    if kind == "manifest":
        source = FromManifest(manifest=str(prepared(speech_folder, tmp_path)[0]))
    bind_data(tmp_path, speech(source).prepare())
    return source, tmp_path / DATA, read_manifest(tmp_path / DATA)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", ["folder", "manifest"])
def test_a_resume_keeps_the_list_of_a_run_whose_training_file_broke(speech_folder, tmp_path, kind, damage):
    source, kept, before = begun(speech_folder, tmp_path, kind)
    file = before.locate(before.split("train")[1])
    DAMAGE[damage](file)
    data = speech(source)
    found = data.prepare(kept)
    assert [str(found.locate(entry)) for entry in found.entries] == [entry.path for entry in before.entries]
    assert bind_data(tmp_path, found)["utterances"] == 12
    heard = data.utterances("train")
    with pytest.raises(InputError, match=file.name):
        _ = heard[1]
    assert torch.equal(heard.readable(1).audio, heard[2].audio)
    assert data.crops("train", 99).shape == (len(heard), 1, 1600)
    if (kind, damage) == ("manifest", "deleted"):
        with pytest.raises(InputError, match="missing"):
            speech(source).prepare()


@pytest.mark.parametrize(("kind", "message"), [("folder", "not what they were"), ("manifest", "changed|missing")])
@pytest.mark.parametrize("what", ["longer", "shorter", "no valid", "cut test"])
def test_a_resume_refuses_other_recordings_and_all_that_touches_figures(speech_folder, tmp_path, kind, message, what):
    source, kept, before = begun(speech_folder, tmp_path, kind)
    before.locate(before.split("train")[0]).unlink()  # which alone it would go on without
    if what == "no valid":
        before.locate(before.split("valid")[0]).unlink()
    elif what == "cut test":
        cut(before.locate(before.split("test")[0]))
    else:
        write(before.locate(before.split("train")[1]), voices(50, 2.0 if what == "longer" else 0.3), 16000)
    with pytest.raises(InputError, match=message):
        bind_data(tmp_path, speech(source).prepare(kept))


def test_a_cut_wav_is_damaged_and_another_recording_is_not(tmp_path):
    file = tmp_path / "a.wav"
    write(file, voices(0, 0.5), 16000)
    whole = file.read_bytes()
    assert not damaged(file)
    file.write_bytes(whole[: len(whole) // 2])
    assert 0 < read(file)[0].shape[1] < 8000, "it can be read"
    assert damaged(file)
    write(file, voices(0, 0.25), 16000)
    assert not damaged(file)
    file.unlink()
    assert damaged(file)


def test_a_run_that_lost_a_training_file_is_resumed(train, capsys):
    """The file of the first crop behind the stop."""
    _, run = train("max_steps=2")
    entries = read_manifest(run / DATA).split("train")
    order = CropOrder([entry.samples for entry in entries], round(0.064 * 16000), seed=0)
    file = run / entries[order(2 * 4).entry].path
    file.unlink()
    capsys.readouterr()
    code, again = train("resume=must", "max_steps=3", "broken=refuse")
    assert (code, again) == (2, run)
    told = " ".join(capsys.readouterr().err.split())
    assert f"could not be read by step 3, more than callback.broken.rate 0 allows; 1 files, the last: {file}" in told
    code, again = train("resume=must", "max_steps=3")
    assert (code, again) == (0, run)
    told = [json.loads(line) for line in (run / "incidents.jsonl").read_text().splitlines()]
    assert [(row["step"], row["file"]) for row in told] == [(3, str(file))]
    counts = [row["data/broken"] for row in rows(run) if "data/broken" in row]
    assert counts[0] >= 1
    assert json.loads((run / "summary.json").read_text())["steps"] == 3
