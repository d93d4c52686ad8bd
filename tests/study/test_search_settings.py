import pytest
from optuna.pruners import MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import RandomSampler, TPESampler
from optuna.trial import FixedTrial
from searches import PLAIN

from telucodec.errors import InputError
from telucodec.study.search.settings import Settings, pruner_for, read_settings, sampler_for
from telucodec.study.search.space import Choice, Interval, describe, differences


def test_each_sampler_and_pruner_is_the_one_that_is_named():
    def named(**values):
        return read_settings(PLAIN | values)

    assert isinstance(named(), Settings)
    assert isinstance(sampler_for(named(), 0, 1), TPESampler)
    assert isinstance(sampler_for(named(sampler="random"), 0, 1), RandomSampler)
    assert isinstance(pruner_for(named()), NopPruner)
    assert isinstance(pruner_for(named(pruner="median")), MedianPruner)
    assert isinstance(pruner_for(named(pruner="halving")), SuccessiveHalvingPruner)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n_trials": 0}, "sweeper: n_trials must be >= 1, got 0"),
        ({"seeds": 0}, "sweeper: seeds must be >= 1, got 0"),
        ({"warmup_steps": -1}, "sweeper: warmup_steps must be >= 0, got -1"),
        ({"direction": "up"}, "sweeper.direction: got 'up'"),
        ({"sampler": "grid"}, "sweeper.sampler: got 'grid'"),
        ({"n_trial": 3}, "sweeper: there is no key 'n_trial'. Did you mean 'n_trials'?"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(values, message):
    with pytest.raises(InputError) as refused:
        read_settings(PLAIN | values)
    assert message in str(refused.value)


def test_values_are_typed_so_that_they_can_be_typed_again():
    third = 1 / 3
    assert Interval("x", 0.1, 1.0).suggest(FixedTrial({"x": third})) == "x=0.333333"
    assert Interval("x", third, 1.0).suggest(FixedTrial({"x": third})) == f"x={third!r}", "never below the bound"
    assert Interval("lr", 1e-6, 1e-2, log=True).suggest(FixedTrial({"lr": 1.23456789e-5})) == "lr=1.23457e-05"
    assert Interval("x", 0.0, 50.0).suggest(FixedTrial({"x": 45.0})) == "x=45.0"
    assert Interval("n", 1, 9, whole=True, step=2).suggest(FixedTrial({"n": 5})) == "n=5"
    assert Choice("n", ("[a,b]", "[]")).suggest(FixedTrial({"n": "[]"})) == "n=[]"


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ((2.0, 1.0), "x: the interval from 2 to 1 is empty"),
        ((1.0, 1.0), "x: the interval from 1 to 1 is empty"),
        ((1.0, float("inf")), "x: the interval from 1 to inf is empty"),
        ((0.0, 1.0, True), "x: an interval in equal ratios begins above 0, not at 0"),
        ((1.0, 9.0, True, True, 2.0), "x: a range has equal steps"),
    ],
)
def test_an_interval_that_holds_nothing_is_refused(bounds, message):
    with pytest.raises(InputError, match=message):
        Interval("x", *bounds)


def test_a_choice_has_each_value_once():
    with pytest.raises(InputError, match="x: a value is given twice: 1, 1"):
        Choice("x", ("1", "1"))


def test_spaces_are_compared_by_what_they_hold():
    before = describe([Interval("a", 0.0, 1.0), Choice("b", ("1", "2"))])
    assert differences(before, describe([Interval("a", 0.0, 1.0), Choice("b", ("1", "2"))])) == []
    now = describe([Interval("a", 0.0, 1.0, log=False, step=0.5), Choice("b", ("1", "3"))])
    assert differences(before, now) == [
        "a.step: None before, 0.5 now",
        "b.values: ('1', '2') before, ('1', '3') now",
    ]
