"""How often restarts have moved each codeword."""

import pytest
import torch
from books import book

from telucodec.quantization.codebook import EMACodebook, EMAGradientCodebook, GradientCodebook
from telucodec.quantization.initial import KMeans
from telucodec.quantization.restart import AbsoluteRestart, OverwrittenRestart, Restart

KINDS = [EMACodebook, GradientCodebook, EMAGradientCodebook]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("restart", [Restart(threshold=0.1), AbsoluteRestart(threshold=1.0)])
def test_moves_are_counted_and_the_first_codewords_are_no_moves(kind, restart):
    b = book(4, 2, kind, restart=restart, initial=KMeans(iterations=2))
    wanted = torch.randn(1, 2, 64)
    b(wanted)
    assert b.moves.tolist() == [0, 0, 0, 0]
    b.counts[2:] = 0
    if isinstance(b, EMACodebook):
        b.sums[2:] = 0
    b.update(torch.zeros(40, 2), torch.arange(40) % 2)  # nothing chooses the last two
    assert b.moves.tolist() == [0, 0, 1, 1]
    b.update(torch.zeros(40, 2), torch.arange(40) % 4)
    assert b.moves.tolist() == [0, 0, 1, 1]
    assert b.updates == 2


def unused(frames, size):
    return torch.zeros(size, 1), torch.zeros(size), torch.zeros(size, 1)


def test_an_overwritten_restart_moves_the_same_codeword_again_and_again():
    b = book(2, 1, restart=OverwrittenRestart(threshold=1.0), initial=unused)
    b(torch.zeros(1, 1, 1))
    for _ in range(3):
        b.update(torch.ones(400, 1), torch.zeros(400, dtype=torch.int64))
    assert b.moves.tolist() == [0, 3]


def test_a_stored_state_holds_no_tally():
    b = book()
    assert not {"moves", "updates"} & set(b.state_dict())
