import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio, signal_noise_ratio

from telucodec.metrics.level import Moments, pooled

torch.manual_seed(0)


def figures(y, x):
    return Moments.of(y, x).figures()


def measured(y, x):
    """SNR in dB without any of our sums."""
    return float(10 * torch.log10(y.square().sum() / (x - y).square().sum()))


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


@st.composite
def any_signals(draw):
    """Two signals of any level and offset: unlike, alike but for a gain, or alike but for next to nothing."""
    g = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    a, b = torch.randn(2, draw(st.sampled_from([3, 500])), generator=g, dtype=torch.double).unbind()
    level, offset = 10.0 ** draw(st.integers(-9, 0)), draw(st.sampled_from([0.0, 1e-9, 0.1, -100.0]))
    y = level * (a + offset)
    gain = draw(st.sampled_from([1.0, -1.0, 0.0, 1e-3]) | st.floats(-10, 10))
    other = draw(st.sampled_from([0.0, 1e-9, 1e-4]) | st.floats(0, 10))
    return y, gain * y + level * (other * b + draw(st.sampled_from([0.0, 1e-9, -0.1, 100.0])))


@settings(max_examples=300, deadline=None)
@given(any_signals())
def test_the_parts_sum_to_the_noise_on_any_signal(signals):
    y, x = signals
    f = figures(y, x)
    noise = float((x - y).square().mean() / y.square().mean())
    assert f["nsr_shape"] + f["nsr_gain"] + f["nsr_dc"] == pytest.approx(noise, rel=1e-6, abs=0)
    shares = [f["shape_share"], f["gain_share"], f["dc_share"]]
    assert min(shares) >= 0
    assert sum(shares) == (pytest.approx(1.0, abs=1e-9) if noise else 0)


@settings(max_examples=300, deadline=None)
@given(any_signals(), st.floats(-3, 3))
def test_no_gain_is_better_than_the_best(signals, gain):
    y, x = signals
    f = figures(y, x)
    assert f["snr_best_gain"] >= f["snr"] - 1e-6
    assert f["snr_best_gain"] >= 0
    assert f["loss_at_rms_1"] == f["snr_best_gain"] - f["snr_at_rms_1"] >= 0
    rounding = 1e-12 * max(1.0, float((x - y).square().sum() / x.square().sum()))  # small beside the noise, if x is not
    left = 10 ** (-f["snr_best_gain"] / 10)
    assert left == pytest.approx(10 ** (-measured(y, f["best_gain"] * x) / 10), abs=rounding)
    assert left <= 10 ** (-measured(y, gain * x) / 10) + rounding


@pytest.mark.parametrize(("rho", "r"), [(0.9, 0.9), (0.344, 0.285), (0.5, 2.0), (-0.7, 0.4), (0.0, 0.5), (0.95, 1.0)])
def test_what_other_gains_would_reach(rho, r):
    y, x = pair(rho, r, 0.0)
    f = figures(y, x)
    assert f["best_gain"] == pytest.approx(rho / r, abs=1e-9)
    assert f["snr_best_gain"] == pytest.approx(f["snr_ceiling"], abs=1e-6)
    assert f["snr_at_rms_1"] == pytest.approx(-10 * math.log10(2 * (1 - rho)))
    assert f["snr_at_rms_1"] == pytest.approx(measured(y, x / r))


def test_the_best_gain_subtracts_nothing():
    """y = 1, 0 and x = 1, 1: xy = 1 and xx = 2, so the gain is 1/2 and leaves 1/4 + 1/4 of a power of 1."""
    m = Moments.of(torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0]))
    f = m.figures()
    assert (f["best_gain"], f["snr_best_gain"]) == (0.5, pytest.approx(10 * math.log10(2)))
    assert m.noise_at_best_gain == pytest.approx(0.5)
    assert f["snr_at_rms_1"] == 0, "no factor lets a constant vary like its target"
    y, x = pair(0.8, 0.5, 0.02)
    f = figures(y, x)
    assert f["snr_best_gain"] < f["snr_ceiling"], "the offset stays"
    assert f["snr_at_rms_1"] == pytest.approx(measured(y, x / 0.5)), "the offset is scaled along"


def test_nothing_cancels_when_output_and_target_are_nearly_alike():
    y = torch.randn(10000, dtype=torch.double)
    e = 1e-7 * torch.randn(10000, dtype=torch.double)
    f = figures(y, y + e)
    assert f["snr"] == pytest.approx(float(10 * torch.log10(y.square().mean() / e.square().mean())), abs=1e-4)
    assert f["snr_best_gain"] == pytest.approx(f["snr"], abs=0.01)
    assert f["snr_at_rms_1"] == pytest.approx(f["snr"], abs=0.01)


def test_against_torchmetrics():
    y, x = torch.randn(2, 8000, dtype=torch.double).unbind()
    x = 0.3 * x + 0.6 * y + 0.1
    f = figures(y, x)
    assert f["snr"] == pytest.approx(signal_noise_ratio(x, y).item())
    assert f["si_sdr"] == pytest.approx(scale_invariant_signal_distortion_ratio(x, y, zero_mean=True).item(), abs=1e-6)


def test_pooling_equals_the_concatenation():
    y, x = torch.randn(2, 9000).unbind()
    parts = pooled([Moments.of(y[:4000], x[:4000]), Moments.of(y[4000:], x[4000:])])
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
    gains = ("best_gain", "snr_best_gain", "snr_at_rms_1")
    assert [same[name] for name in gains] == [1, 200, 200]
    assert [silent[name] for name in gains] == [0, 0, 0]
    assert [against[name] for name in gains] == [pytest.approx(-1), 200, pytest.approx(-6.02, abs=0.01)]
    nothing = figures(torch.zeros(10), torch.ones(10))
    assert all(math.isfinite(v) for v in nothing.values())
    assert [nothing[name] for name in gains] == [0, 200, 200], "silence is reached by silencing"
    constant = figures(torch.full((1000,), 0.3), torch.full((1000,), 0.1))
    assert (constant["rms_ratio"], constant["rho"]) == (0, 0), "what rounding leaves of a constant is no sound"
    assert (constant["best_gain"], constant["dc_share"]) == (pytest.approx(3), pytest.approx(1))
    assert all(math.isfinite(v) for v in figures(torch.zeros(0), torch.zeros(0)).values())


@pytest.mark.parametrize("seed", range(8))
def test_what_rounding_leaves_of_a_constant_is_no_sound(seed):
    """The variance of a constant is the difference of two large numbers, and seldom exactly 0."""
    g = torch.Generator().manual_seed(seed)
    level, noise = torch.rand(1, generator=g, dtype=torch.double), torch.randn(777, generator=g, dtype=torch.double)
    constant, sound = level.expand(777), 0.5 + 0.01 * noise
    for f in (figures(sound, constant), figures(constant, sound)):
        assert (f["rms_ratio"], f["rho"]) == (0, 0)
    assert figures(sound, constant)["snr_at_rms_1"] == pytest.approx(0, abs=1e-9)


def test_peaks_and_level():
    m = Moments.of(torch.tensor([0.5, -0.5]), torch.tensor([0.1, -0.25]))
    assert m.figures()["peak_ratio"] == 0.5
    assert m.figures()["range_ratio"] == pytest.approx(0.35)
    assert m.figures()["peak"] == 0.25
    assert m.target_dbfs == pytest.approx(-6.02, abs=0.01)


def test_an_output_that_is_not_finite_has_no_figures():
    f = figures(torch.randn(10), torch.full((10,), float("nan")))
    assert f.keys() == figures(torch.randn(10), torch.randn(10)).keys()
    assert all(math.isnan(v) for v in f.values())
    assert all(math.isnan(v) for v in figures(torch.randn(10), torch.full((10,), math.inf)).values())
    lost = Moments.of(torch.randn(10), torch.full((10,), math.nan))
    assert math.isnan(lost.best_gain)
    assert math.isnan(lost.noise_at_best_gain)


def test_unlike_shapes_are_refused():
    with pytest.raises(ValueError, match="same shape"):
        Moments.of(torch.zeros(3), torch.zeros(4))
