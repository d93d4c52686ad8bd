"""Averages of the codec's weights, groups of parameters, and who moves first."""

import pytest
import torch
from test_step import Watch, run

from conftest import toy_module
from telucodec.errors import InputError
from telucodec.training.average import EarlyWeightAverage, NoAverage, WeightAverage
from telucodec.training.player import Player
from telucodec.training.schedule import Constant, Linear


def codec(value):
    made = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(made.weight, value)
    made.register_buffer("count", torch.tensor(float(value)))
    return made


def test_the_average_in_closed_form():
    """decay .5: it begins with the first weights, 4; after 8 and 8 it is 6, then 7; buffers are the newest."""
    average, moving = WeightAverage(decay=0.5), codec(0.0)
    average.follow(moving)
    for value, expected in ((4.0, 4.0), (8.0, 6.0), (8.0, 7.0)):
        average.before_step(moving)
        torch.nn.init.constant_(moving.weight, value)
        moving.count.fill_(value)
        average.after_step(moving)
        assert float(average.evaluated(moving).weight) == expected
        assert float(average.evaluated(moving).count) == value


def test_an_early_average_is_one_step_behind():
    average, moving = EarlyWeightAverage(decay=0.5), codec(0.0)
    average.follow(moving)
    seen = []
    for value in (4.0, 8.0, 8.0):
        average.before_step(moving)
        torch.nn.init.constant_(moving.weight, value)
        average.after_step(moving)
        seen.append(float(average.evaluated(moving).weight))
    assert seen == [0.0, 2.0, 5.0]


def test_without_an_average_the_newest_weights_count():
    moving = codec(1.0)
    assert NoAverage().evaluated(moving) is moving


def test_the_average_is_measured_saved_and_goes_on(train):
    """decay 0 is the newest weights, so that the saved codec must equal the run without an average."""
    from safetensors.torch import load_file

    _, plain = train("resume=never")
    _, averaged = train("average=ema", "average.decay=0.0")
    _, slow = train("average=ema", "average.decay=0.9")
    files = [load_file(str(folder / "codec.safetensors")) for folder in (plain, averaged, slow)]
    assert all(torch.equal(files[0][key], files[1][key]) for key in files[0])
    assert any(not torch.equal(files[0][key], files[2][key]) for key in files[0])
    held = torch.load(slow / "checkpoints" / "step-000000006.ckpt", weights_only=True)["state_dict"]
    key = next(k for k in files[2] if k.endswith("weight"))
    assert torch.equal(held[f"average.codec.{key}"], files[2][key])
    assert not torch.equal(held[f"codec.{key}"], files[2][key])


def player(groups, optimizer=torch.optim.SGD):
    return Player(
        optimizer=lambda parameters: optimizer(parameters, lr=0.1), schedule=Constant(warmup_steps=0), clip_norm=None,
        groups=groups,
    )  # fmt: skip


def named():
    return [(name, torch.nn.Parameter(torch.ones(1))) for name in ("encoder.weight", "output.stages.scale.scale")]


def test_a_group_has_its_own_learning_rate():
    parameters = named()
    playing = player({"output*": {"lr": 1.0}})
    optimizer = playing.equip(parameters)
    for _, parameter in parameters:
        parameter.grad = torch.ones(1)
    playing.schedule = Constant(warmup_steps=2)  # half of the rate in step 0
    playing.prepare(optimizer, 0)
    optimizer.step()
    assert [round(float(p), 6) for _, p in parameters] == [0.95, 0.5]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"outptu*": {"lr": 1.0}}, r"'outptu\*' fits no parameter of its own. Names look like .*output.stages.scale"),
        ({"output*": {"rate": 1.0}}, r"gives rate, but the optimizer's values are .*lr"),
        ({"output*": {}}, r"needs values of the optimizer"),
    ],
)
def test_wrong_groups_are_named(groups, message):
    with pytest.raises(InputError, match=message):
        player(groups).equip(named())


def test_a_fixed_parameter_is_left_out():
    parameters = named()
    parameters[0][1].requires_grad_(False)
    assert sum(len(group["params"]) for group in player({}).equip(parameters).param_groups) == 1


def test_the_one_who_moves_first_does_not_see_the_others_move():
    """Codec first: the codec is judged by the untouched discriminators, whose first update comes after."""
    figures = {}
    for first in ("adversary", "codec"):
        watch = Watch()
        order = ["adversary", "codec"] if first == "adversary" else ["codec", "adversary"]
        module = toy_module(f"training.order=[{','.join(order)}]", "adversary_optimizer.lr=0.1")
        run(module, 1, watch)
        figures[first] = watch.figures[0]
    assert figures["adversary"]["loss/l1"] == figures["codec"]["loss/l1"]
    assert figures["adversary"]["adversary/scale"] == figures["codec"]["adversary/scale"]
    assert figures["adversary"]["loss/adversarial"] != figures["codec"]["loss/adversarial"]


def test_the_adversary_keeps_its_rhythm():
    module = toy_module("training.adversary.rhythm=[1,1,0]")
    watch = Watch()
    run(module, 6, watch)
    assert ["adversary/scale" in figures for figures in watch.figures] == [True, True, False, True, True, False]
    assert [rates["lr/adversary"] > 0 for rates in watch.rates] == [True] * 6


def test_the_terms_of_a_teacher_learn():
    module = toy_module("loss=[l1,commitment,distillation]", "discriminator=[]", "quantizer=mimi", *MIMI)
    before = [p.detach().clone() for p in module.terms.parameters()]
    assert before
    run(module, 1)
    assert any(not torch.equal(a, b) for a, b in zip(before, module.terms.parameters(), strict=True))


MIMI = (
    "quantizer.semantic.inner.dim=4",
    "quantizer.acoustic.inner.dim=4",
    "quantizer.semantic.inner.codebook.codebook_size=16",
    "quantizer.acoustic.inner.codebook.codebook_size=16",
)


def test_order_must_name_both_players():
    with pytest.raises(InputError, match="order must hold adversary and codec once each"):
        toy_module("training.order=[codec,codec]")


def test_linear_refuses_a_fall_that_ends_before_it_begins():
    with pytest.raises(ValueError, match="total_steps 5 must be more than warmup_steps 10"):
        Linear(warmup_steps=10, first_factor=0.1, total_steps=5, final_factor=0.1)
