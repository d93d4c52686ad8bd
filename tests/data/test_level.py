"""Level policies by numbers, and parts of a data set."""

import numpy as np
import pytest

from telucodec.audio.level import rms
from telucodec.audio.loudness import lufs
from telucodec.data.level import LUFS, RMS, AsRecorded, Clip, Peak, ZeroMean
from telucodec.data.source import FromFolder
from telucodec.data.subset import Subset
from telucodec.errors import InputError

RATE = 16000
TONE = np.sin(2 * np.pi * 500 * np.arange(RATE) / RATE).astype(np.float32)[None]
SILENCE = np.zeros((1, RATE), np.float32)


def test_as_recorded_is_the_same_array():
    assert AsRecorded()(TONE, RATE) is TONE


@pytest.mark.parametrize("gain", [0.02, 0.9])
def test_a_loud_and_a_quiet_recording_become_alike_at_their_peak(gain):
    scaled = Peak(peak=1.0)(TONE * gain, RATE)
    np.testing.assert_allclose(scaled, TONE / np.abs(TONE).max(), rtol=1e-5, atol=1e-6)


def test_minus_16_db_is_an_rms_of_0_158():
    assert rms(RMS(dbfs=-16.0)(TONE * 0.01, RATE)) == pytest.approx(0.1585, abs=1e-4)


def test_clip_leaves_what_lies_within():
    loud = TONE * 2
    assert np.abs(Clip(limit=1.0)(loud, RATE)).max() == 1.0
    np.testing.assert_array_equal(Clip(limit=1.0)(TONE * 0.5, RATE), TONE * 0.5)


@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_lufs_is_met_and_full_scale_never_exceeded(seconds):
    crop = TONE[:, : round(seconds * RATE)]
    quiet = LUFS(lufs=-30.0)(crop * 0.003, RATE)
    assert lufs(quiet, RATE) == pytest.approx(-30.0, abs=0.1)
    spiky = np.zeros((1, RATE), np.float32)
    spiky[0, ::800] = 0.01
    assert np.abs(LUFS(lufs=-6.0)(spiky, RATE)).max() == pytest.approx(1.0)


def test_zero_mean_removes_the_offset_alone():
    np.testing.assert_allclose(ZeroMean()(TONE * 0.1 + 0.5, RATE), TONE * 0.1, atol=1e-6)


@pytest.mark.parametrize("level", [Peak(peak=1.0), RMS(dbfs=-16.0), LUFS(lufs=-16.0), ZeroMean(), Clip(limit=1.0)])
def test_silence_and_float32_stay(level):
    np.testing.assert_array_equal(level(SILENCE, RATE), SILENCE)
    assert level(TONE, RATE).dtype == np.float32


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Peak(peak=0.0), "peak must be > 0"),
        (lambda: RMS(dbfs=3.0), "dbfs must be <= 0"),
        (lambda: LUFS(lufs=1.0), "lufs must be <= 0"),
        (lambda: Clip(limit=-1.0), "limit must be > 0"),
        (
            lambda: Subset(source=AsRecorded(), train_utterances=0, valid_utterances=None, test_utterances=None),
            "train_utterances must be >= 1",
        ),
    ],
)
def test_wrong_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_subset_cuts_train_and_valid_and_leaves_the_test_split(speech_folder):
    source = FromFolder(
        root=str(speech_folder), seed=0, speaker_from="parent", sample_rate=RATE, valid_fraction=0.2, test_fraction=0.2
    )
    whole = source()
    part = Subset(source=source, train_utterances=3, valid_utterances=1, test_utterances=None)()
    assert [len(part.split(name)) for name in ("train", "valid")] == [3, 1]
    assert part.split("test") == whole.split("test")
    more = Subset(source=source, train_utterances=4, valid_utterances=None, test_utterances=None)()
    assert set(part.split("train")) < set(more.split("train")), "a larger subset holds the smaller one"
    assert more.split("valid") == whole.split("valid")
    later = Subset(source=source, train_utterances=None, valid_utterances=None, test_utterances=0)()
    assert "test" not in {entry.split for entry in later.entries}
    assert later.split("train") == whole.split("train")
    with pytest.raises(InputError, match=r"subset\.train_utterances is 99, but .* ask for fewer"):
        Subset(source=source, train_utterances=99, valid_utterances=None, test_utterances=None)()


def test_training_and_validation_hear_the_level(train):
    """At -40 dBFS everything, the validation targets too, is at an RMS of 0.01."""
    from telucodec.audio.files import read

    code, run = train("level=rms", "level.dbfs=-40", "max_steps=1", "callback.validation.examples=1")
    assert code == 0
    target, _ = read(run / "audio" / "utterance_0_target.wav")
    assert rms(target) == pytest.approx(0.01, rel=1e-3)
