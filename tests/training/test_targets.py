"""What a run says about the values that its parameters are expected to take."""

import json
import math
import re

import pytest

from conftest import config, toy_module
from small import small
from telucodec.build import build
from telucodec.cli.compose import compose_config
from telucodec.cli.main import main
from telucodec.errors import InputError
from telucodec.training.reach import first_values, outlooks

SCALE = "output.stages.scale.scale"


def only(targets, *overrides, steps=300, begun=None):
    (found,) = outlooks(targets, toy_module("schedule=constant", *overrides), steps, begun or {})
    return found


def test_a_target_is_held_against_the_runs_own_optimizer():
    told = only({"output_scale": 3.0}, "optimizer.lr=1e-5", "optimizer.betas=[0.9,0.999]")
    assert told.row() == {
        "parameter": "output_scale", "from": 1.0, "to": 3.0, "needed_by_bound": 27_510, "needed_lone": 63_246,
        "needed_steady": 200_000,
        "steps": 300, "verdict": "out of reach",
    }  # fmt: skip


def test_alias_name_and_pattern_are_the_same_parameter():
    rows = [only({name: 3.0}).row() for name in ("output_scale", SCALE, "output*scale")]
    assert rows[0] == rows[1] == rows[2]


@pytest.mark.parametrize(("values", "needed"), [("lr:0.1", 20), ("lr_factor:10", 100)])
def test_a_group_of_its_own_counts(values, needed):
    told = only({"output_scale": 3.0}, "optimizer.lr=0.002", f"+parameter_groups={{output*:{{{values}}}}}")
    assert told.needed_steady == needed


def test_the_schedule_counts():
    module = toy_module("optimizer.lr=0.01", "schedule=linear", "schedule.warmup_steps=100", "max_steps=300")
    (told,) = outlooks({"output_scale": 3.0}, module, 300, {})
    assert told.needed_steady == 200
    worth = sum(module.players["codec"].schedule(step) for step in range(300))
    assert told.pace.worth == pytest.approx(worth)
    assert 100 < worth < 200
    assert told.verdict == "between"


def test_decay_helps_towards_zero():
    """A step at lr 0.01 and decay 0.5 takes 0.01 and at most 0.01 x 0.5 x 3."""
    overrides = ("output.scale.initial=3.0", "optimizer.lr=0.01", "optimizer.weight_decay=0.5")
    assert only({"output_scale": 1.8}, *overrides).needed_steady == math.ceil(1.2 / 0.025)
    assert only({"output_scale": 4.2}, *overrides).needed_steady == 120
    adam = ("output.scale.initial=3.0", "optimizer=adam", "+optimizer.weight_decay=0.5", "optimizer.lr=0.01")
    assert only({"output_scale": 1.8}, *adam).needed_steady == 120, "there it goes through the gradient"


def test_a_scale_learned_as_a_logarithm_moves_by_shares():
    told = only({"output_scale": 4.0}, "output=[scale_log]", "output.scale.initial=2.0", "optimizer.lr=0.01")
    assert told.move.start == pytest.approx(2.0)
    assert told.needed_steady == math.ceil(math.log(2) / 0.01)
    with pytest.raises(InputError, match="must be > 0, because the scale's logarithm is learned"):
        only({"output_scale": -1.0}, "output=[scale_log]")


def test_a_fixed_scale_never_moves():
    told = only({"output_scale": 3.0}, "output=[scale_fixed]")
    assert told.verdict == "never moves"
    assert told.row()["steps"] == 0


def test_an_optimizer_without_a_bound_gets_no_number():
    node = config("schedule=constant")["training"]
    node["players"]["codec"]["optimizer"] = {"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.01}
    module = build(node, "training")
    (told,) = outlooks({"output_scale": 3.0}, module, 300, {})
    assert (told.verdict, told.needed_by_bound, told.needed_steady) == ("no bound", None, None)


def test_a_discriminators_parameter_moves_when_the_adversary_plays():
    module = toy_module("adversary.start=100", "training.adversary.rhythm=[1,0]")
    name, parameter = next((n, p) for n, p in module.adversary.named_parameters() if p.numel() == 1)
    (told,) = outlooks({name: parameter.item() + 1.0}, module, 300, {})
    assert told.pace.steps == 100
    deaf = toy_module("discriminator=[scale]", "loss=[l1,commitment]")
    name = next(n for n, p in deaf.adversary.named_parameters() if p.numel() == 1)
    assert outlooks({name: 9.0}, deaf, 300, {})[0].verdict == "never moves", "no term reads it"


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"output_scal": 3.0}, "output_scal: is no parameter. Did you mean 'output_scale'?"),
        ({"zzz": 3.0}, "Names look like output_scale, "),
        ({"encoder*": 3.0}, "numbers, and a target is about one"),
        ({"output_scale": "up"}, "targets.output_scale: must be a number, got 'up'"),
        ({"output_scale": math.nan}, "must be a number, got nan"),
        ({"output_scale": True}, "must be a number, got True"),
    ],
)
def test_a_target_that_means_nothing_is_refused(targets, message):
    with pytest.raises(InputError, match=re.escape(message)):
        only(targets)


def test_no_target_is_none():
    assert outlooks({"output_scale": None}, toy_module(), 300, {}) == []
    with pytest.raises(InputError, match=r"no scale\. Choose one"):
        only({"output_scale": 2.0}, "output=[]")


# what the documents expect of the scale, at their own learning rate in their own 300 steps
@pytest.mark.parametrize(("preset", "start", "goal"), [("s001", 2.5, 4.2), ("s002", 3.0, 1.8), ("s000", 1.0, 3.0)])
def test_the_documents_predictions_are_out_of_reach(preset, start, goal):
    composed = compose_config([f"experiment={preset}", "trainer=cpu"], None)
    module = build(small(composed["training"]), "training")
    (told,) = outlooks(composed["targets"], module, composed["max_steps"], {})
    assert (told.move.start, told.move.goal) == (start, goal)
    assert (told.pace.lr, told.pace.steps, told.verdict) == (1e-5, 300, "out of reach")
    assert told.needed_steady > 100_000
    before = compose_config([f"experiment={preset}_before"], None)["targets"]
    assert not any(before.values())


def test_a_run_says_it_and_records_it(train, capsys):
    code, run = train("+targets.output_scale=3.0", "max_steps=2", "callback.validation.every=2")
    assert code == 0
    assert "output_scale 1.0 -> 3.0: out of reach. Needs at least" in capsys.readouterr().out
    facts = json.loads((run / "run.json").read_text())
    (row,) = facts["reach"]
    assert (row["parameter"], row["from"], row["to"], row["steps"]) == ("output_scale", 1.0, 3.0, 2)
    assert facts["epochs"] == pytest.approx(2 / facts["steps_per_epoch"])
    assert first_values(run) == {"output_scale": 1.0}
    assert only({"output_scale": 3.0}, begun={"output_scale": 1.5}).move.start == 1.5
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    logged = [row for row in rows if "train/epoch" in row]
    assert logged
    for row in logged:
        assert row["train/epoch"] * row["train/steps_per_epoch"] == pytest.approx(row["step"])
        assert row["train/audio_hours"] > 0


def test_a_misspelt_target_stops_before_anything_is_written(train, tmp_path, capsys):
    code, run = train("+targets.output_scal=3.0")
    assert (code, run) == (2, None)
    assert "targets.output_scal: is no parameter. Did you mean 'output_scale'?" in capsys.readouterr().err


def test_there_is_nothing_to_say_without_targets(tmp_path):
    assert config()["targets"] == {}
    assert first_values(tmp_path) == {}


def test_diff_shows_what_the_documents_expect(capsys):
    assert main(["diff", "s002", "s000", "--json"]) == 0
    row = next(r for r in json.loads(capsys.readouterr().out) if r["key"] == "targets.output_scale")
    assert (row["first"], row["second"], row["why_first"]) == (1.8, 3.0, "S002:272")


def test_a_target_that_is_not_there_yet_is_added_with_a_plus(capsys):
    assert main(["train", "--cfg", "targets.output_scale=3.0"]) == 2
    assert "Write +targets.output_scale=" in capsys.readouterr().err
    assert main(["train", "--cfg", "experiment=s000", "targets.output_scal=3.0"]) == 2
    assert "Did you mean 'targets.output_scale'?" in capsys.readouterr().err
