import math

import numpy as np
import pytest

from conftest import voices
from telucodec.diagnosis.feasible import (
    BEST_SPEECH_DB,
    Heard,
    Reason,
    Wish,
    correlation_needed,
    limit_of_ratio,
    loudest_second,
    loudness_implied,
    reasons,
    rule_of_thumb,
    steps_needed,
    verdict,
)
from telucodec.diagnosis.identities import mse_least
from telucodec.diagnosis.rate import WaterFilling
from telucodec.diagnosis.reach import Move, Pace, outlook
from telucodec.errors import InputError

# two halves, 16 and 1: one bit a sample leaves 2 of 17 (a level of 1 takes 1 bit, the next two halves a factor of 2)
TWO = Heard(WaterFilling([np.array([16.0, 1.0])]), rms=0.07, loudest=0.3)


def wish(**figures):
    nothing = dict.fromkeys(("snr", "rms_ratio", "kbps", "mse", "l1_plus_mse"))
    return Wish(**{**nothing, "sample_rate": 16000, **figures})


def out(found):
    return {reason.identity for reason in found if reason.rules_out}


def test_the_documents_wish_is_ruled_out_twice():
    found = reasons(wish(snr=35.0, rms_ratio=0.95, kbps=8.0), None)
    assert [(r.identity, round(r.number, 2)) for r in found] == [("I1", 26.02), ("I1", 1.0), ("rate", 23.01)]
    assert out(found) == {"I1", "rate"}
    assert verdict(found) == "Not feasible: ruled out by 2 of 3 checks (I1, rate)."
    assert "at most 26.02 dB" in found[0].text


def test_a_modest_wish_is_not():
    found = reasons(wish(snr=5.0, rms_ratio=0.8, kbps=8.0), None)
    assert out(found) == set()
    assert verdict(found).startswith("Feasible as far as 3 checks can tell")
    assert found[1].number == pytest.approx((1 + 0.64 - 10**-0.5) / 1.6)


def test_an_snr_at_its_limit_is_allowed():
    assert not limit_of_ratio(0.9, 20.0 - 1e-9).rules_out
    assert limit_of_ratio(0.9, 20.01).rules_out
    assert not limit_of_ratio(1.0, 200.0).rules_out
    assert math.isinf(limit_of_ratio(1.0, None).number)


def test_the_correlation_that_is_needed():
    alone = correlation_needed(20.0, None)
    assert alone.number == pytest.approx(math.sqrt(0.99))
    assert "from 0.9 to 1.1" in alone.text
    assert correlation_needed(35.0, 0.95).formula == alone.formula, "no correlation gives both"


def test_the_rule_of_thumb_rules_out_what_no_speech_came_near():
    assert rule_of_thumb(8, 16000, 28.0).number == pytest.approx(20 * math.log10(2) / 2 + 20)
    assert [rule_of_thumb(8, 16000, snr).rules_out for snr in (23.0, 28.5, 28.7)] == [False, False, True]
    assert "--data" in rule_of_thumb(8, 16000, 25.0).text
    assert not rule_of_thumb(64, 16000, 90.0).rules_out, "nothing was measured there"
    assert list(BEST_SPEECH_DB.values()) == sorted(BEST_SPEECH_DB.values())


def test_recordings_replace_the_rule():
    (found,) = reasons(wish(kbps=8.0), TWO)
    assert (found.identity, found.rules_out) == ("rate", False)
    assert found.number == pytest.approx(10 * np.log10(17 / 5))
    ruled = reasons(wish(kbps=8.0, snr=12.3045), TWO)[1]
    assert ruled.rules_out
    assert "needs at least 24 kbit/s" in ruled.text, "17 to 1 is one and a half bits a sample"


def test_loss_and_snr_imply_a_loudness():
    assert loudness_implied(0.01, 10.0, "MSE", None).number == pytest.approx(0.1 * math.sqrt(10))
    assert not loudness_implied(0.01, 10.0, "MSE", None).rules_out
    assert "implausible" in loudness_implied(0.05, 10.0, "MSE", None).text
    assert loudness_implied(0.11, 10.0, "MSE", None).rules_out
    (_, least) = reasons(wish(snr=22.5, l1_plus_mse=0.089), None)
    assert least.number == pytest.approx(math.sqrt(mse_least(0.089)) * 10 ** (22.5 / 20))
    assert least.rules_out
    assert "L1 <= sqrt(MSE)" in least.formula


def test_loudness_is_held_against_the_recordings():
    near, far = loudness_implied(0.0001, 20.0, "MSE", TWO), loudness_implied(0.002, 20.0, "MSE", TWO)
    assert "as recorded they have 0.07" in near.text
    assert "implausible" not in near.text
    assert "implausible, no second of these recordings is above 0.30" in far.text
    assert not far.rules_out


def test_a_move_that_a_run_cannot_make():
    far = steps_needed(outlook(Move("s", 1.0, 3.0), Pace(1e-5, (0.9, 0.999), 0.0, 300, 300.0)))
    assert (far.identity, far.number, far.rules_out) == ("I5", 27510.0, True)
    near = steps_needed(outlook(Move("s", 1.0, 3.0), Pace(0.1, (0.9, 0.999), 0.0, 300, 300.0)))
    assert not near.rules_out
    frozen = steps_needed(outlook(Move("s", 1.0, 3.0), None))
    assert frozen.rules_out
    assert math.isnan(frozen.number)


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"snr": math.nan}, "snr: must be a number of dB"),
        ({"snr": 1e9}, "snr: must be a number of dB"),
        ({"kbps": -8.0}, "kbps: must be a number > 0"),
        ({"rms_ratio": 0.0}, "rms-ratio: must be a number > 0"),
        ({"snr": 5.0, "mse": math.inf}, "mse: must be a number > 0"),
        ({"mse": 0.1}, "give --snr too"),
        ({"snr": 5.0, "sample_rate": 0}, "sample-rate: must be >= 1"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(figures, message):
    with pytest.raises(InputError, match=message):
        wish(**figures)


def test_the_loudest_second():
    tone, silence = np.sin(np.arange(16000) * 0.1), np.zeros(16000)
    assert loudest_second(silence, 16000) == 0.0
    assert loudest_second(np.concatenate([silence, 0.01 * tone]), 16000) == pytest.approx(math.sqrt(0.5), abs=0.01)
    assert loudest_second(np.sign(tone), 16000) == pytest.approx(1.0, abs=0.01)
    assert 0.1 < loudest_second(voices(0, 3.0)[0], 16000) < 0.6


def test_a_reason_is_a_plain_record():
    reason = Reason("I1", "f", 1.0, "t", False)
    assert reason == Reason("I1", "f", 1.0, "t", rules_out=False)
