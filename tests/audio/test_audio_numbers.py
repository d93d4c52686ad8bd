"""Level, bandwidth, resampling and silence against numbers that a person can compute, or scipy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from telucodec.audio.level import bandwidth, dbfs, rms
from telucodec.audio.resample import resample, resample_blocks, to_mono
from telucodec.audio.silence import trim_silence


@pytest.fixture
def noise():
    return np.random.default_rng(3).standard_normal(4 * 16000) * 0.1


def test_a_full_scale_square_is_0_dbfs_and_a_sine_3_db_less():
    t = np.arange(16000) / 16000
    sine = np.sin(2 * np.pi * 100 * t)
    assert dbfs(rms(np.sign(sine + 0.5e-9))) == pytest.approx(0, abs=1e-6)
    assert dbfs(rms(sine)) == pytest.approx(-3.0103, abs=1e-4)
    assert dbfs(rms(np.zeros(0))) == -200


def test_rms_of_many_small_samples_does_not_drift():
    assert rms(np.full(10_000_000, 1e-4, np.float32)) == pytest.approx(1e-4, rel=1e-6)


@pytest.mark.parametrize("cutoff", [3400, 5000, 7000])
def test_bandwidth_finds_where_a_low_pass_ends(noise, cutoff):
    low = signal.sosfilt(signal.ellip(10, 0.1, 80, cutoff, output="sos", fs=16000), noise)
    found = bandwidth(low.astype(np.float32), 16000)
    power, frequency = np.array(signal.welch(low, 16000, nperseg=512)[::-1])
    reference = frequency[power > power.max() * 10**-4.5][-1]
    assert abs(found - reference) <= 200
    assert cutoff <= found <= cutoff + 500


def test_bandwidth_of_white_noise_is_everything_and_of_silence_nothing(noise):
    assert bandwidth(noise, 16000) > 7900
    assert bandwidth(np.zeros(16000), 16000) == 0
    assert bandwidth(noise[:10], 16000) > 0
    assert bandwidth(noise * 1e-3, 16000) == bandwidth(noise, 16000)


def test_resampling_agrees_with_scipy_where_both_are_flat():
    t = np.arange(48000) / 48000
    tones = sum(np.sin(2 * np.pi * f * t + f) for f in (150, 1000, 3000, 5500)) / 4
    ours = resample(tones[None].astype(np.float32), 48000, 16000)[0]
    reference = signal.resample_poly(tones, 1, 3, window=("kaiser", 14.0))
    np.testing.assert_allclose(ours[1000:-1000], reference[1000:-1000], atol=2e-3)


def test_resampling_removes_what_the_new_rate_cannot_hold():
    tone = np.sin(2 * np.pi * 10000 * np.arange(48000) / 48000)[None].astype(np.float32)
    assert dbfs(rms(resample(tone, 48000, 16000)[:, 500:-500])) < -100


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 5000), max_size=5), rate=st.sampled_from([8000, 22050, 44100, 48000]))
def test_blocks_of_any_size_resample_to_the_whole(cuts, rate):
    noise = np.random.default_rng(0).standard_normal((1, 5000)).astype(np.float32)
    blocks = np.split(noise, sorted(cuts), axis=1)
    joined = np.concatenate(list(resample_blocks(blocks, rate, 16000)), axis=1)
    np.testing.assert_array_equal(joined, resample(noise, rate, 16000))


def test_to_mono_is_the_mean():
    np.testing.assert_array_equal(to_mono(np.array([[1, 2], [3, 6]], np.float32)), [[2, 4]])


def test_trimming_keeps_the_margin_and_leaves_silence_alone(noise):
    padded = np.concatenate([np.zeros(32000), noise, np.zeros(16000)])[None].astype(np.float32)
    trimmed = trim_silence(padded, 16000, 40.0, margin_seconds=0.1)
    assert abs(trimmed.shape[1] - (len(noise) + 3200)) <= 4096  # frames of 2048 samples
    assert rms(trimmed) ** 2 * trimmed.size == pytest.approx(rms(noise) ** 2 * noise.size, rel=1e-4)
    silence = np.zeros((1, 16000), np.float32)
    assert trim_silence(silence, 16000, 40.0) is silence
