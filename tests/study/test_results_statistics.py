"""Differences with numbers that a person can compute, scipy as the reference, and properties that must hold."""

import math

import numpy as np
import pytest
from scipy import stats

from known_runs import run_folder, study_of
from telucodec.study.results.collected import Collected
from telucodec.study.results.front import front
from telucodec.study.results.intervals import bootstrap_interval, student_interval
from telucodec.study.results.power import detectable_shift, noncentrality, power
from telucodec.study.results.run import read_run
from telucodec.study.results.statistics import arm_interval, difference, differences, holm, values

SEEDS = 3


def figures(seeds, utterances, shift=0.0, noise=0.3, rng=0):
    """Values whose seeds differ by much, whose utterances differ by more, and with a little noise of their own."""
    generator = np.random.default_rng(rng)
    of_seed, of_file = generator.normal(0, 5, seeds), generator.normal(0, 9, utterances)
    noise = np.random.default_rng(rng + 1000).normal(0, noise, (seeds, utterances))
    return {
        seed: {
            str(file): float(of_seed[seed] + of_file[file] + noise[seed, file] + shift) for file in range(utterances)
        }
        for seed in range(seeds)
    }


def moved(told, by):
    return {seed: {name: value + by for name, value in row.items()} for seed, row in told.items()}


def test_three_seeds_by_hand():
    """Differences 1, 2, 3: mean 2, sd 1, t = 2 sqrt(3), d_z = 2 times gamma(1) / gamma(1/2)."""
    base = {seed: {"a": 10.0 * seed, "b": 10.0 * seed + 4} for seed in range(3)}
    arm = {seed: {"a": 10.0 * seed + 1 + seed, "b": 10.0 * seed + 5 + seed} for seed in range(3)}
    found = difference(arm, base)
    assert (found.mean, found.seeds, found.utterances, found.agreeing) == (2.0, 3, 2, 3)
    half = 4.302653 / math.sqrt(3)
    assert (found.low, found.high) == pytest.approx((2 - half, 2 + half), abs=1e-5)
    assert found.p == pytest.approx(stats.ttest_1samp([1, 2, 3], 0).pvalue)
    assert found.effect == pytest.approx(2 / math.sqrt(math.pi))
    assert found.detectable == pytest.approx(5.653489 / math.sqrt(3), abs=1e-5)
    assert not found.clear


def test_the_p_value_is_scipys_paired_t_test_over_means_of_seeds():
    arm, base = figures(5, 7, shift=0.2, rng=1), figures(5, 7, rng=2)
    means = [[np.mean(list(row.values())) for row in one.values()] for one in (arm, base)]
    reference = stats.ttest_rel(*means)
    found = difference(arm, base)
    assert found.p == pytest.approx(reference.pvalue)
    interval = reference.confidence_interval()
    assert found.low <= interval.low + 1e-12
    assert found.high >= interval.high - 1e-12


def test_pairing_cancels_what_seeds_and_utterances_have_in_common():
    base = figures(4, 10, noise=0.0)
    arm = figures(4, 10, shift=1.0, noise=0.0)
    paired, alone = difference(arm, base), arm_interval(arm)
    assert (paired.low, paired.high) == pytest.approx((1.0, 1.0))
    assert paired.clear
    assert alone.high - alone.low > 5


def test_a_shift_moves_every_bound_and_nothing_else():
    base, arm = figures(3, 6), figures(3, 6, rng=5)
    before, after = difference(arm, base), difference(moved(arm, 2.5), base)
    assert [after.mean - before.mean, after.low - before.low, after.high - before.high] == pytest.approx([2.5] * 3)
    assert after.detectable == pytest.approx(before.detectable)
    one, other = arm_interval(arm), arm_interval(moved(arm, -7))
    assert np.subtract(one[:3], other[:3]) == pytest.approx([7, 7, 7])


def test_swapping_the_arms_swaps_the_signs():
    base, arm = figures(4, 5), figures(4, 5, rng=9)
    there, back = difference(arm, base), difference(base, arm)
    assert (back.mean, back.effect, back.p) == pytest.approx((-there.mean, -there.effect, there.p))
    assert back.agreeing == there.agreeing


def test_one_seed_is_never_a_difference():
    found = difference({0: {"a": 100.0, "b": 101.0}}, {0: {"a": 0.0, "b": 0.0}})
    assert found.mean == 100.5
    assert (found.seeds, found.utterances) == (1, 2)
    assert all(math.isnan(value) for value in (found.low, found.high, found.effect, found.p, found.detectable))
    assert not found.clear
    assert math.isnan(arm_interval({3: {"a": 1.0, "b": 2.0}}).low)


def test_two_seeds_have_an_interval_of_the_right_width_and_no_effect_size():
    found = difference({0: {"": 1.0}, 1: {"": 2.0}}, {0: {"": 0.0}, 1: {"": 0.0}})
    assert found.high - found.mean == pytest.approx(12.7062 * 0.5, abs=1e-3)
    assert math.isnan(found.effect)
    assert found.p == pytest.approx(stats.ttest_1samp([1, 2], 0).pvalue)


def test_only_what_both_have_counts():
    arm = {0: {"a": 1.0, "b": 2.0, "c": math.nan}, 1: {"a": 1.0}, 2: {"a": 9.0}, 4: {"z": 5.0}}
    base = {0: {"a": 0.0, "b": 0.0, "c": 1.0}, 1: {"a": 0.0, "b": 3.0}, 3: {"a": 0.0}, 4: {"a": 5.0}}
    found = difference(arm, base)
    assert (found.seeds, found.utterances) == (2, 2)
    assert found.mean == pytest.approx((1.5 + 1) / 2)


def test_no_common_figure_gives_nan_and_no_seed():
    for arm in ({}, {0: {}}, {0: {"a": math.nan}}):
        found = difference(arm, {0: {"a": 1.0}})
        assert math.isnan(found.mean)
        assert found.seeds == 0
    assert arm_interval({0: {}}).counted == 0


def test_equal_arms_do_not_differ_and_constant_shifts_are_certain():
    base = figures(3, 4)
    same = difference(base, base)
    assert (same.mean, same.low, same.high, same.p, same.effect) == (0, 0, 0, 1, 0)
    always = difference({seed: {"": 8.0} for seed in range(3)}, {seed: {"": 6.0} for seed in range(3)})
    assert (always.low, always.p, always.effect) == (2, 0, math.inf)


def test_a_resample_draws_utterances_once_for_all_seeds():
    """Two utterances, equal in every seed: the interval is that of two draws, however many seeds agree."""
    table = np.tile([0.0, 1.0], (10, 1))
    assert bootstrap_interval(table)[:3] == (0.5, 0.0, 1.0)


def test_of_three_seeds_the_bootstrap_gives_the_lowest_and_the_highest():
    table = np.array([[1.0], [2.0], [6.0]])
    assert bootstrap_interval(table)[:3] == (3.0, 1.0, 6.0)
    wide = student_interval(table[:, 0])
    assert wide.low < 1
    assert wide.high > 6


def test_missing_utterances_do_not_move_the_weight_of_a_seed():
    table = np.array([[0.0, 0.0, 0.0, 0.0], [4.0, np.nan, np.nan, np.nan]])
    assert bootstrap_interval(table).mean == 2.0


def test_many_utterances_are_resampled_as_a_textbook_says():
    rng = np.random.default_rng(4)
    table = rng.normal(0, 1, (40, 1)) + rng.normal(0, 2, (1, 60))
    found = bootstrap_interval(table)
    error = math.sqrt(table.mean(1).var() / 40 + table.mean(0).var() / 60)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.06)


@pytest.mark.parametrize(
    ("ps", "corrected"),
    [
        ([0.01, 0.02, 0.03], [0.03, 0.04, 0.04]),
        ([0.04, 0.01], [0.04, 0.02]),
        ([0.6, 0.5, 0.9], [1.0, 1.0, 1.0]),
        ([0.01, math.nan, 0.02], [0.02, math.nan, 0.02]),
        ([0.005, 0.011, 0.02, 0.04, 0.13], [0.025, 0.044, 0.06, 0.08, 0.13]),
        ([], []),
    ],
)
def test_holm_by_hand(ps, corrected):
    assert holm(ps) == pytest.approx(corrected, nan_ok=True)


@pytest.mark.parametrize("seeds", [2, 3, 5, 12])
def test_the_detectable_shift_is_found_in_four_of_five_studies(seeds):
    assert power(seeds, noncentrality(seeds)) == pytest.approx(0.8)
    drawn = np.random.default_rng(seeds).normal(noncentrality(seeds) / math.sqrt(seeds), 1, (20000, seeds))
    assert (stats.ttest_1samp(drawn, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.015)


def test_more_seeds_find_less():
    means = np.array([-1.0, 0.0, 1.0])
    assert detectable_shift(np.tile(means, 3)) < detectable_shift(means) / 2


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """Base, one arm 2 dB above it, one whose second seed diverged, and one that was never run."""
    root = tmp_path_factory.mktemp("runs")
    runs = []
    for seed in range(SEEDS):
        runs.append(read_run(run_folder(root / f"base{seed}", seed), "base"))
        runs.append(read_run(run_folder(root / f"better{seed}", seed, shift=2 + 0.1 * seed), "better"))
        broken = {"status": "diverged", "steps": 150} if seed == 1 else {}
        runs.append(read_run(run_folder(root / f"odd{seed}", seed, shift=1.0, **broken), "odd"))
    study = study_of(root, "better", "odd", "absent")
    return Collected(study, runs, [("absent", seed) for seed in range(SEEDS)], [], [])


def test_differences_of_a_study(collected):
    found = differences(collected, "val/snr")
    assert list(found) == ["better", "odd", "absent"]
    assert found["better"].mean == pytest.approx(2.1)
    assert found["better"].clear
    assert found["odd"].p_holm == pytest.approx(2 * found["odd"].p), "the smaller p of two; the arm without any is none"
    assert found["better"].p_holm == found["better"].p
    assert found["odd"].seeds == 2, "the seed that diverged has no end"
    assert math.isnan(found["absent"].mean)


def test_a_reference_without_any_run_leaves_its_arms_in_the_table(collected):
    without = Collected(collected.study, [run for run in collected.runs if run.arm == "odd"], [], [], [])
    assert without.arms == ("odd",)
    assert math.isnan(differences(without, "val/snr")["odd"].mean)


def test_values_by_utterance_by_step_and_of_the_whole_set(collected):
    assert values(collected.runs, "base", "val/snr")[1]["valid/te-02.flac"] == pytest.approx(2.12)
    assert values(collected.runs, "base", "val/snr", 100)[0]["valid/te-00.flac"] == pytest.approx(1.0)
    assert values(collected.runs, "base", "codebook/usage_min") == {seed: {"": 0.5} for seed in range(SEEDS)}
    assert values(collected.runs, "base", "loss/mel", 200) == {seed: {} for seed in range(SEEDS)}
    assert values(collected.runs, "odd", "val/snr")[1] == {}
    assert values(collected.runs, "odd", "val/snr", 100)[1]
    assert values(collected.runs, "absent", "val/snr") == {}


def test_the_front_keeps_equal_points():
    assert front({"a": (1.0, 1.0), "b": (1.0, 1.0), "c": (1.0, 0.5)}) == ["a", "b"]
