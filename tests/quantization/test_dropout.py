import pytest
import torch
from books import flat, learned, rvq

from telucodec.quantization.dropout import EveryItem, KeepAll, QuantizerDropout
from telucodec.quantization.gradient import Chained
from telucodec.quantization.restart import Restart

CPU = torch.device("cpu")


class Given(KeepAll):
    def __init__(self, *numbers):
        self.numbers = torch.tensor(numbers)

    def __call__(self, items, n_q, device):
        return self.numbers


def test_keep_all_draws_nothing():
    state = torch.get_rng_state()
    assert KeepAll()(4, 8, CPU) is None
    assert torch.equal(torch.get_rng_state(), state)


def test_a_share_of_the_items_draws_from_one_to_n_q_alike():
    torch.manual_seed(0)
    drawn = torch.stack([QuantizerDropout(rate=0.5)(5, 4, CPU) for _ in range(4000)])
    assert (drawn[:, 2:] == 4).all()  # int(5 * .5) = 2 items
    shares = torch.bincount(drawn[:, :2].flatten(), minlength=5) / 8000
    torch.testing.assert_close(shares, torch.tensor([0, 0.25, 0.25, 0.25, 0.25]), atol=0.02, rtol=0)


def test_the_ends_of_the_rate():
    assert (QuantizerDropout(rate=0)(6, 4, CPU) == 4).all()
    assert len(QuantizerDropout(rate=1.0)(400, 4, CPU).unique()) == 4
    with pytest.raises(ValueError, match=r"rate must be in \[0, 1\]"):
        QuantizerDropout(rate=1.5)


def test_every_item_of_a_batch_keeps_as_many():
    torch.manual_seed(0)
    drawn = [EveryItem()(6, 4, CPU) for _ in range(200)]
    assert all(len(one.unique()) == 1 and len(one) == 6 for one in drawn)
    assert {int(one[0]) for one in drawn} == {1, 2, 3, 4}


@pytest.mark.parametrize("gradient", [None, Chained()])
def test_latent_masks_and_updates_by_hand(gradient):
    torch.manual_seed(0)
    q, x = rvq(n_q=3, dropout=Given(1, 3, 2), gradient=gradient), torch.randn(3, 4, 30)
    coded = q(x)
    assert [stage.kept.tolist() for stage in coded.stages] == [[1, 1, 1], [0, 1, 1], [0, 1, 0]]
    assert [stage.items.tolist() for stage in coded.stages] == [[True] * 3, [False, True, True], [False, True, False]]
    assert coded.codes.shape == (3, 3, 30)
    for item, n in enumerate((1, 3, 2)):
        want = q.decode(coded.codes[item : item + 1, :n])
        torch.testing.assert_close(coded.latent[item : item + 1], want, atol=1e-5, rtol=1e-5)
    seen = []
    q.books[2].update = lambda wanted, codes: seen.append((wanted, codes))
    q.update([coded])
    torch.testing.assert_close(seen[0][0], flat(coded.stages[2].wanted[1:2]))
    assert torch.equal(seen[0][1], coded.codes[1, 2])


def test_an_item_left_out_sends_no_gradient():
    q = rvq(n_q=2, make=learned, dropout=Given(1, 1), gradient=Chained())
    stages = q(torch.randn(2, 4, 30)).stages
    assert [stage.kept.tolist() for stage in stages] == [[1, 1], [0, 0]]
    q.update([q(torch.randn(2, 4, 30))])  # nothing was seen by the second codebook


def test_evaluation_keeps_everything():
    q = rvq(n_q=3, dropout=Given(1, 1, 1))
    q(torch.randn(3, 4, 30))
    coded = q.eval()(torch.randn(3, 4, 30))
    assert all(stage.kept is None for stage in coded.stages)
    torch.testing.assert_close(q.decode(coded.codes), coded.latent)


def test_a_codebook_that_a_whole_step_drops_forgets_nothing():
    quantizer = rvq(n_q=2, dropout=EveryItem(), restart=Restart(threshold=0.5))
    torch.manual_seed(0)
    x = torch.randn(4, 4, 30)
    quantizer(x)
    before = [own.counts.clone() for own in quantizer.books]
    first = next(coded for coded in (quantizer(x) for _ in range(50)) if not coded.stages[1].kept.any())
    quantizer.update([first])
    assert not torch.equal(quantizer.books[0].counts, before[0])
    assert torch.equal(quantizer.books[1].counts, before[1])
