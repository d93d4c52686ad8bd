import math

import pytest
import torch

from telucodec.metrics.level import Moments
from telucodec.metrics.loudness_strata import by_loudness


def heard(name, level, rho):
    """An utterance of that level with an output as loud, of that correlation, without offset."""
    t = 2 * math.pi * torch.arange(1000, dtype=torch.double) / 1000
    y, other = torch.sin(5 * t), torch.cos(5 * t)
    return name, Moments.of(level * y, level * (rho * y + math.sqrt(1 - rho**2) * other))


def test_each_third_has_its_own_figures():
    f = by_loudness([heard("c", 1.0, 0.9), heard("a", 0.01, 0.1), heard("b", 0.1, 0.5)])
    for name, rho in (("quiet", 0.1), ("medium", 0.5), ("loud", 0.9)):
        assert f[f"{name}/rho"] == pytest.approx(rho)
        assert f[f"{name}/rms_ratio"] == pytest.approx(1)
        assert f[f"{name}/snr"] == pytest.approx(-10 * math.log10(2 * (1 - rho)), abs=1e-9)
        assert f[f"{name}/snr_ceiling"] == pytest.approx(-10 * math.log10(1 - rho**2))
        assert f[f"{name}/shape_share"] == pytest.approx((1 - rho**2) / (2 - 2 * rho))
        assert f[f"{name}/gain_share"] == pytest.approx((1 - rho) / 2)
        assert f[f"{name}/dc_share"] == pytest.approx(0, abs=1e-12)
        assert f[f"{name}/utterances"] == 1


def test_a_third_is_pooled_over_its_samples():
    """Powers of 1 and 4 with noises of 1 and 0: 5 to 1."""
    utterances = [heard(str(i), 0.01, 1.0) for i in range(4)] + [heard("4", 1.0, 0.5), heard("5", 2.0, 1.0)]
    assert by_loudness(utterances)["loud/snr"] == pytest.approx(10 * math.log10(5), abs=1e-6)


@pytest.mark.parametrize(("count", "sizes"), [(3, (1, 1, 1)), (4, (1, 1, 2)), (5, (1, 2, 2)), (8, (2, 3, 3))])
def test_every_utterance_is_in_one_third(count, sizes):
    f = by_loudness([heard(str(i), 0.1 + i, 0.5) for i in range(count)])
    assert tuple(f[f"{name}/utterances"] for name in ("quiet", "medium", "loud")) == sizes


def test_utterances_of_one_level_are_told_apart_by_name():
    utterances = [heard("c", 0.1, 0.9), heard("a", 0.1, 0.1), heard("b", 0.1, 0.5)]
    assert by_loudness(utterances) == by_loudness(utterances[::-1])
    assert by_loudness(utterances)["quiet/rho"] == pytest.approx(0.1)


def test_two_utterances_have_no_thirds():
    assert by_loudness([heard("a", 0.1, 0.5), heard("b", 0.2, 0.5)]) == {}


def test_an_output_that_is_not_finite_spoils_its_third_alone():
    y = 0.5 * torch.randn(1000)
    lost = ("lost", Moments.of(y, torch.full_like(y, math.nan)))
    f = by_loudness([heard("a", 0.01, 0.5), heard("b", 0.02, 0.5), lost])
    assert math.isnan(f["loud/snr"])
    assert f["medium/rho"] == pytest.approx(0.5)
