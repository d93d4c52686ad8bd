"""What discriminators answer to small changes of a recording, by hand."""

import math

import pytest
import torch
from subjects import Known, of, pair, subject
from torch import nn

from conftest import toy_module
from telucodec.adversarial.adversary import Adversary
from telucodec.adversarial.front_end import MeanAndPeak, Unchanged
from telucodec.diagnosis.response import DiscriminatorResponse
from telucodec.losses.gan import Adversarial
from telucodec.losses.waveform import L1
from telucodec.records import Verdict


class Loudness(nn.Module):
    """Its logit is the mean square of each item, its feature the waveform."""

    def forward(self, audio):
        return Verdict((audio.square().mean((1, 2))[:, None],), ((audio,),))


class Mean(nn.Module):
    """Its logit is the mean of each item; it has no features."""

    def forward(self, audio):
        return Verdict((audio.mean((1, 2))[:, None],), ((),))


class Both(nn.Module):
    """Two sub-discriminators: one of two logits an item, one of one."""

    def forward(self, audio):
        loudness = audio.square().mean((1, 2))[:, None]
        return Verdict((torch.cat([loudness, loudness], 1), 100 + 3 * loudness), ((audio,), (audio, 3 * audio)))


def adversary(front_end=None, **discriminators):
    made = Adversary(
        discriminators=discriminators,
        objective=None,
        start=0,
        rhythm=[1],
        initial=lambda module: None,
        front_end=front_end or Unchanged(),
    )
    return made.eval()


def response(gain_db=1.0, offset=0.5, shift=2):
    return DiscriminatorResponse(gain_db=gain_db, offset=offset, shift=shift)


def found(*ears, held=None, probe=None, index=0, start=0, **named):
    """On two square waves of mean squares 1 and 9, unless others are given."""
    wave = torch.tensor([1.0, -1.0]).repeat(32)[None, None]
    held = torch.cat([wave, 3 * wave]) if held is None else held
    terms = {"l1": L1(weight=1.0, start=0, emphasis=0.0), "g": Adversarial(weight=1.0, start=start, objective=None)}
    told = subject(Known(lambda x: x), held, terms, adversary(**named), index=index)
    return (probe or response())(told).figures


def test_a_discriminator_of_loudness_by_hand():
    """Logits 1 and 9: mean 5, deviation 4; the slope of mean g^2 in ln g is 2 x 5."""
    answers = found(ear=Loudness())
    assert answers["response/ear/logit"] == pytest.approx(5.0)
    g2 = 10**0.1
    assert answers["response/ear/gain"] == pytest.approx(5 * (g2 - 1 / g2) / math.log(g2) / 4, rel=1e-5)
    assert answers["response/ear/gain"] == pytest.approx(10 / 4, rel=0.01)
    assert answers["response/ear/offset"] == pytest.approx(0.25 / 4, rel=1e-5)
    assert answers["response/ear/polarity"] == 0
    assert answers["response/ear/shift"] == 0
    assert answers["response/ear/features_gain"] == pytest.approx(10**0.05 - 1, rel=1e-4)
    assert answers["response/ear/features_offset"] == pytest.approx(0.5 / 2, rel=1e-5)
    assert answers["response/ear/features_polarity"] == pytest.approx(2.0)
    assert answers["response/ear/features_shift"] == pytest.approx(0.0), "two samples are a period"


def test_a_shift_by_half_a_period_is_a_change_of_sign():
    answers = found(ear=Loudness(), probe=response(shift=1))
    assert answers["response/ear/features_shift"] == pytest.approx(2.0)
    assert answers["response/ear/shift"] == pytest.approx(0.0)


def test_a_discriminator_of_the_mean_by_hand():
    """Items of means 1 and 3: mean 2, deviation 1."""
    held = torch.tensor([1.0, 3.0])[:, None, None].expand(2, 1, 16)
    answers = found(ear=Mean(), held=held)
    assert answers["response/ear/polarity"] == pytest.approx(-4.0)
    assert answers["response/ear/offset"] == pytest.approx(0.5)
    assert answers["response/ear/gain"] == pytest.approx(2.0, rel=0.01)
    assert not [key for key in answers if "features" in key]


def test_sub_discriminators_and_layers_count_alike():
    """Means 5 and 115, variances 16 and 9 x 16; the change by gain is 10 and 30."""
    answers = found(ear=Both())
    assert answers["response/ear/logit"] == pytest.approx((5 + 115) / 2)
    assert answers["response/ear/gain"] == pytest.approx((10 + 30) / 2 / math.sqrt((16 + 144) / 2), rel=0.01)
    assert answers["response/ear/features_polarity"] == pytest.approx(2.0)


def test_a_verdict_that_is_always_the_same_has_no_unit_to_measure_in():
    held = torch.ones(2, 1, 16)
    answers = found(ear=Mean(), held=held)
    assert set(answers) == {"response/ear/logit"}


def test_each_discriminator_is_named():
    answers = found(one=Loudness(), two=Mean())
    assert {key.split("/")[1] for key in answers} == {"one", "two"}


def test_behind_a_normalising_front_end_nothing_hears_gain_or_offset():
    """DAC's discriminators cannot teach loudness; the same ones without it can."""
    held, trained = pair(0.5, 0.5)[0], pair(0.2, 0.5)[0]
    answers = {}
    for front_end, chosen in (("none", Unchanged), ("normalise", MeanAndPeak)):
        module = toy_module(f"front_end={front_end}")
        assert isinstance(module.adversary.front_end, chosen)
        answers[front_end] = response(offset=0.01, shift=1)(of(module, 0, held, trained)).figures
    for name in ("scale", "stft"):
        for change in ("gain", "offset"):
            key = f"response/{name}/{change}"
            assert abs(answers["none"][key]) > 1e-4
            # float32 rounding of what should be nothing: 1e-6 on some processors
            assert abs(answers["normalise"][key]) < 1e-5
            features = f"response/{name}/features_{change}"
            assert answers["normalise"][features] < 1e-4 < 1e-3 < answers["none"][features]
        assert answers["normalise"][f"response/{name}/features_polarity"] > 0.1, "what is left to hear"


def test_nothing_is_found_where_nothing_is_heard():
    assert found(index=4, start=5, ear=Loudness()) == {}
    assert found(index=5, start=5, ear=Loudness())
    module = toy_module("ablation=[no_adversary]")
    assert response()(of(module, 9, *pair(0.5, 0.5))).figures == {}


def test_wrong_values_are_refused():
    for values, message in (({"gain_db": 0.0}, "gain_db must"), ({"offset": -1.0}, "offset"), ({"shift": 0}, "shift")):
        with pytest.raises(ValueError, match=message):
            response(**values)
    with pytest.raises(ValueError, match="shift must be less than the 64 samples"):
        found(ear=Loudness(), probe=response(shift=64))
