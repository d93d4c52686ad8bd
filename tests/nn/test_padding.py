import pytest
import torch

from telucodec.nn.padding import Causal, Centred

RAMP = torch.tensor([[[1.0, 2.0, 3.0, 4.0]]])


@pytest.mark.parametrize(
    ("padding", "expected"),
    [
        (Centred(fill="zeros"), [0, 0, 1, 2, 3, 4, 0]),
        (Centred(fill="reflect"), [3, 2, 1, 2, 3, 4, 3]),
        (Centred(fill="replicate"), [1, 1, 1, 2, 3, 4, 4]),
        (Causal(fill="zeros"), [0, 0, 0, 1, 2, 3, 4]),
        (Causal(fill="reflect"), [4, 3, 2, 1, 2, 3, 4]),
        (Causal(fill="replicate"), [1, 1, 1, 1, 2, 3, 4]),
    ],
    ids=lambda x: type(x).__name__ + "-" + x.fill if isinstance(x, Centred) else "",
)
def test_three_samples_by_hand(padding, expected):
    assert padding.pad(RAMP, 3)[0, 0].tolist() == expected


def test_a_mirror_of_a_short_signal_shows_zeros_behind_it():
    """Two samples are lengthened to 1 2 0 0, mirrored by three on each side, and cut to 2 + 6."""
    assert Centred(fill="reflect").pad(RAMP[..., :2], 6)[0, 0].tolist() == [0, 0, 2, 1, 2, 0, 0, 0]
    assert Causal(fill="reflect").pad(RAMP[..., :1], 2)[0, 0].tolist() == [0, 0, 1]


@pytest.mark.parametrize("side", [Centred, Causal])
@pytest.mark.parametrize("fill", ["zeros", "reflect", "replicate"])
def test_lengths_are_exact(side, fill):
    for samples in (1, 2, 3, 17):
        for total in (0, 1, 2, 5, 8, 54):
            assert side(fill=fill).pad(torch.randn(1, 2, samples), total).shape == (1, 2, samples + total)


@pytest.mark.parametrize("side", [Centred, Causal])
def test_both_directions_share_their_surplus(side):
    for total in range(9):
        assert sum(side(fill="zeros").split(total)) == sum(side(fill="zeros").surplus(total)) == total
