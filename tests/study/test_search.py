import json
import math
import warnings

import pytest
from searches import LINE, Bench, KilledError, stands

from telucodec.errors import InputError
from telucodec.study.search.search import WHY, Search
from telucodec.study.search.space import Choice, Interval
from telucodec.study.search.table import rows, write_trials


def hill(config):
    """The nearer to 7, the better; six validations."""
    return [-((float(config["x"]) - 7) ** 2) - left for left in (5, 4, 3, 2, 1, 0)]


def test_it_finds_the_top_of_a_hill(tmp_path):
    search = Bench(tmp_path, hill, n_trials=30).play()
    assert abs(search.study.best_params["x"] - 7) < 0.2
    assert stands(search) == ["COMPLETE"] * 30
    away = [abs(trial.params["x"] - 7) for trial in search.study.trials]
    assert sum(away[20:]) < sum(away[:10]), "it learns"
    assert isinstance(search, Search)


def test_the_bottom_is_found_where_less_is_better(tmp_path):
    search = Bench(tmp_path, lambda c: [-v for v in hill(c)], n_trials=30, direction="minimize").play()
    assert abs(search.study.best_params["x"] - 7) < 0.2


STORED = [False, pytest.param(True, marks=pytest.mark.slow)]


@pytest.mark.parametrize("stored", STORED)
def test_killed_and_started_again_it_makes_the_same_trials_and_no_finished_run_twice(tmp_path, stored):
    whole = Bench(tmp_path / "whole", hill, n_trials=6, startup=2).play()
    bench = Bench(tmp_path / "killed", hill, n_trials=6, startup=2)
    for validations in (3, 8, 9):
        with pytest.raises(KilledError):
            bench.play(validations, stored)
    search = bench.play(stored=stored)
    assert [t.params for t in search.study.trials] == [t.params for t in whole.study.trials]
    assert [t.values for t in search.study.trials] == [t.values for t in whole.study.trials]
    again = [bench.made.count(identity) for identity in dict.fromkeys(bench.made)]
    assert len(again) == 6
    assert sum(again) == 6 + 3, "only what was under way when it was killed is gone on with"
    made = len(bench.made)
    assert stands(bench.play(stored=stored)) == ["COMPLETE"] * 6
    assert len(bench.made) == made, "nothing is left to be made"


def test_the_median_pruner_stops_what_is_worse_than_half_of_the_others(tmp_path):
    bench = Bench(tmp_path, hill, (Choice("x", ("7", "6", "5", "0")),), pruner="median", sampler="random", n_trials=14)
    search = bench.play()
    ended = [trial for trial in search.study.trials if trial.state.name == "COMPLETE"]
    pruned = [trial for trial in search.study.trials if trial.state.name == "PRUNED"]
    assert pruned
    assert min(trial.number for trial in pruned) >= 3, "the first three are made to their end"
    assert all(trial.params["x"] != "7" for trial in pruned)
    assert {max(trial.intermediate_values) for trial in pruned} == {10}, "at their first validation"
    assert all(max(trial.intermediate_values) == 60 for trial in ended)


def test_halving_stops_most(tmp_path):
    search = Bench(tmp_path, hill, pruner="halving", sampler="random", n_trials=20, warmup_steps=20).play()
    pruned = [trial for trial in search.study.trials if trial.state.name == "PRUNED"]
    assert len(pruned) > 8
    assert min(max(trial.intermediate_values) for trial in pruned) == 20, "none before the step that was set"


def test_what_is_not_finite_or_dies_is_a_failed_trial_and_says_why(tmp_path):
    curves = {"1": [1.0, math.nan, 5.0, 5.0], "2": [1.0, "diverged"], "3": [1.0, "failed"], "4": [1.0, 2.0]}
    bench = Bench(tmp_path, lambda c: curves[c["x"]], (Choice("x", tuple(curves)),), n_trials=20, sampler="random")
    search = bench.play()
    whys = {trial.params["x"]: trial.user_attrs[WHY] for trial in search.study.trials if trial.state.name == "FAIL"}
    assert set(whys) == {"1", "2", "3"}
    assert "val/snr is nan at step 20" in whys["1"]
    assert "diverged" in whys["2"]
    assert "exit code 1" in whys["3"]
    assert {trial.value for trial in search.study.trials if trial.state.name == "COMPLETE"} == {2.0}
    last = Bench(tmp_path / "last", lambda c: [1.0, math.nan], n_trials=1).play()
    assert last.study.trials[0].user_attrs[WHY] == "trial-0-0: val/snr is nan at its end"


@pytest.mark.parametrize("stored", STORED)
def test_a_run_that_died_is_made_once_more_when_the_search_is_started_again(tmp_path, stored):
    bench = Bench(tmp_path, lambda c: [1.0, "failed"], n_trials=1)
    assert stands(bench.play(stored=stored)) == ["FAIL"]
    search = bench.play(stored=stored)
    first, second = search.study.trials
    assert (second.params, second.state.name) == (first.params, "FAIL")
    assert stands(bench.play(stored=stored)) == ["FAIL", "FAIL"], "and not a third time"
    assert [row.number for row in rows(search.study, LINE, list)] == [1], "the table has it once"


def test_the_value_of_several_seeds_is_their_mean(tmp_path):
    bench = Bench(tmp_path, lambda c: [float(c["x"]) + float(c["seed"])], n_trials=3, seeds=3)
    search = bench.play()
    for trial in search.study.trials:
        assert trial.value == pytest.approx(trial.params["x"] + 1, abs=1e-4)
    assert len(bench.made) == 9


def test_the_other_seeds_of_a_trial_are_made_only_if_the_first_was_worth_its_end(tmp_path):
    bench = Bench(tmp_path, hill, pruner="median", sampler="random", seeds=2, n_trials=12)
    bench.at_once = 3
    search = bench.play()
    ended = stands(search).count("COMPLETE")
    assert 3 <= ended < 12
    assert len(bench.made) == 2 * ended + stands(search).count("PRUNED")


def test_equal_trials_under_way_together_share_a_run(tmp_path):
    bench = Bench(tmp_path, lambda c: [1.0, 2.0], (Choice("x", ("7",)),), n_trials=4)
    bench.at_once = 4
    search = bench.play()
    assert [trial.value for trial in search.study.trials] == [2.0] * 4
    assert len(bench.made) == 1


def test_a_trial_that_cannot_be_composed_fails_and_the_search_goes_on(tmp_path):
    bench = Bench(tmp_path, hill, (Choice("x", ("7", "8")),), n_trials=6, sampler="random")
    make = bench.make

    def refuse(number, chosen, seed):
        if chosen[0] == "x=8":
            raise InputError("x=8 contradicts y.")
        return make(number, chosen, seed)

    bench.make = refuse
    search = bench.play()
    assert {t.params["x"]: t.state.name for t in search.study.trials} == {"7": "COMPLETE", "8": "FAIL"}
    assert {t.user_attrs.get(WHY) for t in search.study.trials} == {None, "x=8 contradicts y."}


def test_a_metric_that_no_run_logs_ends_the_search_with_the_nearest_keys(tmp_path):
    bench = Bench(tmp_path, hill, n_trials=5, metric="val/snrr")
    bench.logged = "val/snr"
    search = bench.play()
    assert len(bench.made) == 1
    told = f"sweeper.metric=val/snrr: {tmp_path}/jobs/{bench.made[0]} logs no such figure. Did you mean val/snr?"
    assert str(search.trouble) == told


@pytest.mark.slow
def test_the_metric_can_be_corrected_as_long_as_no_trial_ended(tmp_path):
    bench = Bench(tmp_path, hill, n_trials=2, metric="val/snrr")
    bench.logged = "val/snr"
    assert bench.play(stored=True).trouble
    made = list(bench.made)
    right = Bench(tmp_path, hill, n_trials=2)
    search = right.play(stored=True)
    assert stands(search) == ["COMPLETE"] * 2
    assert not set(made) & set(right.made), "its run was finished, and is taken as it is"
    other = (Interval("x", 0.0, 20.0), Choice("y", ("1", "2")))
    with pytest.raises(InputError, match="holds the trials of another search") as refused:
        Bench(tmp_path, hill, other, n_trials=2, seeds=2).search(stored=True)
    for line in (
        "parameters.x.high: 10.0 before, 20.0 now",
        "parameters.y: nothing before, {",
        "seeds: 1 before, 2 now",
    ):
        assert line in str(refused.value)
    more = Bench(tmp_path, hill, n_trials=3, pruner="median", sampler="random").play(stored=True)
    assert stands(more) == ["COMPLETE"] * 3, "how it goes about it may change, and how long"


def test_the_first_step_is_not_judged_and_rows_without_the_metric_are_no_news(tmp_path):
    bench = Bench(tmp_path, lambda c: [1.0])
    search = bench.search(stored=False)
    job = search.wanted()
    bench.begin(job)
    record = job.folder / "metrics.jsonl"
    record.write_text(
        json.dumps({"step": 0, "val/snr": math.nan}) + "\n" + json.dumps({"step": 5, "loss/l1": 1.0}) + "\n"
    )
    assert not search.watch(job)
    assert search.study.trials[0].intermediate_values == {}
    record.write_text(record.read_text() + json.dumps({"step": 10, "val/snr": 3.0}) + "\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # optuna warns of a step that is told twice
        assert not search.watch(job)
        assert not search.watch(job)
    assert search.study.trials[0].intermediate_values == {10: 3.0}


def test_the_table_has_the_best_first_and_the_command_of_each(tmp_path):
    curves = {"1": [1.0], "2": [3.0], "3": ["diverged"], "4": [2.0]}
    space = (Choice("x", tuple(curves)), Interval("y", 1, 3, whole=True))
    bench = Bench(tmp_path, lambda c: curves[c["x"]], space, n_trials=12, sampler="random")
    search = bench.play()
    found = rows(search.study, space, lambda chosen: ["telucodec", "train", "name=a b", *chosen])
    values = [row.value for row in found if row.value is not None]
    assert values == sorted(values, reverse=True)
    assert {row.status for row in found if row.value is None} == {"failed"}
    assert found[0].command == f"telucodec train 'name=a b' x=2 {found[0].chosen[1]}"
    write_trials(found, space, tmp_path / "trials.csv")
    head, first, *_, last = (tmp_path / "trials.csv").read_text().splitlines()
    assert head == "trial,status,value,steps,x,y,runs,why,command"
    assert first.startswith(
        f"{found[0].number},finished,3.0,10,2,{found[0].chosen[1][2:]},{found[0].runs[0]},,telucodec"
    )
    assert ",failed,,0,3," in last
    assert "diverged" in last
