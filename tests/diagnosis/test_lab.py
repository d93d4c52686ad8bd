"""The laboratory's signals and its judgement: whether a check can fail."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from telucodec.diagnosis.lab.experiment import Check, Experiment, compare
from telucodec.diagnosis.lab.signals import batch, pair, seeded, step_of
from telucodec.metrics.level import Moments


@settings(max_examples=80, deadline=None)
@given(
    rho=st.floats(-1, 1),
    ratio=st.floats(0, 4),
    offset=st.floats(-2, 2),
    samples=st.integers(3, 400),
    sigma=st.floats(0.01, 0.9),
    seed=st.integers(0, 50),
)
def test_a_pair_has_exactly_the_figures_that_were_asked_for(rho, ratio, offset, samples, sigma, seed):
    target, output = pair(rho, ratio, offset, samples, sigma, seed)
    assert target.shape == output.shape == (samples,)
    assert target.mean().item() == pytest.approx(0, abs=1e-12)
    assert target.std(correction=0).item() == pytest.approx(sigma, rel=1e-12)
    assert output.mean().item() == pytest.approx(sigma * offset, abs=1e-12)
    assert output.std(correction=0).item() == pytest.approx(sigma * ratio, rel=1e-12, abs=1e-12)
    product = (target * (output - output.mean())).mean().item()
    assert product == pytest.approx(rho * ratio * sigma**2, abs=1e-12)


def test_moments_read_what_the_pair_was_made_of():
    figures = Moments.of(*pair(0.344, 0.285, -0.1, 50, 0.2, 3)).figures()
    assert figures["rho"] == pytest.approx(0.344, abs=1e-9)
    assert figures["rms_ratio"] == pytest.approx(0.285, abs=1e-9)
    assert figures["dc"] == pytest.approx(-0.02, abs=1e-12)


def test_a_batch_differs_in_loudness_alone():
    """18 dB in three steps of 6 dB around -20 dBFS: 0.1 times 10^(-9/20), 10^(-3/20), 10^(3/20), 10^(9/20)."""
    targets, outputs = batch(4, 0.6, 0.5, 0.2, 18.0, 100, 0)
    assert targets.shape == outputs.shape == (4, 1, 100)
    rms = targets.square().mean((1, 2)).sqrt()
    assert rms.tolist() == pytest.approx([0.0355, 0.0708, 0.1413, 0.2818], rel=1e-3)
    for target, output in zip(targets, outputs, strict=True):
        figures = Moments.of(target, output).figures()
        assert figures["rho"] == pytest.approx(0.6)
        assert figures["rms_ratio"] == pytest.approx(0.5)
        assert figures["dc"] == pytest.approx(0.2 * target.std(correction=0).item())
    assert not torch.equal(targets[0] / rms[0], targets[1] / rms[1]), "each item is noise of its own"
    alike = batch(3, 0.6, 0.5, 0.0, 0.0, 100, 0)[0].square().mean((1, 2)).sqrt()
    assert alike.tolist() == pytest.approx([0.1] * 3)


def test_the_seed_decides():
    assert torch.equal(pair(0.1, 1, 0, 9, 1, 4)[1], pair(0.1, 1, 0, 9, 1, 4)[1])
    assert not torch.equal(pair(0.1, 1, 0, 9, 1, 4)[1], pair(0.1, 1, 0, 9, 1, 5)[1])
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with seeded(7):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected), "seeded leaves torch's own numbers where they were"
    with seeded(7):
        assert torch.equal(torch.rand(3), inside)


GOOD = {"rho": 0.5, "rms_ratio": 1.0, "offset": 0.0, "samples": 10, "seed": 0}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rho", 1.01),
        ("rho", -1.5),
        ("rho", math.nan),
        ("rms_ratio", -0.1),
        ("rms_ratio", math.inf),
        ("offset", math.nan),
        ("offset", math.inf),
        ("samples", 2),
        ("sigma", 0.0),
        ("sigma", math.nan),
        ("items", 0),
        ("loudness_spread_db", -1.0),
        ("loudness_spread_db", math.nan),
    ],
)
def test_a_value_outside_its_range_is_named(name, value):
    own = {"sigma": 0.1} if name == "sigma" else {"items": 2, "loudness_spread_db": 6.0}
    makers = {"sigma": [pair], "items": [batch], "loudness_spread_db": [batch]}.get(name, [pair, batch])
    for make in makers:
        own = {"sigma": 0.1} if make is pair else {"items": 2, "loudness_spread_db": 6.0}
        with pytest.raises(ValueError, match=f"{name} must be"):
            make(**GOOD | own | {name: value})


@pytest.mark.parametrize(
    ("relation", "measured", "difference", "holds"),
    [
        ("=", 1.05, 0.05, True),
        ("=", 0.8, 0.2, False),
        ("<=", 0.2, 0.0, True),
        ("<=", 1.2, 0.2, False),
        (">=", 7.0, 0.0, True),
        (">=", 0.8, 0.2, False),
        ("=", math.nan, math.nan, False),
        ("<=", math.nan, math.nan, False),
        (">=", math.nan, math.nan, False),
    ],
)
def test_a_check_holds_within_its_tolerance_and_never_for_a_nan(relation, measured, difference, holds):
    check = Check("it", 1.0, measured, 0.1, relation)
    assert check.difference == pytest.approx(difference, nan_ok=True)
    assert check.holds is holds
    assert (check.strain == math.inf) is not holds


def test_an_experiment_is_as_good_as_its_worst_check():
    fine, poor = Check("fine", 1.0, 1.01, 0.1), Check("poor", 1.0, 1.5, 0.1)
    assert Experiment("k", "t", "f", (fine,)).holds
    both = Experiment("k", "t", "f", (fine, poor), {"a": [1.0]})
    assert not both.holds
    assert both.worst is poor
    told = both.plain()
    assert [c["holds"] for c in told["checks"]] == [True, False]
    assert told["checks"][1]["difference"] == pytest.approx(0.5)
    assert told["data"] == {"a": [1.0]}


def test_of_many_values_the_one_that_fails_is_told():
    assert compare("it", [1.0, 2.0, 3.0], [1.0, math.nan, 3.0], 0.1).predicted == 2.0
    assert compare("it", [1.0, 2.0, 3.0], [1.0, 2.0, 9.0], 0.1).measured == 9.0
    assert compare("it", [1.0, 1.0], [0.3, 0.9], 0.1, "<=").measured == 0.9, "the one nearest to its bound"
    assert compare("it", [1.0, 1.0], [5.0, 1.1], 0.1, ">=").measured == 1.1
    with pytest.raises(ValueError, match="shorter"):
        compare("it", [1.0, 2.0], [1.0], 0.1)


def test_signals_have_no_adversary():
    target = torch.zeros(1, 1, 8)
    with pytest.raises(AssertionError, match="no adversary"):
        _ = step_of(target, target).fake
