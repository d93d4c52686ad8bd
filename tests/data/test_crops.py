import pickle
import signal

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from conftest import voices
from telucodec.audio.files import read, write
from telucodec.data.folder import index_folder
from telucodec.data.level import AsRecorded
from telucodec.data.manifest import write_manifest
from telucodec.data.module import SpeechData
from telucodec.data.sampler import CropOrder, EndlessBatches
from telucodec.data.segments import Segments, Utterances, collate, ignore_interrupt
from telucodec.data.source import Embedded, FromFolder, FromManifest
from telucodec.errors import InputError


def folder_source(root, speaker_from="parent"):
    fractions = {"valid_fraction": 0.2, "test_fraction": 0.2}
    return FromFolder(root=str(root), seed=0, speaker_from=speaker_from, sample_rate=16000, **fractions)


def speech(source, **options):
    defaults = {"sample_rate": 16000, "segment_seconds": 0.1, "batch_size": 4, "workers": 0, "seed": 0}
    return SpeechData(source=source, level=AsRecorded(), pin_memory=False, **(defaults | options))


def test_an_epoch_offers_each_utterance_by_its_length():
    order = CropOrder([100, 250, 1000], crop=100, seed=0)
    entries = [order(position).entry for position in range(len(order))]
    assert [entries.count(k) for k in range(3)] == [1, 2, 10]


def test_crops_lie_inside_and_differ_between_epochs():
    order = CropOrder([150, 90], crop=100, seed=0)
    crops = [order(position) for position in range(200)]
    assert all(0 <= crop.start <= 50 for crop in crops if crop.entry == 0)
    assert all(crop.start == 0 for crop in crops if crop.entry == 1)
    assert len({crop.start for crop in crops if crop.entry == 0}) > 30


def test_the_order_is_a_function_of_seed_epoch_and_index():
    a, b, c = (CropOrder([500] * 20, crop=100, seed=seed) for seed in (3, 3, 4))
    backwards = [b(position) for position in reversed(range(300))][::-1]
    assert [a(position) for position in range(300)] == backwards
    assert [a(position) for position in range(300)] != [c(position) for position in range(300)]


def test_a_batch_is_drawn_at_once_as_its_crops_are_one_by_one():
    order, other = (CropOrder([500, 90, 70000], crop=100, seed=3) for _ in range(2))
    positions = [5, 0, 5, len(order) - 1, len(order), 7 * len(order) + 3]
    assert order.batch(positions) == [other(position) for position in positions]


@pytest.mark.parametrize("of", ["own", "instead"])
def test_starts_are_uniform_and_go_by_no_rule(of):
    """Chi-square over 100 places; neighbours, epochs and seeds do not correlate; within four standard deviations."""
    order, other = (CropOrder([199] * 1000, crop=100, seed=seed) for seed in (0, 1))
    draws = order if of == "own" else lambda position: order.instead(position, 1)
    starts = np.array([draws(position).start for position in range(4000)])
    observed = np.bincount(starts, minlength=100)
    chi_square = ((observed - 40) ** 2 / 40).sum()
    assert observed.shape == (100,)
    assert abs(chi_square - 99) < 4 * np.sqrt(2 * 99)
    seeded = np.array([other(position).start for position in range(4000)])
    for a, b in ((starts[1:], starts[:-1]), (starts[1000:], starts[:-1000]), (starts, seeded)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(len(a))
    if of == "own":
        assert sorted(crop.entry for crop in order.batch(range(1000, 2000))) == list(range(1000)), "each once an epoch"
    else:
        assert abs(np.mean([draws(position).entry for position in range(4000)]) / 999 - 0.5) < 4 / np.sqrt(12 * 4000)


def test_starts_are_those_of_splitmix64():
    """Against the published algorithm in whole numbers; its first number from seed 0 is e220a8397b1dcdaf."""

    def following(state):
        state = (state + 0x9E3779B97F4A7C15) % 2**64
        z = ((state ^ state >> 30) * 0xBF58476D1CE4E5B9) % 2**64
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) % 2**64
        return state, z ^ z >> 31

    assert following(0)[1] == 0xE220A8397B1DCDAF
    key = following(following(5)[1] + 2)[1]  # of seed 5 and epoch 2
    state, order = key, CropOrder([10**6], crop=100, seed=5)
    for position in range(2 * len(order), 2 * len(order) + 5):
        state, drawn = following(state)
        assert order(position).start == (drawn >> 11) * (10**6 - 100 + 1) >> 53


def test_batches_go_on_from_a_position():
    whole, later = (iter(EndlessBatches(3, start, rank=0, ranks=1)) for start in (0, 6))
    assert [next(whole) for _ in range(4)][2:] == [next(later) for _ in range(2)]


@pytest.mark.parametrize("ranks", [2, 4])
def test_shares_of_a_batch_make_the_batch(ranks):
    whole, shares = iter(EndlessBatches(8, 16, 0, 1)), [iter(EndlessBatches(8, 16, r, ranks)) for r in range(ranks)]
    for _ in range(3):
        assert [position for share in shares for position in next(share)] == next(whole)


def test_the_number_of_workers_changes_nothing(speech_folder):
    manifest = index_folder(speech_folder, _console()).manifest
    order = CropOrder([e.samples for e in manifest.entries], 1600, seed=0)
    data = Segments(manifest, manifest.entries, order, AsRecorded())

    def first(workers):
        order = EndlessBatches(4, 0, rank=0, ranks=1)
        batches = iter(DataLoader(data, batch_sampler=order, num_workers=workers, collate_fn=collate))
        return [next(batches) for _ in range(5)]

    for a, b in zip(first(0), first(2), strict=True):
        assert torch.equal(a.audio, b.audio)
        assert a.files == b.files


def test_loading_processes_may_be_spawned(speech_folder):
    """As on macOS: all that they are handed survives pickling, used or unused."""
    manifest = index_folder(speech_folder, _console()).manifest
    data = Segments(
        manifest, manifest.entries, CropOrder([e.samples for e in manifest.entries], 1600, seed=0), AsRecorded()
    )
    audio = data[3].audio
    again = pickle.loads(pickle.dumps((data, collate, ignore_interrupt)))[0]
    assert torch.equal(again[3][0], audio)


def test_loading_processes_leave_every_signal_that_asks_for_a_stop_to_the_training():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        ignore_interrupt(0)
        assert [signal.getsignal(number) for number in before] == [signal.SIG_IGN] * 3
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _console():
    from rich.console import Console

    return Console(quiet=True)


def test_a_crop_equals_the_same_piece_of_the_whole_file(speech_folder):
    manifest = index_folder(speech_folder, _console()).manifest
    order = CropOrder([e.samples for e in manifest.entries], 1600, seed=0)
    data = Segments(manifest, manifest.entries, order, AsRecorded())
    for position in range(20):
        crop = order(position)
        whole, _ = read(manifest.locate(manifest.entries[crop.entry]))
        assert np.array_equal(data[position][0].numpy(), whole[:, crop.start : crop.start + 1600])


def test_a_clip_shorter_than_a_segment_is_padded(speech_folder):
    manifest = index_folder(speech_folder, _console()).manifest
    short = min(manifest.entries, key=lambda e: e.samples)
    data = Segments(manifest, [short], CropOrder([short.samples], 16000, seed=0), AsRecorded())
    audio = data[0].audio
    assert audio.shape == (1, 16000)
    assert audio[0, short.samples :].abs().max() == 0
    assert audio[0, : short.samples].abs().max() > 0


def test_validation_hears_whole_utterances_in_a_fixed_order(speech_folder):
    data = speech(folder_source(speech_folder))
    data.prepare()
    heard = data.utterances("valid")
    assert [heard[k].name for k in range(len(heard))] == [e.path for e in data.manifest.split("valid")]
    assert heard[0].audio.shape == (1, 1, data.manifest.split("valid")[0].samples)
    assert torch.equal(heard[0].audio, data.utterances("valid")[0].audio)


def test_audio_a_step_and_steps_an_epoch(speech_folder):
    data = speech(folder_source(speech_folder))
    data.prepare()
    assert data.seconds_per_step == pytest.approx(0.4)
    slots = sum(max(1, e.samples // 1600) for e in data.manifest.split("train"))
    assert data.steps_per_epoch == slots / 4


def prepared(speech_folder, tmp_path, **changes):
    from dataclasses import replace

    manifest = folder_source(speech_folder)()
    path = tmp_path / "made" / "manifest.jsonl"
    write_manifest(path, [replace(entry, **changes) for entry in manifest.entries])
    return path, manifest


def test_a_missing_and_a_changed_file_are_named(speech_folder, tmp_path):
    path, manifest = prepared(speech_folder, tmp_path)
    gone, changed = manifest.locate(manifest.entries[0]), manifest.locate(manifest.entries[1])
    gone.unlink()
    write(changed, voices(9, 2.0), 16000)
    with pytest.raises(InputError) as error:
        speech(FromManifest(manifest=str(path))).prepare()
    assert f"{gone}: missing" in str(error.value)
    assert f"{changed}: changed" in str(error.value)
    assert "telucodec data prepare" in str(error.value)


def test_of_very_many_files_a_start_looks_for_a_part_and_says_so(speech_folder, tmp_path, monkeypatch, capsys):
    path, manifest = prepared(speech_folder, tmp_path)
    monkeypatch.setattr("telucodec.data.module.CHECKED", 4)
    manifest.locate(manifest.entries[1]).unlink()
    speech(FromManifest(manifest=str(path))).prepare()
    assert "one in 3 of 12 files is looked for" in " ".join(capsys.readouterr().err.split())
    manifest.locate(manifest.entries[3]).unlink()
    with pytest.raises(InputError, match="1 of 4 files do not match"):
        speech(FromManifest(manifest=str(path))).prepare()


def test_another_sample_rate_is_named(speech_folder, tmp_path):
    path, _ = prepared(speech_folder, tmp_path, sample_rate=44100)
    with pytest.raises(InputError, match=r"44100 Hz, but this codec runs at 16000 Hz \(12 such files\)"):
        speech(FromManifest(manifest=str(path))).prepare()


def test_all_silent_data_is_refused(speech_folder, tmp_path):
    path, _ = prepared(speech_folder, tmp_path, rms_dbfs=-80.0)
    with pytest.raises(InputError, match="every utterance of the split 'train' is silent"):
        speech(FromManifest(manifest=str(path.parent))).prepare()


def test_a_manifest_without_a_split_says_which_there_are(speech_folder, tmp_path):
    path, _ = prepared(speech_folder, tmp_path, split="train")
    with pytest.raises(InputError, match=r"no utterance is in the split 'valid' \(splits there: train\)"):
        speech(FromManifest(manifest=str(path))).prepare()


def test_samples_that_are_not_finite_come_with_the_files_name(speech_folder):
    import soundfile

    manifest = index_folder(speech_folder, _console()).manifest
    file = speech_folder / "bad.wav"
    audio = voices(0, 1.0)[0]
    audio[100] = np.nan
    soundfile.write(file, audio, 16000, "FLOAT")
    from dataclasses import replace

    entry = replace(manifest.entries[0], path=str(file), samples=16000)
    item = Segments(manifest, [entry], CropOrder([16000], 16000, 0), AsRecorded())[0]
    assert "bad.wav: holds samples that are not finite" in item.broken[0].why
    with pytest.raises(InputError, match=r"bad\.wav: is not what"):
        _ = Utterances(manifest, [entry], 16000, AsRecorded())[0]


def test_an_mp3_in_a_training_folder_is_refused_with_the_command_that_converts_it(speech_folder):
    import soundfile

    soundfile.write(speech_folder / "a.mp3", voices(0, 1.0)[0], 16000)
    with pytest.raises(InputError) as error:
        speech(folder_source(speech_folder)).prepare()
    assert "a.mp3" in str(error.value)
    assert "telucodec data prepare" in str(error.value)


def test_a_broken_file_among_good_ones_is_set_aside_by_name(speech_folder, capsys):
    (speech_folder / "broken.wav").write_bytes(b"RIFF but not really")
    data = speech(folder_source(speech_folder, None))
    data.prepare()
    assert len(data.manifest.entries) == 12
    assert "broken.wav" in " ".join(capsys.readouterr().err.split())


def test_an_empty_folder_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty"):
        speech(folder_source(tmp_path / "empty")).prepare()


@pytest.mark.slow
def test_the_embedded_set_holds_what_it_promises(tmp_path, monkeypatch):
    """About 20 minutes, several voices, no voice or sentence in two splits, levels from -32 to -16 dBFS."""
    pytest.importorskip("espeakng_loader")
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path))
    manifest = Embedded()()
    assert 18 * 60 < sum(e.seconds for e in manifest.entries) < 23 * 60
    voices_of = {s: {e.speaker for e in manifest.split(s)} for s in ("train", "valid", "test")}
    assert len(voices_of["train"]) >= 8
    assert not voices_of["train"] & voices_of["valid"] | voices_of["train"] & voices_of["test"]
    levels = [e.rms_dbfs for e in manifest.entries]
    assert -33 < min(levels) < -30
    assert -18 < max(levels) < -15
