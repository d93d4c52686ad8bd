"""What a switch does, by pairs of arms that differ by it alone."""

import math
from pathlib import Path

import pytest
from ledgers import claim, ledger

from known_arms import END, collected, heard, run, runs, study
from telucodec.study.claims.claim import Effect
from telucodec.study.claims.margins import MARGINS, margin
from telucodec.study.claims.measured import decide
from telucodec.study.claims.pairs import nothing, pairs, place
from telucodec.study.claims.switched import figures, measured
from telucodec.study.claims.values import Names, Range
from telucodec.study.design.study import Arm

SNR, RHO, LOSS = "val/snr", "val/rho", "loss/l1"


def effect(switch="tanh", metric=SNR, direction="up", **more):
    more = {key: Names([value] if isinstance(value, str) else value) for key, value in more.items()}
    return Effect(Names([switch] if isinstance(switch, str) else switch), metric, direction, **more)


def one(of_effect, with_it, without, metric=SNR, arm=None):
    """The finding of a study of two arms, with one figure a seed."""
    made = study(arm or Arm("new", (), switches=("tanh",)))
    (found,) = measured(of_effect, [collected(made, runs("new", metric, *with_it), runs("base", metric, *without))])
    return found


@pytest.mark.parametrize(
    ("direction", "change", "verdict"),
    [  # seeds' changes c - 0.1, c, c + 0.1: Student's interval is c -+ 4.303 x 0.1 / sqrt(3) = c -+ 0.248
        ("up", 0.45, "confirmed"),  # from 0.202: above 0.2
        ("up", 0.44, "inconclusive"),  # from 0.192
        ("up", -0.05, "refuted"),  # up to 0.198: nothing that counts, or less
        ("up", -0.04, "inconclusive"),  # up to 0.208
        ("up", -3, "refuted"),
        ("down", -0.45, "confirmed"),
        ("down", -0.44, "inconclusive"),
        ("down", 0.05, "refuted"),
        ("none", 0, "inconclusive"),  # -0.248 to 0.248 is wider than nothing
        ("none", 0.45, "refuted"),
        ("none", -0.45, "refuted"),
        ("none", 0.44, "inconclusive"),
    ],
)
def test_the_interval_and_the_margin_decide(direction, change, verdict):
    found = one(effect(direction=direction), [1 + change - 0.1, 2 + change, 3 + change + 0.1], [1, 2, 3])
    assert found.verdict == verdict
    assert found.figure == pytest.approx(change)
    assert (found.low, found.high) == pytest.approx((change - 0.2484, change + 0.2484), abs=1e-4)
    assert found.runs == ("fixes", ("new", "base"), (0, 1, 2), END)


def test_a_change_that_stays_within_the_margin_is_none():
    with_it, without = [1.05, 2.06, 3.05], [1, 2, 3]
    found = {way: one(effect(direction=way), with_it, without).verdict for way in ("up", "down", "none")}
    assert found == {"up": "refuted", "down": "refuted", "none": "confirmed"}


def test_a_single_seed_shows_no_difference():
    found = one(effect(), [5], [1])
    assert (found.verdict, math.isnan(found.low)) == ("untested", True)
    assert "one seed shows no difference" in found.text
    assert one(effect(), [5, 6], [1]).verdict == "untested"  # only seed 0 is in both


def test_losses_change_by_factors():
    with_it, without = [1.2, 2.44, 3.57], [1, 2, 3]  # by 1.20, 1.22 and 1.19
    found = one(effect(metric=LOSS), with_it, without, LOSS)
    assert found.figure == pytest.approx(1.2033, abs=1e-4)
    assert (found.verdict, "by the factor 1.2" in found.text) == ("confirmed", True)
    assert one(effect(metric=LOSS), [1.04, 2.08, 3.1], [1, 2, 3], LOSS).verdict == "refuted"  # 5 % count as none
    assert one(effect(metric=LOSS), without, with_it, LOSS).verdict == "refuted"


@pytest.mark.parametrize(
    ("factor", "verdict"),
    [((16, 16), "refuted"), ((0.9, 1.1), "confirmed"), ((1.02, 1.02), "confirmed"), ((1.2, 2), "refuted")],
)
def test_a_stated_factor_is_held_against_the_measured_one(factor, verdict):
    asked = Effect(Names(["tanh"]), "gradient/output_scale/rms", None, Range(*factor))
    found = one(asked, [-0.99, -2.0, -3.0], [-1, -2, -3], "gradient/output_scale/rms")
    assert found.verdict == verdict


def test_gradients_are_compared_by_size_whatever_their_sign():
    metric = "gradient/output_scale/rms"
    assert one(effect(metric=metric), [-2, -4.4], [-1, -2], metric).verdict == "inconclusive"  # 2.1 -+ 12.7 x 0.1
    assert one(effect(metric=metric), [-2, -4, -6.1], [-1, -2, -3], metric).verdict == "confirmed"


def test_utterances_are_paired():
    def hears(arm, shift):
        told = {name: {"snr": level + shift} for name, level in (("a", 1.0), ("b", 9.0))}
        return [run(arm, seed, {END: {SNR: 5 + shift}}, heard=heard(END, **told)) for seed in range(3)]

    made = study(Arm("new", (), switches=("tanh",)))
    (found,) = measured(effect(), [collected(made, hears("new", 1), hears("base", 0))])
    assert (found.figure, found.low, found.high) == pytest.approx((1, 1, 1))  # not as far apart as utterances are


def test_a_switch_that_an_arm_turns_off_is_on_in_its_reference():
    found = one(effect(), [1, 2, 3], [2, 3, 4.1], arm=Arm("new", (), switches=("-tanh",)))
    assert found.runs.arms == ("base", "new")
    assert (found.verdict, found.figure) == ("confirmed", pytest.approx(1.0333, abs=1e-4))


def test_only_arms_that_differ_by_the_switch_alone_are_paired():
    made = study(
        Arm("tanh", (), switches=("tanh",)),
        Arm("snake", (), switches=("snake",)),
        Arm("both", (), switches=("tanh",), against="snake"),
        Arm("three", (), switches=("tanh", "snake", "fsq")),
        Arm("other", ()),  # changes something that is no switch
        Arm("tanh_other", (), switches=("tanh",), against="other"),
        Arm("base@1e-3", (), rate="1e-3", of="base"),
        Arm("tanh@1e-3", (), switches=("tanh",), rate="1e-3", of="tanh", against="base@1e-3"),
        Arm("faster", (), switches=("tanh",), rate="1e-2"),  # and another learning rate
        Arm("losses_x10", (), times=10.0),
    )
    assert list(pairs(made, effect())) == [
        ("tanh", "base"),
        ("both", "snake"),
        ("tanh_other", "other"),
        ("tanh@1e-3", "base@1e-3"),
    ]
    assert list(pairs(made, effect("snake", against="tanh"))) == [("snake", "tanh")]
    assert list(pairs(made, effect(["fsq", "snake"]))) == [("three", "tanh")]
    assert place(made, "both") == ("base", {"snake": 1, "tanh": 1})
    assert [place(made, name).root for name in ("other", "faster", "losses_x10")] == ["other", "faster", "losses_x10"]


NULL = ("loss.l1.weight=10", "loss.mse.weight=10", "training.players.codec.clip_norm=10")


def test_what_a_null_arm_moves_counts_as_none():
    made = study(Arm("new", (), switches=("tanh",)), Arm("base_x10", NULL))
    assert list(nothing(made, "base")) == ["base_x10"]
    assert list(nothing(study(Arm("losses_x10", (), times=10.0)), "base")) == ["losses_x10"]
    new, base = runs("new", SNR, 1.5, 2.5, 3.5), runs("base", SNR, 1, 2, 3)
    (found,) = measured(effect(), [collected(made, new, base, runs("base_x10", SNR, 1.4, 2.5, 3.6))])
    assert found.verdict == "refuted"  # 0.5, of which 0.5 is nothing
    assert "up to 0.5 counts as none (as much as all losses times a number" in found.text
    (found,) = measured(effect(), [collected(made, new, base)])
    assert found.verdict == "confirmed"


@pytest.mark.parametrize(
    "overrides", [("optimizer.lr=1e-2",), ("loss.mel.weight=10",), (*NULL, "optimizer.lr=1e-2"), ("encoder=patch",)]
)
def test_a_name_alone_makes_no_null_arm(overrides):
    assert list(nothing(study(Arm("faster_x10", overrides)), "base")) == []


def test_weighted_sums_are_larger_in_a_null_arm_by_definition():
    made = study(Arm("new", (), switches=("tanh",)), Arm("base_x10", NULL))
    results = [runs("new", "train/loss", 2, 4, 6.1), runs("base", "train/loss", 1, 2, 3)]
    (found,) = measured(
        effect(metric="train/loss"), [collected(made, *results, runs("base_x10", "train/loss", 10, 20, 30))]
    )
    assert (found.verdict, "up to 5% counts as none" in found.text) == ("confirmed", True)


def test_seeds_that_are_left_after_a_divergence_are_no_fair_sample():
    made = study(Arm("new", (), switches=("tanh",)))
    new = [*runs("new", SNR, 3, 4.1), run("new", 2, {END: {SNR: 5}}, status="diverged")]
    (found,) = measured(effect(), [collected(made, new, runs("base", SNR, 1, 2, 3))])
    assert (found.verdict, found.runs.seeds) == ("inconclusive", (0, 1))
    assert found.text.endswith("DivergedError, and without a figure: new s2.")
    (found,) = measured(effect(), [collected(made, new[:2], runs("base", SNR, 1, 2, 3))])
    assert found.verdict == "confirmed"


def test_runs_that_break_off_are_counted_and_have_no_figures_at_the_end():
    made = study(Arm("new", (), switches=("no_clip",)))
    asked = effect("no_clip", "run/finished", "down")
    base, fine = runs("base", SNR, 1, 2, 3), runs("new", SNR, 1, 2, 3)
    broken, failed = (runs("new", SNR, 1, 2, 3, status=status) for status in ("diverged", "failed"))
    verdicts = [next(measured(asked, [collected(made, new, base)])).verdict for new in (fine, broken, failed)]
    assert verdicts == ["refuted", "confirmed", "untested"]
    (found,) = measured(effect("no_clip"), [collected(made, broken, base)])
    assert (found.verdict, "no figure that can be compared" in found.text) == ("untested", True)


def test_a_sum_of_keys_is_a_figure_too():
    rows = {100: {"loss/l1": 1.0, "loss/mse": 2.0}, 200: {"loss/l1": 3.0, "loss/mse": 0.5}, 300: {"loss/l1": 9.0}}
    assert figures([run("a", 7, rows), run("b", 7, rows)], "a", "loss/l1 + 2 * loss/mse") == {7: {"": 4.0}}


def verdict_of(tmp_path: Path, *results, **fields):
    return decide(ledger(tmp_path, claim(kind="causal", **fields)), results)[0]


SAID = {"switch": "tanh", "metric": SNR, "direction": "up"}


def test_contexts_that_disagree_leave_it_open_and_are_named(tmp_path):
    made = study(
        Arm("new", (), switches=("tanh",)),
        Arm("working", (), against="working"),
        Arm("new_working", (), switches=("tanh",), against="working"),
    )
    base = (runs("base", SNR, 1, 2, 3), runs("working", SNR, 6, 7, 8))
    up, down, unclear = (2, 3.1, 4), (5, 5.9, 7), (6, 7.9, 8.1)

    def found(first, second):
        return verdict_of(
            tmp_path,
            collected(made, *base, runs("new", SNR, *first), runs("new_working", SNR, *second)),
            effects=[SAID],
        )

    split = found(up, down)
    assert split.verdict == "inconclusive"
    assert split.by.text.startswith("It holds in new against base; does not hold in new_working against working.")
    assert [each.verdict for each in split.findings] == ["confirmed", "refuted"]
    assert found(up, (7, 8.1, 9)).verdict == "confirmed"
    assert found(up, unclear).verdict == "confirmed"  # who cannot tell abstains
    assert found((1, 2, 3), unclear).verdict == "refuted"


def test_a_claim_holds_if_all_its_effects_do(tmp_path):
    made = study(Arm("new", (), switches=("tanh",)))

    def found(rho):
        rows = [
            run(arm, seed, {END: {SNR: 2.0 * (arm == "new") + 0.01 * seed, RHO: rho * (arm == "new") + 0.001 * seed}})
            for arm in ("new", "base")
            for seed in range(3)
        ]
        effects = [SAID, SAID | {"metric": RHO, "direction": "down"}]
        return verdict_of(tmp_path, collected(made, rows), effects=effects).verdict

    assert [found(rho) for rho in (-0.3, 0.3)] == ["confirmed", "refuted"]
    only = collected(made, runs("new", SNR, 3, 4.1, 5), runs("base", SNR, 1, 2, 3))
    assert verdict_of(tmp_path, only, effects=[SAID]).verdict == "confirmed"
    assert verdict_of(tmp_path, only, effects=[SAID, SAID | {"metric": RHO}]).verdict == "inconclusive"
    assert verdict_of(tmp_path, only, effects=[SAID | {"metric": RHO}]).verdict == "untested"


def test_every_metric_has_a_margin_with_a_reason():
    assert all(each.why and each.amount >= 0 for _, each in MARGINS)
    assert [margin(name)[:2] for name in ("val/si_sdr", "val/snr_best_gain_pooled", "val/rho_pooled", RHO)] == [
        (0.2, False), (0.2, False), (0.02, False), (0.02, False),
    ]  # fmt: skip
    assert [margin(name)[:2] for name in ("val/rms_ratio", "sweep/l1/best_rms_ratio", "codebook/usage_min")] == [
        (0.02, False)
    ] * 3
    assert [margin(name)[:2] for name in ("val/mel_distance", "latent/error", "gradient/gain/rms", "train/loss")] == [
        (0.05, True)
    ] * 4
