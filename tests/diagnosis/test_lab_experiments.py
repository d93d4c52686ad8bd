"""Every identity on signals of chosen figures, through the project's own classes; and that each test of it can fail."""

import math
import re
from functools import cache
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import Adam, AdamW

from conftest import ROOT
from telucodec.diagnosis import identities
from telucodec.diagnosis.lab import (
    adam,
    decoder,
    level,
    losses,
    quantizer,
    rate,
    scale,
    source,
)
from telucodec.diagnosis.lab.catalogue import EXPERIMENTS
from telucodec.diagnosis.reach import adam_reach, adam_step_bound
from telucodec.losses.level import PerSampleRMS
from telucodec.losses.quantizer import Commitment
from telucodec.metrics.level import Moments
from telucodec.quantization.evidence import Chosen, Residual
from telucodec.quantization.gradient import RotationTrick


@cache
def found(key):
    """One experiment, from another seed than the pictures of docs/science.md."""
    return EXPERIMENTS[key][0](1)


@pytest.mark.parametrize("key", EXPERIMENTS)
def test_what_is_measured_is_what_the_identity_predicts(key):
    experiment = found(key)
    assert experiment.key == key
    assert [check for check in experiment.checks if not check.holds] == []


def test_i1_the_documents_own_figures():
    """S000, epoch 20: SNR -0.11 dB at RMS ratio 0.159; S004, epoch 45: 0.53 dB at 0.285. Then rho = 0 and rho = 0.5."""
    s000, s004, *_ = found("i1").data["parts"].values()
    assert -10 * math.log10(sum(s000)) == pytest.approx(-0.11)
    assert -10 * math.log10(sum(s004)) == pytest.approx(0.53)
    assert s004[1] < 0.004 * sum(s004), "its amplitude was right already"
    for (rho, ratio), snr in {(0, 0.5): -0.97, (0, 1): -3.01, (0.5, 1): 0.0, (0.95, 1): 10.0, (1, 0.9): 20.0}.items():
        assert level.measured(rho, ratio, 0.0, 0)["snr"] == pytest.approx(snr, abs=0.005)


def test_i2_a_document_promises_a_loss_that_its_snr_forbids():
    data = found("i2").data
    assert data["least_at_loss"][data["snr"].index(22.5)] == pytest.approx(1.10, abs=0.005)
    assert data["gaussian_at_loss"][data["snr"].index(22.5)] > 1.10


# four standard errors of a median of 65,536 samples are 0.02; spectra have half as many magnitudes
@pytest.mark.parametrize(
    ("loss", "gains", "tolerance"),
    [
        ("MSE", (0.0, 0.1, 0.3, 0.5, 0.7, 0.9), 0.002),
        ("L1", (0.0, 0.1, 0.3, 0.5, 0.7, 0.9), 0.02),
        ("linear spectrum", (0.766, 0.769, 0.786, 0.822, 0.879, 0.954), 0.028),
        ("log mel", (1.0,) * 6, 0.028),
        ("log(1e-5 + mel)", (1.0,) * 6, 0.028),
    ],
)
def test_i3_the_gain_that_a_loss_wants(loss, gains, tolerance):
    assert found("i3").data["measured"][loss] == pytest.approx(gains, abs=tolerance)


def test_i3_the_gain_of_linear_spectra_follows_from_two_rayleigh_variables():
    """Drawn, not integrated: the weighted median of |Y| / |X| of a million complex pairs, standard error 0.0012."""
    generator = torch.Generator().manual_seed(0)
    x, other = torch.randn(2, 1_000_000, generator=generator, dtype=torch.complex128).unbind()
    for rho in (0.0, 0.5, 0.9):
        ratio = (rho * x + math.sqrt(1 - rho**2) * other).abs() / x.abs()
        order = ratio.argsort()
        weight = x.abs()[order].cumsum(0)
        median = ratio[order][int(torch.searchsorted(weight, weight[-1] / 2))]
        assert losses.linear_magnitude_gain(rho) == pytest.approx(median.item(), abs=0.005)


def test_i4_at_rho_0_mse_lowers_every_scale():
    slopes = found("i4").data["slope"]
    assert min(slopes["-0.001"]) > 0
    assert slopes["0.344"][scale.RATIOS.index(0.285)] < 0, "document S004 at epoch 45: a hair below its best gain"
    assert slopes["0.344"][scale.RATIOS.index(0.4)] > 0


@pytest.mark.parametrize(
    ("steps", "lr", "place"), [(75, 1e-5, 1.00075), (300, 1e-5, 1.003), (1000, 1e-4, 1.1), (1000, 1e-3, 2.0)]
)
@pytest.mark.parametrize("size", [1e-6, 1.0, 192.0])
def test_i5_a_steady_gradient_moves_a_number_by_lr_a_step_whatever_its_size(steps, lr, place, size):
    """But for the 1e-8 that Adam adds to the root of the mean square: 1 % of a gradient of 1e-6."""
    moved = adam.walk([-size] * steps, lr, (0.9, 0.999), Adam)[-1] - 1
    assert moved == pytest.approx(place - 1, rel=0.0101)
    assert moved <= adam_reach(lr, (0.9, 0.999), steps, lambda step: 1.0).steady


@settings(max_examples=60, deadline=None)
@given(
    gradients=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60),
    betas=st.sampled_from([(0.9, 0.999), (0.8, 0.99), (0.5, 0.9), (0.0, 0.9)]),
    kind=st.sampled_from([Adam, AdamW]),
)
def test_i5_no_gradients_exceed_the_bound(gradients, betas, kind):
    places = [1.0, *adam.walk(gradients, 1e-3, betas, kind)]
    bound = adam_reach(1e-3, betas, len(gradients), lambda step: 1.0).bound
    assert max(abs(place - 1) for place in places) <= bound * (1 + 1e-9)
    largest = max(abs(b - a) for a, b in pairwise(places))
    assert largest <= 1e-3 * adam_step_bound(betas) * (1 + 1e-9)


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.99), (0.5, 0.9)])
def test_i5_gradients_that_grow_reach_the_bound_and_exceed_the_one_of_the_paper(betas):
    steps = round(3 / (1 - betas[1]))  # the averages are then full to e^-3 = 5 %, their root to 2.5 %
    places = [1.0, *adam.walk(adam.sequences(steps, betas, 0)[adam.GROWING], 1e-5, betas, Adam)]
    last = (places[-1] - places[-2]) / 1e-5
    assert last == pytest.approx(adam_step_bound(betas), rel=0.03)
    assert last > 1.15 * (1 - betas[0]) / math.sqrt(1 - betas[1])


def test_i6_for_batches_of_16():
    data = found("i6").data
    assert max(data["ratio"]["quiet"]) <= 1
    assert 0.4 < data["median_quiet"] < 0.9
    assert data["ratio"]["alike"] == pytest.approx([1.0] * len(data["ratio"]["alike"]), abs=1e-3)
    assert {kind: len(values) > 50 for kind, values in data["ratio"].items()} == dict.fromkeys(data["ratio"], True)


def test_i7_speaks_of_every_policy_of_the_configuration():
    files = (ROOT / "conf/gradient").glob("*.yaml")
    named = {re.search(r"_target_: \S+\.(\w+)", path.read_text())[1] for path in files}
    assert {type(policy).__name__ for policy, _ in quantizer.POLICIES.values()} == named - {RotationTrick.__name__}
    assert found("i7").data["gain"]["around each codebook"][-1] == pytest.approx(8.0)


def test_i8_the_codebook_of_document_s003_stands_still():
    data = found("i8").data
    assert data["movement"]["its own codewords"][-1] < 1e-5
    assert data["movement"]["its inputs"][-1] > 0.5
    assert data["error"]["its inputs"][-1] < 0.7 * data["error"]["its own codewords"][-1]


def test_i9_thirteen_times_the_value_changes_no_bit_of_the_decoders_gradient():
    codec = decoder.toy_codec(0)
    assert sum(p.numel() for p in codec.decoder.parameters()) > 100
    data = found("i9").data
    assert data["norm"]["commitment"]["decoder"] == 0.0
    assert data["norm"]["L1"]["decoder"] > 0.1
    assert data["clipped"][-1] < 0.01 * data["clipped"][0], "what a shared clip leaves"


# (sigma, rho) -> RMS ratio at weights 0, 1, 15, 192, to two digits: computed once by another program
REST = {
    (0.16, 0.0): (0.00, 0.23, 0.84, 0.99), (0.5, 0.0): (0.00, 0.36, 0.90, 0.99),
    (0.16, 0.1): (0.10, 0.30, 0.85, 0.99), (0.5, 0.1): (0.10, 0.43, 0.91, 0.99),
    (0.16, 0.3): (0.30, 0.45, 0.88, 0.99), (0.5, 0.3): (0.30, 0.55, 0.93, 0.99),
    (0.16, 0.5): (0.50, 0.60, 0.90, 0.99), (0.5, 0.5): (0.50, 0.67, 0.95, 0.99),
    (0.16, 0.8): (0.80, 0.83, 0.95, 1.00), (0.5, 0.8): (0.80, 0.86, 0.97, 1.00),
}  # fmt: skip


@pytest.mark.parametrize(("sigma", "rho"), REST)
def test_i10_where_the_mixture_comes_to_rest(sigma, rho):
    data = found("i10").data
    own = [r for (s, p, _), r in zip(data["rows"], data["rms_ratio"], strict=True) if (s, p) == (sigma, rho)]
    assert own == pytest.approx(REST[sigma, rho], abs=0.005 + losses.MEDIAN)


def test_i10_weight_15_at_rho_0_costs_two_decibels():
    data = found("i10").data
    snr = dict(zip(map(tuple, data["rows"]), data["snr"], strict=True))
    assert snr[0.16, 0.0, 15.0] == pytest.approx(-2.3, abs=0.1)
    assert snr[0.16, 0.0, 0.0] == pytest.approx(0.0, abs=0.01)


def test_rate_35_db_at_8_kbit_s_needs_a_source_that_predicts_itself_to_32_db():
    data = found("rate").data
    assert data["needed_gain_db"] == pytest.approx(31.99, abs=0.01)
    assert data["needed_kbps"] == pytest.approx(39.9, abs=0.05)
    ours = {s: snr for s, q, bits, snr in data["points"] if q.startswith("residual VQ") and bits == 0.5}
    assert 1.5 < ours["white noise"] < 3.02
    assert 17 < ours["prediction gain 20 dB"] < 22.6


def test_rate_an_autoregression_has_the_prediction_gain_that_it_is_made_with():
    """Power 1, and 0.19 of it left by the best predictor; 262,144 samples, so 0.0028 of either."""
    signal = source.autoregressive(0.9, 1024, 256, 0)
    left = signal[:, 1:] - 0.9 * signal[:, :-1]
    assert (signal**2).mean() == pytest.approx(1, abs=0.03), "slow: a tenth of the samples are independent"
    assert (left**2).mean() == pytest.approx(0.19, rel=0.012)
    assert source.prediction_gain_db(0.9) == pytest.approx(-10 * math.log10(0.19))


def kingma(betas):
    return (1 - betas[0]) / math.sqrt(1 - betas[1])


def times_16(self, step):
    return 16 * (self.rms(step.audio, (1, 2)) - self.rms(step.target, (1, 2))).square().mean()


BROKEN = {
    "i1": lambda m: m.setattr(Moments, "_central", lambda self, product, a, b: product / self.samples),
    "i2": lambda m: m.setattr(identities, "sigma_implied", lambda mse, snr: math.sqrt(mse) * 10 ** (snr / 10)),
    "i3": lambda m: m.setattr(losses, "linear_magnitude_gain", lambda rho: rho),
    "i4": lambda m: m.setattr(identities, "scale_gradient", lambda s, power, product: s * power - product),
    "i5": lambda m: m.setattr(adam, "adam_step_bound", kingma),
    "i6": lambda m: m.setattr(
        PerSampleRMS, "forward", lambda self, step, old=PerSampleRMS.forward: 16 * old(self, step)
    ),
    "i7": lambda m: m.setattr(identities, "straight_through_gain", lambda n_q, stepwise: 1.0),
    "i8": lambda m: m.setattr(Chosen, "__call__", Residual.__call__),
    "i9": lambda m: m.setattr(Commitment, "forward", lambda self, step: step.audio.abs().mean()),
    "i10": lambda m: m.setattr(identities, "equilibrium", lambda rho, w, sigma, l1, mse: (rho + w) / (1 + w)),
    "rate": lambda m: m.setattr(rate, "snr_reachable", lambda bits, a: source.snr_bound(bits, a) - 3),
}


@pytest.mark.parametrize("key", EXPERIMENTS)
def test_each_experiment_fails_where_the_identity_or_the_code_is_wrong(key, monkeypatch):
    monkeypatch.setattr(losses, "SAMPLES", 4096)
    monkeypatch.setattr(adam, "STEPS", 400)
    monkeypatch.setattr(rate, "SEQUENCES", 64)
    BROKEN[key](monkeypatch)
    experiment = EXPERIMENTS[key][0](0)
    assert not experiment.holds
    assert not experiment.worst.holds
