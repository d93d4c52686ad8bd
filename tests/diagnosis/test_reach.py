import math
from itertools import pairwise

import pytest
import torch

from telucodec.diagnosis.reach import Move, Outlook, Pace, adam_reach, adam_step_bound, outlook

BETAS = (0.9, 0.999)


def steps_of(gradients, betas=BETAS, kind=torch.optim.Adam, **values):
    """How far an optimizer moves one number in each step, in learning rates."""
    number = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))
    optimizer = kind([number], lr=1.0, betas=betas, eps=0.0, **values)
    places = [0.0]
    for gradient in gradients:
        number.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        places.append(float(number.detach()))
    return [abs(b - a) for a, b in pairwise(places)]


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.8, 0.99), (0.5, 0.9), (0.0, 0.9)])
def test_no_gradients_move_adam_further_than_its_bound(betas):
    generator = torch.Generator().manual_seed(1)
    bound = adam_step_bound(betas)
    for spread in (0.0, 1.0, 5.0):
        noise = torch.randn(2, 400, generator=generator, dtype=torch.float64)
        gradients = noise[0] * (spread * noise[1]).exp()
        assert max(steps_of(gradients.tolist(), betas)) <= bound


def test_growing_gradients_reach_the_bound_and_pass_what_a_lone_one_reaches():
    growing = max(steps_of([(0.99 / 0.8) ** step for step in range(1500)], (0.8, 0.99)))
    lone = (1 - 0.8) / math.sqrt(1 - 0.99)
    assert lone == pytest.approx(2.0)
    assert growing == pytest.approx(adam_step_bound((0.8, 0.99)), rel=1e-6)
    assert growing == pytest.approx(3.363, abs=1e-3)


def test_steady_gradients_move_adam_by_the_learning_rate():
    assert steps_of([-0.3] * 50) == pytest.approx([1.0] * 50)


def test_betas_without_a_bound():
    assert math.isinf(adam_step_bound((0.9, 0.81)))
    told = outlook(Move("a", 1.0, 3.0), Pace(1e-5, (0.9, 0.8), 0.0, 300, 300.0))
    assert (told.verdict, told.needed_by_bound, told.needed_steady) == ("no bound", None, None)


def test_reach_is_summed_over_the_schedule():
    reach = adam_reach(0.1, BETAS, 4, lambda step: [1.0, 0.5, 0.25, 0.25][step])
    assert reach.steady == pytest.approx(0.2)
    assert reach.bound == pytest.approx(0.2 * 7.2703, rel=1e-4)


# 1 -> 3 at lr 1e-5: 2 / 1e-5 steps under a steady gradient, 2 / 7.2703e-5 by the bound
@pytest.mark.parametrize(
    ("steps", "verdict"),
    [
        (300, "out of reach"),
        (27_509, "out of reach"),
        (27_510, "between"),
        (199_999, "between"),
        (200_000, "within reach"),
    ],
)
def test_the_verdict_on_a_number_of_steps(steps, verdict):
    told = outlook(Move("output_scale", 1.0, 3.0), Pace(1e-5, BETAS, 0.0, steps, steps))
    assert (told.verdict, told.needed_by_bound, told.needed_steady) == (verdict, 27_510, 200_000)


def test_sentences_and_rows():
    move = Move("output_scale", 1.0, 3.0)
    told = outlook(move, Pace(1e-5, BETAS, 0.0, 300, 300.0))
    assert told.sentence() == (
        "output_scale 1.0 -> 3.0: out of reach. Needs at least 27,510 steps at lr 1e-05 by the bound (7.27 x lr a "
        "step, under gradients that keep growing), 63,246 at 3.16 x lr, a lone gradient's step, and 200,000 under a "
        "steady gradient; this run has 300."
    )
    assert told.row() == {
        "parameter": "output_scale", "from": 1.0, "to": 3.0, "needed_by_bound": 27_510, "needed_lone": 63_246,
        "needed_steady": 200_000, "steps": 300, "verdict": "out of reach",
    }  # fmt: skip
    within = outlook(move, Pace(0.01, BETAS, 0.0, 300, 250.0)).sentence()
    assert "within reach. Needs 200 steps at lr 0.01" in within
    assert within.endswith("this run has 300, which its schedule makes worth 250.")
    between = outlook(move, Pace(0.01, BETAS, 0.0, 50, 50.0)).sentence()
    assert "between. Reachable by the bound (at least 28 steps" in between
    assert "no bound. How far" in outlook(move, Pace(0.01, None, 0.0, 50, 50.0)).sentence()
    assert outlook(move, None).sentence().endswith("3.0: out of reach. It is not trained, and never moves.")


def test_a_schedule_can_take_out_of_reach_what_the_steps_alone_would_do():
    move = Move("a", 1.0, 3.0)
    assert outlook(move, Pace(0.01, BETAS, 0.0, 200, 200.0)).verdict == "within reach"
    assert outlook(move, Pace(0.01, BETAS, 0.0, 200, 100.0)).verdict == "between"
    assert outlook(move, Pace(0.01, BETAS, 0.0, 200, 20.0)).verdict == "out of reach"


def test_decay_counts_only_towards_zero():
    """3 -> 1.8 with decay 0.5: a step of lr and at most another 1.5 lr; 1.8 -> 3 gets nothing from it."""
    down, up = Move("a", 3.0, 1.8), Move("a", 1.8, 3.0)
    pace = Pace(0.01, BETAS, 0.5, 100, 100.0)
    assert outlook(down, pace).needed_steady == 48
    assert outlook(up, pace).needed_steady == 120
    assert Move("a", 2.0, -1.0).homeward == 2.0
    assert Move("a", -2.0, -1.0).homeward == 2.0
    assert Move("a", -1.0, -2.0).homeward == 0.0


def test_adamw_moves_no_further_than_with_decay_in_the_bound():
    number = torch.nn.Parameter(torch.tensor(3.0, dtype=torch.float64))
    optimizer = torch.optim.AdamW([number], lr=0.01, betas=BETAS, weight_decay=0.5)
    for _ in range(47):
        number.grad = torch.ones_like(number)
        optimizer.step()
    assert number.item() > 1.8, "one step fewer than is needed under a steady gradient"


def test_a_logarithm_is_moved_by_a_share():
    told = outlook(Move("output_scale", 1.0, math.e, math.log), Pace(0.01, BETAS, 0.0, 100, 100.0))
    assert (told.verdict, told.needed_steady) == ("within reach", 100)


def test_no_move_needs_no_step_even_where_nothing_moves():
    assert outlook(Move("a", 1.0, 1.0), Pace(0.0, BETAS, 0.0, 5, 5.0)).needed_steady == 0
    frozen = outlook(Move("a", 1.0, 2.0), Pace(0.0, BETAS, 0.0, 5, 5.0))
    assert isinstance(frozen, Outlook)
    assert frozen.verdict == "never moves"
