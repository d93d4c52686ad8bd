import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio, signal_noise_ratio

from telucodec.metrics.level import Moments

torch.manual_seed(0)


def figures(y, x):
    return Moments.of(y, x).figures()


def pair(rho, r, dc, n=20000, seed=0):
    """Signals whose correlation, RMS ratio and offset are exactly those."""
    g = torch.Generator().manual_seed(seed)
    y, e = torch.randn(2, n, generator=g, dtype=torch.double).unbind()
    y = (y - y.mean()) / y.std(correction=0)
    e = e - e.mean() - (e @ y) / n * y
    e = e / e.std(correction=0)
    return 0.1 * y, 0.1 * r * (rho * y + math.sqrt(1 - rho**2) * e) + dc


@pytest.mark.parametrize(
    ("rho", "r", "dc"), [(0.9, 0.9, 0.0), (0.344, 0.285, 0.0), (0.5, 2.0, 0.03), (-0.7, 0.4, -0.2), (0, 1, 0)]
)
def test_figures_of_signals_made_to_measure(rho, r, dc):
    y, x = pair(rho, r, dc)
    f = figures(y, x)
    assert f["rho"] == pytest.approx(rho, abs=1e-9)
    assert f["rms_ratio"] == pytest.approx(r)
    assert f["dc"] == pytest.approx(dc, abs=1e-12)
    assert f["nsr_shape"] == pytest.approx(1 - rho**2)
    assert f["nsr_gain"] == pytest.approx((r - rho) ** 2, abs=1e-9)
    assert f["nsr_dc"] == pytest.approx((dc / 0.1) ** 2)
    assert f["snr_ceiling"] == pytest.approx(-10 * math.log10(1 - rho**2))
    assert f["snr"] == pytest.approx(-10 * math.log10(1 - rho**2 + (r - rho) ** 2 + (dc / 0.1) ** 2))


def test_the_documents_own_figures():
    """S004 epoch 45: SNR 0.53 dB at RMS ratio 0.285 means rho 0.344, and the amplitude was already the best one."""
    f = figures(*pair(0.344, 0.285, 0.0))
    assert f["snr"] == pytest.approx(0.53, abs=0.01)
    assert f["snr_ceiling"] == pytest.approx(0.55, abs=0.01)
    assert f["gain_share"] < 0.005


@settings(max_examples=60, deadline=None)
@given(st.floats(-1, 1), st.floats(0, 10), st.floats(-1, 1), st.floats(-1, 1), st.integers(0, 99))
def test_the_parts_sum_to_the_noise_on_any_signal(mix, gain, dc_y, dc_x, seed):
    g = torch.Generator().manual_seed(seed)
    a, b = torch.randn(2, 500, generator=g, dtype=torch.double).unbind()
    y, x = a + dc_y, gain * (mix * a + (1 - abs(mix)) * b) + dc_x
    f = figures(y, x)
    noise = float((x - y).square().mean() / y.square().mean())
    assert f["nsr_shape"] + f["nsr_gain"] + f["nsr_dc"] == pytest.approx(noise, rel=1e-6, abs=1e-12)
    if noise > 1e-12:
        assert f["shape_share"] + f["gain_share"] + f["dc_share"] == pytest.approx(1.0)


def test_nothing_cancels_when_output_and_target_are_nearly_alike():
    y = torch.randn(10000, dtype=torch.double)
    e = 1e-7 * torch.randn(10000, dtype=torch.double)
    f = figures(y, y + e)
    assert f["snr"] == pytest.approx(float(10 * torch.log10(y.square().mean() / e.square().mean())), abs=1e-4)


def test_against_torchmetrics():
    y, x = torch.randn(2, 8000, dtype=torch.double).unbind()
    x = 0.3 * x + 0.6 * y + 0.1
    f = figures(y, x)
    assert f["snr"] == pytest.approx(signal_noise_ratio(x, y).item())
    assert f["si_sdr"] == pytest.approx(scale_invariant_signal_distortion_ratio(x, y, zero_mean=True).item(), abs=1e-6)


def test_pooling_equals_the_concatenation():
    y, x = torch.randn(2, 9000).unbind()
    parts = Moments.of(y[:4000], x[:4000]) + Moments.of(y[4000:], x[4000:])
    whole = Moments.of(y, x).figures()
    assert all(value == pytest.approx(whole[name]) for name, value in parts.figures().items())


def test_extreme_signals_have_defined_figures():
    y = torch.randn(1000)
    y = y - y.mean()
    same, silent, against = figures(y, y), figures(y, torch.zeros(1000)), figures(y, -y)
    assert (same["snr"], same["rho"], same["rms_ratio"], same["shape_share"]) == (200.0, pytest.approx(1), 1, 0)
    assert (silent["snr"], silent["rho"], silent["rms_ratio"], silent["shape_share"]) == (
        pytest.approx(0, abs=1e-4),
        0,
        0,
        pytest.approx(1, abs=1e-3),
    )
    assert against["rho"] == pytest.approx(-1)
    assert against["snr"] == pytest.approx(-6.02, abs=0.01)
    nothing = figures(torch.zeros(10), torch.ones(10))
    assert all(math.isfinite(v) for v in nothing.values())
    assert all(math.isfinite(v) for v in figures(torch.zeros(0), torch.zeros(0)).values())


def test_peaks_and_level():
    m = Moments.of(torch.tensor([0.5, -0.5]), torch.tensor([0.1, -0.25]))
    assert m.figures()["peak_ratio"] == 0.5
    assert m.figures()["range_ratio"] == pytest.approx(0.35)
    assert m.target_dbfs == pytest.approx(-6.02, abs=0.01)


def test_an_output_that_is_not_finite_has_no_figures():
    f = figures(torch.randn(10), torch.full((10,), float("nan")))
    assert f.keys() == figures(torch.randn(10), torch.randn(10)).keys()
    assert all(math.isnan(v) for v in f.values())


def test_unlike_shapes_are_refused():
    with pytest.raises(ValueError, match="same shape"):
        Moments.of(torch.zeros(3), torch.zeros(4))
