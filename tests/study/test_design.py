"""study.yaml: what it says, and every way to get it wrong."""

import textwrap

import pytest
import yaml

from conftest import ROOT
from telucodec.errors import InputError
from telucodec.study.claims.claim import Effect
from telucodec.study.claims.pairs import pairs
from telucodec.study.claims.values import Names
from telucodec.study.design.arms import at_rates, called, joined, null_arm
from telucodec.study.design.read import read_study
from telucodec.study.design.study import Arm, Budget, Study

WHOLE = {
    "question": "Does tanh matter?",
    "base": {"name": "before", "overrides": ["experiment=s003_before", "ablation=[snake]"]},
    "seeds": [0, 1, 2],
    "budgets": {"full": {"steps": 300}, "tiny": {"steps": 2, "seeds": [0], "arms": ["tanh"]}},
    "metrics": ["val/rho", "val/snr"],
    "primary": "val/rho",
    "better": "higher",
    "arms": {
        "tanh": {"overrides": ["ablation=[tanh]"], "says": "a tanh", "expect": "nothing"},
        "no_snake": {"without": ["snake"], "against": "tanh"},
    },
}


@pytest.fixture
def study(tmp_path):
    """Writes a study.yaml with changes, and reads it."""

    def read(text=None, **changes):
        folder = tmp_path / "fixes"
        folder.mkdir(exist_ok=True)
        content = {key: value for key, value in (WHOLE | changes).items() if value is not None}
        (folder / "study.yaml").write_text(yaml.safe_dump(content, sort_keys=False) if text is None else text)
        return read_study(folder)

    return read


def test_a_study_says_what_is_written(study):
    read = study()
    assert (read.name, read.base_name, read.question) == ("fixes", "before", "Does tanh matter?")
    assert list(read.arms) == ["before", "tanh", "no_snake"]
    assert read.arms["before"] == Arm("before", (), says="the base", against="before", of="before")
    assert read.arms["tanh"].switches == ("tanh",)
    assert read.arms["no_snake"].switches == ("-snake", "-tanh"), "which the arm beside it has"
    assert read.budgets["full"] == Budget(300)
    assert read.higher_is_better
    assert read.hypotheses == {"tanh": "nothing"}
    assert study(better="lower").higher_is_better is False


def test_switches_are_what_an_arm_turns_beside_its_reference_and_nothing_else(study):
    both, slow = "ablation=[tanh,fsq]", "optimizer.lr=1e-5"
    read = study(
        arms={
            "tanh": {"overrides": ["ablation=[tanh]"]},
            "both": {"overrides": [both], "against": "tanh"},
            "slow": {"overrides": [slow]},
            "slow_tanh": {"overrides": [slow, "ablation=[tanh]"], "against": "slow"},
            "tanh_and_more": {"overrides": ["ablation=[tanh]", slow]},
            "less_and_more": {"without": ["snake"], "overrides": [slow]},
            "back": {"against": "less"},
            "less": {"without": ["snake"]},
            "declared": {"overrides": [slow], "switches": ["lr_1e_5"]},
        }
    )
    assert {name: arm.switches for name, arm in read.arms.items() if arm.switches} == {
        "tanh": ("tanh",), "both": ("fsq",), "slow_tanh": ("tanh",), "back": ("snake",), "less": ("-snake",),
        "declared": ("lr_1e_5",),
    }  # fmt: skip
    tanh = Effect(Names(["tanh"]), "val/snr", "up")
    assert list(pairs(read, tanh)) == [("tanh", "before"), ("tanh", "back"), ("slow_tanh", "slow")]


def test_an_arm_is_compared_with_the_base_or_with_whom_it_says(study):
    read = study()
    assert [read.reference(arm) for arm in read.arms] == ["before", "before", "tanh"]
    assert read.chain("no_snake") == ["no_snake", "tanh", "before"]
    assert read.root("no_snake") == "before"
    alone = study(arms={"tanh": {"overrides": ["output=[tanh]"], "against": "tanh"}, "b": {"against": "tanh"}})
    assert (alone.reference("tanh"), alone.root("b")) == ("tanh", "tanh")


def test_runs_are_wanted_seed_by_seed_so_that_pairs_are_whole_early(study):
    wanted = list(study().wanted())
    assert wanted[:4] == [("before", 0), ("tanh", 0), ("no_snake", 0), ("before", 1)]
    assert len(wanted) == 9


def test_who_is_compared_with_an_arm_of_more_seeds_gets_them_too(study):
    read = study(arms={"tanh": {"overrides": ["output=[tanh]"]}, "b": {"against": "tanh", "seeds": [5, 6]}})
    assert read.seeds_of("b") == (5, 6)
    assert read.seeds_of("tanh") == (0, 1, 2, 5, 6)
    assert read.seeds_of("before") == (0, 1, 2, 5, 6)
    assert read.seeds_of("b", "tiny") == (0,), "a budget's seeds are all that it makes"


def test_a_budget_may_be_for_some_arms_and_a_command_for_fewer(study):
    read = study()
    assert read.arms_of("tiny") == ["before", "tanh"]
    assert read.arms_of("full") == ["before", "tanh", "no_snake"]
    cut = read.within("full", arms=["no_*"], seeds=[1])
    assert list(cut.wanted()) == [("before", 1), ("tanh", 1), ("no_snake", 1)], "with whom it is compared"
    tiny = read.within("tiny")
    assert isinstance(tiny, Study)
    assert (tiny.budgets["full"].steps, list(tiny.wanted())) == (2, [("before", 0), ("tanh", 0)])


def test_arms_at_further_rates_are_compared_at_the_same_rate(study):
    read = study(learning_rates=["own", 0.0001, "1e-3"])
    assert list(read.arms)[:4] == ["before", "before@1e-4", "before@1e-3", "tanh"]
    assert read.reference("no_snake@1e-3") == "tanh@1e-3"
    assert read.reference("tanh@1e-3") == "before@1e-3"
    assert read.reference("before@1e-3") == "before", "what the rate does by itself"
    assert read.root("no_snake@1e-3") == "before", "first weights do not depend on the rate"
    assert (read.arms["tanh@1e-4"].rate, read.arms["tanh@1e-4"].of) == ("1e-4", "tanh")


def test_without_own_the_first_rate_is_the_base(study):
    read = study(learning_rates=["1e-4", "1e-3"])
    assert read.base_name == "before@1e-4"
    assert read.root("tanh@1e-3") == "before@1e-4"


def test_an_arm_that_is_compared_with_none_stays_so_at_every_rate():
    arms = {"base": Arm("base", ()), "b": Arm("b", (), against="b")}
    made = at_rates(arms, "base", {name: ["own", "1e-4"] for name in arms})
    assert {name: arm.against for name, arm in made.items()} == {
        "base": "base", "base@1e-4": "base", "b": "b", "b@1e-4": "b",
    }  # fmt: skip
    assert called("b", "own") == "b"


def test_a_null_arm_is_the_base_with_every_loss_heavier(study):
    read = study(null_factor=10)
    null = read.arms["losses_x10"]
    assert (null.times, null.overrides, read.reference("losses_x10")) == (10, (), "before")
    assert null_arm(Arm("base@1e-4", (), rate="1e-4"), 0.1).rate == "1e-4"


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([["a=1"], ["a=2"]], ["a=2"]),
        ([["+ceilings.l1=5"], ["ceilings.l1=3"]], ["+ceilings.l1=3"]),
        ([["++a=1"], ["+a=2"]], ["++a=2"]),
        ([["loss=[l1,mse]"], ["loss=[l1]"]], ["loss=[l1]"]),
        ([["ablation=tanh", "a=1"], ["ablation=[snake,tanh]"]], ["a=1", "ablation=[tanh,snake]"]),
        ([["~loss.l1"], ["loss.l1.weight=1"]], ["~loss.l1", "loss.l1.weight=1"]),
    ],
)
def test_of_two_overrides_of_a_key_the_last_counts_and_overlays_add_up(parts, whole):
    assert joined(*parts) == whole


ARM = {"overrides": ["output=[tanh]"]}


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"arm": {}}, ["study.yaml: there is no key 'arm'", "arms"]),
        ({"question": None}, ["the key 'question' is missing"]),
        ({"question": " "}, ["question: is empty"]),
        ({"arms": {"tanh": {"override": []}}}, ["arms.tanh: there is no key 'override'", "overrides"]),
        ({"arms": {"tanh": {"overrides": "a=1"}}}, ["arms.tanh.overrides", "'a=1'"]),
        ({"front": ["val/snr", "val/nothing"]}, ["front: must be two of the metrics, got val/snr, val/nothing"]),
        ({"highlight": ["befor"]}, ["highlight: there is no arm befor", "Did you mean 'before'"]),
        ({"arms": {"a": {"against": "befor"}}}, ["arm a: against: there is no arm befor", "Did you mean 'before'"]),
        ({"arms": {"a": {"against": "b"}, "b": {"against": "a"}}}, ["arm a: against: a -> b -> a goes in a circle"]),
        ({"arms": {"before": ARM}}, ["arm before: is what the base is called"]),
        ({"arms": {"tanh": ARM, "Tanh": ARM}}, ["arm tanh: another one differs by capital letters only"]),
        ({"arms": {"a b": ARM}}, ["arm: 'a b' must begin with a letter"]),
        ({"arms": {"a@1": ARM}}, ["arm: 'a@1'"]),
        ({"arms": {}}, ["arms: there are none"]),
        ({"seeds": []}, ["seeds: is empty"]),
        ({"seeds": [0, 0]}, ["seeds: must be different whole numbers >= 0, got [0, 0]"]),
        ({"seeds": [-1]}, ["seeds: must be different"]),
        ({"seeds": [0.5]}, ["seeds", "0.5", "int"]),
        ({"arms": {"tanh": ARM | {"seeds": [1, 1]}}}, ["arm tanh: seeds"]),
        ({"budgets": {"tiny": {"steps": 2}}}, ["budgets: there is none called 'full'"]),
        ({"budgets": {"full": {"steps": 0}}}, ["budget full: steps must be at least 1"]),
        ({"budgets": {"full": {}}}, ["budgets.full: the key 'steps' is missing"]),
        ({"metrics": ["val/snr"]}, ["primary: val/rho is none of the metrics"]),
        ({"metrics": ["val/rho", "val/rho"]}, ["metrics: val/rho is there twice"]),
        ({"better": "more"}, ["better", "'more'", "higher"]),
        ({"learning_rates": []}, ["learning_rates: must be some"]),
        ({"learning_rates": ["1e-4", 0.0001]}, ["learning_rates", "each once"]),
        ({"learning_rates": ["fast"]}, ["learning_rates", "fast"]),
        ({"learning_rates": [0]}, ["learning_rates", "above 0"]),
        (
            {"learning_rates": ["1e-4"], "arms": {"tanh": ARM | {"learning_rates": ["own"]}}},
            ["arm tanh: would be compared with before, which is not there"],
        ),
        ({"null_factor": 1}, ["null_factor: must be a number above 0 other than 1"]),
        ({"null_factor": 10, "arms": {"losses_x10": ARM}}, ["arm losses_x10: is what null_factor adds"]),
        ({"arms": {"tanh": {"overrides": ["seed=3"]}}}, ["arm tanh: seed=3: seeds decides that"]),
        ({"base": {"overrides": ["max_steps=3"]}}, ["base: max_steps=3: the steps of a budget"]),
        ({"arms": {"tanh": {"overrides": ["tanh"]}}}, ["arm tanh: 'tanh' is no override"]),
        ({"arms": {"a": {"without": ["snak"]}}}, ["arm a: without: snak is no overlay of the base", "snake"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(study, changes, parts):
    with pytest.raises(InputError) as told:
        study(**changes)
    assert [part for part in parts if part not in str(told.value)] == [], str(told.value)
    assert "study.yaml" in str(told.value)


def test_arms_that_share_a_name_are_refused_with_the_line(study):
    text = yaml.safe_dump(WHOLE, sort_keys=False) + "  tanh: {overrides: ['output=[]']}\n"
    with pytest.raises(InputError, match=rf"line {text.count(chr(10))}: 'tanh' is there twice"):
        study(text)


def test_the_example_of_the_documentation_is_one(study):
    told = (ROOT / "docs/studies.md").read_text().partition("## study.yaml")[2].partition("| key")[0]
    read = study(textwrap.dedent(told))
    assert [*read.arms] == ["before", "no_tanh", "kmeans", "clip", "kmeans_tanh"]
    assert read.seeds_of("kmeans") == (0, 1, 2, 3, 4)
    assert read.arms_of("tiny") == ["before", "no_tanh"]


def test_what_is_no_yaml_or_not_there_is_said(study, tmp_path):
    with pytest.raises(InputError, match="is no YAML"):
        study("arms: [")
    with pytest.raises(InputError, match="nowhere"):
        read_study(tmp_path / "nowhere")


def test_a_folder_that_is_no_word_is_refused(tmp_path):
    folder = tmp_path / "a study"
    folder.mkdir()
    (folder / "study.yaml").write_text(yaml.safe_dump(WHOLE))
    with pytest.raises(InputError, match="the study's folder: 'a study'"):
        read_study(folder)
