"""Each rule fires where it must, and just does not beside it."""

import math

import pytest
import yaml
from ledgers import claim, judged, says, verdicts

from telucodec.cli.compose import conf_dir
from telucodec.losses.quantizer import CodebookLoss, Commitment
from telucodec.study.claims import training
from telucodec.study.claims.evidence import VERDICTS


def evidence(folder, verdict, *claims, **more):
    """The reasons of one verdict for the first claim."""
    return [each for each in judged(folder, *claims, **more).evidence if each.verdict == verdict]


@pytest.mark.parametrize(
    ("ratio", "snr", "verdict"),
    [
        ((0.4, 0.6), (5, 10), "impossible"),  # at both ends
        ((0.5, 0.9), (6.02, 20), "impossible in part"),  # on the limit, 6.0206 and 20 dB, but not crosswise
        ((0.5, 0.9), (6.03, 20), "impossible in part"),  # at the first end
        ((0.5, 0.9), (6.02, 20.01), "impossible in part"),  # at the last
        ((0.5, 0.9), (6.03, 20.01), "impossible"),
        ((0.5, 0.5), (6.02, 6.03), "impossible in part"),
        ((0.7, 0.85), (8, 12), "impossible in part"),  # only 12 dB at 0.7
        ((0.7, 0.85), (8, 10.45), "open"),
        ((1.0, 1.0), (27, 27), "open"),
        ((1.6, 1.6), (4.44, 4.44), "impossible"),  # as far above 1 as 0.4 is below it
        ((0.9, None), (18, None), "open"),
        ((0.8, None), (18, None), "impossible in part"),
        ((1.2, None), (20, None), "impossible"),  # above 1 it only falls: nothing remains
    ],
)
def test_snr_beside_the_rms_ratio(tmp_path, ratio, snr, verdict):
    pair = [says("val/rms_ratio", *ratio), says("val/snr", *snr)]
    assert verdicts(tmp_path, claim(predicts=pair)) == [verdict]
    pooled = [says("val/rms_ratio_pooled", *ratio), says("val/snr_pooled", *snr)]
    assert verdicts(tmp_path, claim(predicts=pooled)) == [verdict]


@pytest.mark.parametrize(
    ("snr", "verdict", "told"),
    [
        (
            (6.03, 20.01),
            "impossible",
            ["0.5 allows 6.02 dB at most, not 6.03.", "0.9 allows 20.00 dB at most, not 20.01."],
        ),
        ((6.03, 20), "impossible in part", ["0.5 allows 6.02 dB at most, not 6.03, though the rest fits."]),
        ((6.02, 20.01), "impossible in part", ["0.9 allows 20.00 dB at most, not 20.01, though the rest fits."]),
        ((6.02, 20), "impossible in part", ["0.5 allows 6.02 dB at most, not 20, though the rest fits."]),
    ],
)
def test_each_end_that_is_ruled_out_is_named(tmp_path, snr, verdict, told):
    pair = [says("val/rms_ratio", 0.5, 0.9), says("val/snr", *snr)]
    found = evidence(tmp_path, verdict, claim(predicts=pair))
    assert [each.text for each in found] == [f"At epoch 5: an RMS ratio of {text}" for text in told]


def test_what_remains_is_said(tmp_path):
    pair = [says("val/rms_ratio", 0.4, 0.6), says("val/snr", 5, 10)]
    (left,) = [e for e in evidence(tmp_path, "open", claim(predicts=pair)) if e.formula.startswith("r >=")]
    assert left.number == pytest.approx(1 - 10**-0.25)
    assert "5 to 7.96 dB at an RMS ratio of 0.438 to 0.6" in left.text
    pair = [says("val/rms_ratio", 0.4, 0.6), says("val/snr", 8, 10)]
    (left,) = [e for e in evidence(tmp_path, "open", claim(predicts=pair)) if e.formula.startswith("r >=")]
    assert "nothing remains; 8 dB need an RMS ratio of 0.602 to 1.4" in left.text


def test_only_predictions_of_the_same_moment_are_joined(tmp_path):
    ratio, snr = [says("val/rms_ratio", 0.4, 0.6)], [says("val/snr", 5, 10)]
    alone = claim("A1", predicts=snr), claim("A2", predicts=ratio)
    assert verdicts(tmp_path, *alone) == ["open", "open"]
    joined = claim("A1", predicts=snr, with_=["A2"]), claim("A2", predicts=ratio)
    assert verdicts(tmp_path, *joined) == ["impossible", "open"]
    (first, _) = evidence(tmp_path, "impossible", *joined)
    assert "(with A2)" in first.text
    apart = claim("A1", predicts=snr, with_=["A2"]), claim("A2", predicts=[says("val/rms_ratio", 0.4, 0.6, at=6)])
    assert verdicts(tmp_path, *apart) == ["open", "open"]


@pytest.mark.parametrize(
    ("snr", "verdict"),
    [((28, 28), "open"), ((28.1, 30), "impossible"), ((20, 30), "impossible in part"), ((20, None), "open")],
)
def test_the_rate(tmp_path, snr, verdict):
    assert verdicts(tmp_path, claim(predicts=[says("val/snr", *snr)])) == [verdict]


def test_the_rate_says_what_it_refers_to(tmp_path):
    (found,) = evidence(tmp_path, "impossible", claim(predicts=[says("val/snr", 29)]))
    assert "a reference for Gaussian sources of speech's spectra; measured." in found.text


def test_the_rate_is_the_header_s(tmp_path):
    assert verdicts(
        tmp_path, claim(predicts=[says("val/snr", 29)]), rate_bound={"kbps": 16, "snr": 30.0, "why": "more"}
    ) == ["open"]


def test_an_snr_says_what_correlation_it_needs_and_decides_nothing(tmp_path):
    (found,) = evidence(tmp_path, "open", claim(predicts=[says("val/snr", 20)]))
    assert found.number == pytest.approx(0.995, abs=1e-4)
    assert verdicts(tmp_path, claim(predicts=[says("val/snr", -3, -1)])) == ["open"]


def observation(snr, ratio, *more, metric="val/rms_ratio"):
    return claim(kind="observation", predicts=[says("val/snr", snr), says(metric, ratio), *more])


def test_observed_figures_imply_a_correlation(tmp_path):
    (found,) = evidence(tmp_path, "consistent", observation(0.53, 0.285))
    assert found.number == pytest.approx(0.344, abs=5e-4)
    assert "0.55 dB" in found.text
    limit = -20 * math.log10(1.5)  # r = 0.5 upside down
    assert verdicts(tmp_path, observation(limit, 0.5)) == ["consistent"]
    assert verdicts(tmp_path, observation(limit - 0.01, 0.5)) == ["impossible"]
    assert verdicts(tmp_path, observation(6.01, 0.5)) == ["consistent"]
    assert verdicts(tmp_path, observation(6.03, 0.5)) == ["impossible"]


def test_a_ratio_of_ranges_rules_nothing_out(tmp_path):
    assert verdicts(tmp_path, observation(-1.39, 0.327, metric="val/range_ratio")) == ["consistent"]
    assert verdicts(tmp_path, observation(6.03, 0.5, metric="val/range_ratio")) == ["open"]
    pair = [says("val/range_ratio", 0.9), says("val/snr", 23)]
    assert verdicts(tmp_path, claim(predicts=pair)) == ["open"]


def test_an_offset_explains_an_snr_that_is_too_low_but_none_that_is_too_high(tmp_path):
    (found,) = evidence(tmp_path, "impossible", observation(-8.05, 0.548))
    assert found.number == pytest.approx(-4.64, abs=0.01)
    assert "an offset of 2.00 to 2.49 times" in found.text
    (found,) = evidence(tmp_path, "consistent", observation(-8.05, 0.548, says("val/dc", 0.557)))
    assert "a target of RMS 0.224 to 0.279" in found.text
    assert verdicts(tmp_path, observation(-8.05, 0.548, says("val/dc", 0.9))) == ["impossible"]  # a target of 0.36
    assert verdicts(tmp_path, observation(-8.05, 0.548, says("val/dc", 0.0))) == ["impossible"]
    assert verdicts(tmp_path, observation(6.03, 0.5, says("val/dc", 0.557))) == ["impossible"]


@pytest.mark.parametrize(
    ("rho", "more", "verdict"),
    [
        ((0.5, 1.0), [], "impossible"),  # SNR -0.97 dB at half the amplitude is rho 0
        ((0.0, 1.0), [], "consistent"),
        ((-1.0, -0.1), [], "impossible"),
        ((0.5, 1.0), [says("val/dc", 0.0)], "impossible"),
        ((0.5, 1.0), [says("val/dc", 0.3)], "consistent"),
    ],
)
def test_a_stated_correlation(tmp_path, rho, more, verdict):
    snr = -10 * math.log10(1.25)
    assert verdicts(tmp_path, observation(snr, 0.5, says("val/rho", *rho), *more)) == [verdict]


def test_a_stated_correlation_beside_ranges(tmp_path):
    # 0.951 at both ends of the RMS ratio, and between them down to sqrt(1 - 10^(-SNR/10)) = 0.9499
    pair = [says("val/rms_ratio", 0.9, 1.0), says("val/snr", 10.1)]
    assert verdicts(tmp_path, claim(predicts=[*pair, says("val/rho", 0.0, 0.95)])) == ["open"]
    assert verdicts(tmp_path, claim(predicts=[*pair, says("val/rho", 0.0, 0.9498)])) == ["impossible"]
    assert verdicts(tmp_path, claim(predicts=[*pair, says("val/rho", 0.952, 1.0)])) == ["impossible"]


@pytest.mark.parametrize(
    ("loss", "value", "snr", "verdict"),
    [
        ("loss/mse", 0.3, 2, "inconsistent"),  # 0.69
        ("loss/mse", 0.1225, 0, "open"),  # 0.35, as granted
        ("loss/mse", 0.1226, 0, "inconsistent"),
        ("loss/l1", 0.35, 0, "open"),
        ("loss/l1", 0.351, 0, "inconsistent"),
        ("loss/l1 + loss/mse", 0.35 + 0.1225, 0, "open"),
        ("loss/l1 + loss/mse", 0.474, 0, "inconsistent"),
        ("2 * loss/mse", 0.3, 2, "open"),  # another quantity
        ("loss/mel", 0.3, 2, "open"),
    ],
)
def test_loss_and_snr_imply_a_target(tmp_path, loss, value, snr, verdict):
    pair = [says(loss, value, 9), says("val/snr", snr, 9)]  # the ends that imply the quietest target decide
    assert verdicts(tmp_path, claim(predicts=pair)) == [verdict]


def test_contradictions_name_the_other_claim(tmp_path):
    found = [
        claim("A1", predicts=[says("loss/mse", 0.3, point=0.3)], with_=["A2"]),
        claim("A2", predicts=[says("val/snr", 2, 5, point=3)], with_=["A1"]),
    ]
    assert verdicts(tmp_path, *found) == ["inconsistent", "inconsistent"]
    (first,) = evidence(tmp_path, "inconsistent", *found)
    assert "(with A2)" in first.text
    assert "(0.77 at 0.3 and 3 dB)" in first.text


def test_mse_and_peak_imply_a_target(tmp_path):
    def pair(mse, peak):
        return claim(predicts=[says("loss/mse", mse), says("val/peak", peak)])

    assert verdicts(tmp_path, pair(0.64, 0.2)) == ["inconsistent"]
    assert verdicts(tmp_path, pair(0.3025, 0.2)) == ["open"]  # 0.55 - 0.2 = 0.35
    assert verdicts(tmp_path, pair(0.31, 0.2)) == ["inconsistent"]


@pytest.mark.parametrize(
    ("start", "ends", "verdict"),
    [
        (1.0, (1.49, 2.0), "open"),  # 5 epochs x 100 steps x 1e-3 = 0.5 in either direction
        (1.0, (1.51, 2.0), "unreachable"),
        (1.0, (0.0, 0.51), "open"),
        (1.0, (0.0, 0.49), "unreachable"),
        (1.0, (0.49, 1.51), "certain"),
        (1.0, (0.51, 2.0), "open"),
    ],
)
def test_reach(tmp_path, start, ends, verdict):
    move = claim(preset="s001", predicts=[says("train/output_scale", *ends, from_=start)])
    assert verdicts(tmp_path, move) == [verdict]


def test_reach_counts_the_steps_that_are_granted(tmp_path):
    move = claim(preset="s001", predicts=[says("train/output_scale", 1.3, from_=1.0)])
    assert verdicts(tmp_path, move, granted=61) == ["open"]
    assert verdicts(tmp_path, move, granted=59) == ["unreachable"]
    (found,) = evidence(tmp_path, "unreachable", move, granted=59)
    assert found.number == pytest.approx(0.295)
    assert "with 3: 0.015 and 0.015" in found.text


def test_reach_at_the_start_and_at_no_point(tmp_path):
    start = says("train/output_scale", 2.5, from_=2.5) | {"at": {"step": 0}}
    assert verdicts(tmp_path, claim(preset="s001", predicts=[start])) == ["certain"]
    late = says("train/output_scale", 9.0, from_=2.5) | {"at": {"any": "some time"}}
    assert verdicts(tmp_path, claim(preset="s001", predicts=[late])) == ["open"]


@pytest.mark.parametrize(
    ("metric", "verdict"),
    [
        ("gradient_share/audio/commitment", "impossible"),
        ("gradient/output_scale/codebook", "impossible"),
        ("gradient_share/gain/commitment + gradient_share/gain/codebook", "impossible"),
        ("gradient_share/encoded/commitment", "open"),
        ("gradient_share/audio/l1", "open"),
        ("gradient_share/audio/commitment + gradient_share/audio/l1", "open"),
        ("gradient_clip/commitment", "open"),
    ],
)
def test_the_quantizer_s_gradient_ends_before_the_decoder(tmp_path, metric, verdict):
    assert verdicts(tmp_path, claim(predicts=[says(metric, 0.5, 1)])) == [verdict]
    assert verdicts(tmp_path, claim(predicts=[says(metric, 0, 1)])) == ["open"]


def effect(switch, metric, against=None, **how):
    arms = {"switch": switch} | ({"against": against} if against else {})
    return claim(kind="causal", effects=[arms | {"metric": metric} | how])


LOUD = "gradient/output_scale/rms"


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        (effect("rms_per_sample_15", LOUD, "rms_global_15", factor=[16, 16]), "impossible"),
        (effect("rms_per_sample_15", LOUD, "rms_global_15", factor=[1.01, 2]), "impossible"),
        (effect("rms_per_sample_15", LOUD, "rms_global_15", factor=[0.5, 2]), "open"),
        (effect("rms_per_sample_15", LOUD, "rms_global_15", direction="up"), "impossible"),
        (effect("rms_per_sample_15", LOUD, "rms_global_15", direction="down"), "open"),
        (effect("rms_per_sample_15", LOUD, factor=[16, 16]), "open"),
        (effect("rms_per_sample_15", "gradient/output_scale/l1", "rms_global_15", factor=[16, 16]), "open"),
        (effect("codebook_loss", "val/snr", direction="up"), "impossible"),
        (effect("codebook_loss", "val/snr", direction="none"), "certain"),
        (effect("codebook_loss", "loss/codebook", direction="up"), "open"),
        (effect(["codebook_loss", "tanh"], "val/snr", direction="up"), "open"),
        (effect("commitment_sum", "loss/commitment", factor=[4, 4]), "certain"),
        (effect("commitment_sum", "loss/commitment", factor=[5, 8]), "impossible"),
        (effect("commitment_sum", "loss/commitment", direction="up"), "certain"),
        (effect("commitment_sum", "val/snr", direction="down"), "open"),
        (effect("straight_through_per_step", "val/snr", direction="up"), "open"),
        (effect("tanh", "val/snr", direction="up"), "open"),
    ],
)
def test_what_switches_can_do(tmp_path, given, verdict):
    assert verdicts(tmp_path, given) == [verdict]


def test_a_gradient_straight_through_each_codebook_is_said_to_be_n_q_times_as_large(tmp_path):
    (found,) = evidence(tmp_path, "open", effect("straight_through_per_step", "val/snr", direction="up"))
    assert (found.identity, found.number) == ("I7", 4.0)


def test_a_discriminator_that_does_worse_than_guess_is_said_to(tmp_path):
    (found,) = evidence(tmp_path, "open", claim(predicts=[says("adversary/scale", 1.39, 2)]))
    assert found.number == pytest.approx(1.386, abs=1e-3)
    assert "worse than guessing" in found.text
    (found,) = evidence(tmp_path, "open", claim(predicts=[says("adversary/scale", 1.38, 2)]))
    assert "worse" not in found.text


@pytest.mark.parametrize(
    ("sums", "verdict"),
    [
        ([("0.9 / 0.02", 45)], "true"),
        ([("0.9 / 0.02", 44)], "false"),
        ([("0.445", 0.44)], "true"),  # half a unit of the last digit
        ([("0.446", 0.44)], "false"),
        ([("1 + 1", 2), ("1 + 1", 3)], "partly"),
        ([("1 + 1", 3), ("1 + 1", 4)], "false"),
        ([("5e-7", 5e-7)], "true"),
        ([("6e-7", 5e-7)], "false"),
        ([("149", 150)], "false"),
    ],
)
def test_arithmetic(tmp_path, sums, verdict):
    equations = [{"expression": expression, "stated": stated} for expression, stated in sums]
    assert verdicts(tmp_path, claim(arithmetic=equations)) == [verdict]


def test_a_gain_multiplies_a_level(tmp_path):
    def scaled(*after):
        return claim(gain={"factor": 3.0, "before": 0.159, "after": list(after)})

    assert verdicts(tmp_path, scaled(0.47, 0.477)) == ["certain"]
    assert verdicts(tmp_path, scaled(0.478, 0.5)) == ["inconsistent"]


def test_an_rms_is_at_least_the_mean(tmp_path):
    both = claim(moments={"rms": 0.548, "mean": -0.557})
    assert verdicts(tmp_path, both) == ["impossible"]
    assert verdicts(tmp_path, claim(moments={"rms": 0.557, "mean": 0.557})) == ["open"]
    parts = claim("A1", moments={"rms": 0.548}), claim("A2", moments={"mean": 0.557}, with_=["A1"])
    assert verdicts(tmp_path, *parts) == ["open", "inconsistent"]


def test_one_thing_has_one_value(tmp_path):
    def stated(*values):
        said = [{"line": line, "value": value} for line, value in enumerate(values, 1)]
        return claim(states={"what": "a weight", "values": said})

    assert verdicts(tmp_path, stated(2.0, 1.0)) == ["inconsistent"]
    assert verdicts(tmp_path, stated(2.0, 2)) == ["consistent"]


def test_laws_exclude_their_opposites(tmp_path):
    def law(name, about, direction):
        return claim(name, law={"name": about, "direction": direction})

    up, down, other = law("A1", "scale", "up"), law("A2", "scale", "down"), law("A3", "loss", "down")
    assert verdicts(tmp_path, up, down, other) == ["exclusive", "exclusive", "open"]
    assert verdicts(tmp_path, up, law("A2", "scale", "up")) == ["open", "open"]
    assert "A2" in evidence(tmp_path, "exclusive", up, down)[0].text


@pytest.mark.parametrize(
    ("rival", "theirs", "verdict"),
    [
        (says("val/snr", 28), "exclusive", "exclusive"),  # as much as the rate carries
        (says("val/snr", 28.1), "impossible", "open"),
        (says("val/snr", 20, 30), "exclusive", "exclusive"),  # impossible in part
        (says("train/output_scale", 9.0, from_=1.0), "unreachable", "exclusive"),
    ],
)
def test_a_claim_that_is_impossible_itself_excludes_no_other(tmp_path, rival, theirs, verdict):
    up = claim("A1", law={"name": "scale", "direction": "up"})
    down = claim("A2", preset="s001", predicts=[rival], law={"name": "scale", "direction": "down"})
    assert verdicts(tmp_path, up, down) == [verdict, theirs]
    assert verdicts(tmp_path, down, up) == [theirs, verdict]
    assert len(evidence(tmp_path, "exclusive", down, up)) == 1  # the other one still speaks against it


@pytest.mark.parametrize(("finding", "verdict"), [(True, "true"), (False, "false"), ("partly", "partly")])
def test_citations_carry_what_was_found(tmp_path, finding, verdict):
    (found,) = judged(
        tmp_path, claim(kind="citation", checked={"by": "a paper", "finding": finding, "why": "it says so"})
    ).evidence
    assert (found.verdict, found.formula, found.text) == (verdict, "a paper", "it says so")


def test_the_strongest_evidence_is_the_verdict_and_all_of_it_is_listed(tmp_path):
    given = claim(
        preset="s001",
        predicts=[says("train/output_scale", 9.0, from_=1.0), says("val/snr", 20, 30), says("val/rms_ratio", 0.8)],
        arithmetic=[{"expression": "1", "stated": 1}],
        law={"name": "x", "direction": "up"},
    )
    whole = judged(tmp_path, given, claim("A2", law={"name": "x", "direction": "down"}))
    found = [each.verdict for each in whole.evidence]
    assert found == sorted(found, key=VERDICTS.index)
    assert set(found) == {"impossible", "unreachable", "exclusive", "impossible in part", "true", "open"}
    assert whole.verdict == "impossible"


def test_the_rules_know_overlays_by_what_they_do():
    def overlay(name):
        return yaml.safe_load((conf_dir() / f"ablation/{name}.yaml").read_text())

    def chosen(name):
        return yaml.safe_dump(overlay(name)["defaults"])

    assert all("rms_per_sample" in chosen(name) for name in training.PER_ITEM)
    assert all("rms_global" in chosen(name) for name in training.OVER_BATCH)
    assert all("/gradient: per_step" in chosen(name) for name in training.STEPWISE)
    assert all(overlay(name) == {"defaults": [{"/loss@loss.codebook": "codebook"}]} for name in training.AVERAGED_TOO)
    assert all(overlay(name)["loss"] == {"commitment": {"reduce": "sum"}} for name in training.SUMMED)
    assert Commitment.through == "encoded"
    assert CodebookLoss.through == "codebook"
