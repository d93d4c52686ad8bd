from itertools import pairwise

import librosa
import numpy as np
import pytest
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from conftest import voices
from telucodec.diagnosis.rate import (
    WaterFilling,
    autocorrelation,
    frames,
    levinson,
    prediction_order,
    rate_bound,
    rate_needed,
    spectra,
)

RATE = 16000


def noise(seconds, seed=0):
    return np.random.default_rng(seed).standard_normal(round(seconds * RATE))


def test_levinson_agrees_with_scipy():
    cut = frames(voices(0, 1.0)[0], 512)
    correlation = autocorrelation(cut, 18)
    filters, error = levinson(correlation)
    for r, a, e in zip(correlation, filters, error, strict=True):
        assert a[1:] == pytest.approx(solve_toeplitz(r[:-1], -r[1:]), rel=1e-3, abs=1e-5)
        assert e == pytest.approx(r @ a, rel=1e-6)


def test_levinson_agrees_with_librosa():
    """Burg's method is another estimate: both find the source of a long stretch."""
    source = [1.0, -1.6, 0.81]
    y = lfilter([1.0], source, noise(4))
    ours, _ = levinson(autocorrelation(y[None], 2))
    assert ours[0] == pytest.approx(source, abs=0.01)
    assert librosa.lpc(y, order=2) == pytest.approx(ours[0], abs=0.001)


def test_spectra_have_the_power_of_the_signal():
    for audio in (noise(2), voices(1, 2.0)[0], np.sin(np.arange(32000) * 0.3)):
        found, about = spectra(audio, RATE), audio - audio.mean(dtype=np.float64)
        hop = 256  # all but the ends is heard with the same weight
        cut = frames(about, 512)
        assert found.mean(axis=1) == pytest.approx((cut**2).mean(axis=1), rel=1e-9)
        assert found.mean() == pytest.approx((about[hop:-hop] ** 2).mean(), rel=0.06)


def test_the_spectrum_peaks_where_the_tone_is():
    found = spectra(np.sin(2 * np.pi * 1000 * np.arange(RATE) / RATE), RATE)
    assert abs(np.argmax(found[3]) * 8000 / 256 - 1000) < 40


def test_white_noise_gives_six_decibels_a_bit():
    exact = WaterFilling([np.full((7, 256), 0.3)])
    assert [exact.snr(bits) for bits in (0.5, 1.0, 2.0)] == pytest.approx([3.0103, 6.0206, 12.0412], abs=1e-4)
    heard = WaterFilling([spectra(noise(30), RATE)])
    assert heard.snr(4) - heard.snr(3) == pytest.approx(6.0206, abs=1e-3)
    # 18 coefficients of frames of 512 samples take some of the noise for prediction, about 10 log10(1 + 18 / 260)
    assert heard.snr(1) == pytest.approx(6.02 + 0.4, abs=0.3)


@pytest.mark.parametrize("a", [0.5, 0.9])
def test_an_autoregressive_source_has_its_prediction_gain(a):
    """At a high rate: 6.02 dB a bit, and -10 log10(1 - a^2)."""
    gain, angles = -10 * np.log10(1 - a**2), np.pi * (np.arange(256) + 0.5) / 256
    exact = WaterFilling([1 / np.abs(1 - a * np.exp(-1j * angles)) ** 2])
    assert exact.snr(4) == pytest.approx(4 * 6.0206 + gain, abs=1e-3)
    y = lfilter([1.0], [1.0, -a], noise(20))
    assert WaterFilling([spectra(y, RATE)]).snr(4) == pytest.approx(4 * 6.0206 + gain, abs=0.6)


def test_water_filling_of_two_components_by_hand():
    """Powers 16 and 1: one bit in all stays with the stronger one, which keeps 16 / 4; the other keeps all of its 1."""
    filling = WaterFilling([np.array([16.0, 1.0])])
    assert filling.snr(0.5) == pytest.approx(10 * np.log10(17 / 5))
    # three bits in all: two more than the level 1 costs the first, half each
    assert filling.snr(1.5) == pytest.approx(10 * np.log10(17 / (2 * 0.5)))
    assert filling.bits(10 * np.log10(17 / 5)) == pytest.approx(0.5)


def test_water_filling_conserves_and_rises_with_the_rate():
    power = np.random.default_rng(0).lognormal(0, 3, (20, 256))
    power[3] = 0.0
    filling = WaterFilling([power[:8], power[8:]])
    rates = [0.0, 0.01, 0.1, 0.3, 0.5, 1.0, 2.0, 4.0]
    snrs = [filling.snr(bits) for bits in rates]
    assert snrs[0] == pytest.approx(0.0, abs=1e-9)
    assert all(b > a for a, b in pairwise(snrs))
    assert [filling.bits(snr) for snr in snrs] == pytest.approx(rates, abs=1e-9)
    for bits, snr in zip(rates[1:], snrs[1:], strict=True):
        distortion = power.sum() * 10 ** (-snr / 10)
        low, high = 0.0, power.max()
        for _ in range(200):  # the level by bisection
            level = (low + high) / 2
            low, high = (level, high) if np.minimum(level, power).sum() < distortion else (low, level)
        spent = np.maximum(0, 0.5 * np.log2(np.maximum(power, 1e-300) / level)).mean()
        assert spent == pytest.approx(bits, rel=1e-6)


def test_silence_and_constants_are_defined():
    assert not spectra(np.zeros(4000), RATE).any()
    assert not spectra(np.full(4000, 0.25), RATE).any(), "a constant is no signal about its mean"
    half = spectra(np.concatenate([noise(1), np.zeros(RATE)]), RATE)
    assert np.isfinite(half).all()
    quiet, loud = WaterFilling([half]).snr(1), WaterFilling([spectra(noise(1), RATE)]).snr(2)
    assert quiet == pytest.approx(loud, abs=0.3), "silence costs no bits: the rest has twice as many"
    with pytest.raises(ValueError, match="nothing to code"):
        WaterFilling([np.zeros((3, 256))])
    with pytest.raises(ValueError, match="finite"):
        WaterFilling([np.array([1.0, np.nan])])
    with pytest.raises(ValueError, match="samples must be >= 1"):
        spectra(np.zeros(0), RATE)
    assert spectra(np.array([0.0, 1.0, 0.0]), RATE).shape == (1, 256)


def test_bitrates_in_kilobits():
    found = [spectra(voices(0, 2.0)[0], RATE)]
    assert rate_bound(found, 8, RATE) == WaterFilling(found).snr(0.5)
    assert rate_needed(found, rate_bound(found, 8, RATE), RATE) == pytest.approx(8)
    assert rate_bound(found, 8, RATE) > rate_bound([spectra(noise(2), RATE)], 8, RATE) + 10
    assert np.isinf(WaterFilling(found).snr(1e6))


def test_the_order_follows_the_sample_rate():
    assert [prediction_order(rate) for rate in (8000, 16000, 24000)] == [10, 18, 26]
