import math

import numpy as np
import pytest
import torch

from telucodec.metrics.bands import Bands, band_edges
from telucodec.metrics.level import Moments

NAMES = ("0-500", "500-1000", "1000-2000", "2000-4000", "4000-8000")


def tone(hz, seconds=1.0, sample_rate=16000):
    return torch.sin(2 * math.pi * hz * torch.arange(round(seconds * sample_rate), dtype=torch.double) / sample_rate)


def bands(*pairs, sample_rate=16000):
    found = Bands(sample_rate)
    for target, audio in pairs:
        found.add(target[None, None], audio[None, None])
    return found.figures()


def test_one_band_at_half_its_level_and_nothing_else():
    """Five tones of power 1/2: four are lost whole and one keeps a quarter of its power as noise, so 4.25 parts."""
    tones = {hz: tone(hz) for hz in (250, 750, 1500, 3000, 6000)}
    f = bands((sum(tones.values()), 0.5 * tones[750] + 0.1))
    for name in NAMES:
        hit = name == "500-1000"
        assert f[f"band/{name}/rho"] == pytest.approx(float(hit))
        assert f[f"band/{name}/rms_ratio"] == pytest.approx(0.5 * hit)
        assert f[f"band/{name}/snr"] == pytest.approx(20 * math.log10(2) if hit else 0.0, abs=1e-9)
        assert f[f"band/{name}/noise_share"] == pytest.approx((0.25 if hit else 1) / 4.25)
        assert f[f"band/{name}/target_share"] == pytest.approx(1 / 5)


def test_a_tone_on_an_edge_belongs_to_the_upper_band():
    f = bands((tone(1000), torch.zeros(16000)))
    assert f["band/1000-2000/target_share"] == pytest.approx(1)
    assert f["band/500-1000/target_share"] == pytest.approx(0, abs=1e-20)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 997, 1000, 4801, 16411])
def test_powers_add_up_at_any_length(length):
    y, x = torch.randn(2, length).double().unbind()
    found = Bands(16000)
    found.add(y[None, None], x[None, None])
    for name, signal in (("target_target", y), ("error_error", x - y)):
        whole = float((signal - signal.mean()).square().sum())
        assert sum(getattr(m, name) for m in found.moments) == pytest.approx(whole, rel=1e-12)


def test_figures_are_those_of_signals_that_hold_one_band_alone():
    rng = np.random.default_rng(0)
    y, x = rng.standard_normal((2, 3000))
    x = 0.3 * x + 0.6 * y
    hz = np.fft.rfftfreq(3000, 1 / 16000)
    f = bands((torch.from_numpy(y), torch.from_numpy(x)))
    for name, low, high in zip(NAMES, (1e-9, 500, 1000, 2000, 4000), (500, 1000, 2000, 4000, 8001), strict=True):
        cut = [np.fft.irfft(np.fft.rfft(signal) * ((low <= hz) & (hz < high)), 3000) for signal in (y, x)]
        want = Moments.of(*(torch.from_numpy(signal) for signal in cut)).figures()
        assert all(f[f"band/{name}/{figure}"] == pytest.approx(want[figure]) for figure in ("rho", "rms_ratio", "snr"))


def test_utterances_are_pooled_over_samples():
    """A tone that is kept once and lost once, in a file twice as long."""
    f = bands((tone(100), tone(100)), (tone(100, 2), 0 * tone(100, 2)))
    assert f["band/0-500/snr"] == pytest.approx(10 * math.log10(3 / 2))
    assert f["band/0-500/noise_share"] == pytest.approx(1)


def test_without_noise_there_is_no_share_of_it_and_without_utterances_nothing():
    y = tone(100)
    assert [bands((y, y))[f"band/{name}/noise_share"] for name in NAMES] == [0] * 5
    assert bands((y, y + 0.2))["band/0-500/snr"] == 200, "an offset lies in no band"
    assert bands() == bands((torch.zeros(0), torch.zeros(0))) == {}


def test_what_is_not_finite_shows_in_every_band():
    y = tone(100)
    broken = torch.where(torch.arange(len(y)) == 5, math.inf, y)
    assert all(math.isnan(v) for k, v in bands((y, y), (y, broken)).items() if not k.endswith("target_share"))


def test_bands_end_at_the_nyquist_frequency():
    assert band_edges(24000)[-2:] == [8000, 12000]
    assert "band/4000-5512.5/rho" in bands((torch.randn(900), torch.randn(900)), sample_rate=11025)
