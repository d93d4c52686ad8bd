import pytest
import torch
from books import book, flat, learned

from telucodec.quantization.codebook import Codebook, EMACodebook, EMAGradientCodebook, GradientCodebook
from telucodec.quantization.evidence import Chosen, Residual
from telucodec.quantization.initial import Normal
from telucodec.quantization.restart import AbsoluteRestart, NoRestart, OverwrittenRestart, Restart

KINDS = [EMACodebook, GradientCodebook, EMAGradientCodebook]


def start(*places, counts=1.0):
    """Codewords at given places, each with a count."""
    codewords = torch.tensor(places)[:, None]
    counts = torch.full((len(places),), counts)
    return lambda frames, size: (codewords, counts, codewords * counts[:, None])


def test_average_in_closed_form():
    """Two updates with known frames, by hand: m = sums / counts with both decayed alike."""
    b = book(size=2, dim=1, decay=0.5, initial=start(0.0, 10.0))
    b(torch.zeros(1, 1, 1))
    b.update(torch.tensor([[1.0], [3.0], [12.0]]), torch.tensor([0, 0, 1]))
    # codeword 0: sum .5*0 + .5*4 = 2, count .5*1 + .5*2 = 1.5; codeword 1: sum 5 + 6 = 11, count 1
    torch.testing.assert_close(b.codewords, torch.tensor([[2 / 1.5], [11.0]]))
    b.update(torch.tensor([[6.0]]), torch.tensor([0]))
    torch.testing.assert_close(b.codewords, torch.tensor([[(1 + 3) / (0.75 + 0.5)], [11.0]]))


def test_averages_of_a_gradient_codebook_only_count():
    b = learned(size=2, dim=1, decay=0.5, initial=start(0.0, 10.0))
    b(torch.zeros(1, 1, 1))
    b.update(torch.tensor([[1.0], [3.0], [12.0]]), torch.tensor([0, 0, 1]))
    assert b.codewords.tolist() == [[0.0], [10.0]]
    assert b.counts.tolist() == [1.5, 1.0]


def test_an_optimizers_move_is_where_the_next_average_starts():
    """By hand: the codeword goes 0 -> 2 by gradient, then half way (count 1, decay .5) to the frame at 6."""
    b = book(2, 1, EMAGradientCodebook, decay=0.5, initial=start(0.0, 10.0))
    chosen, _ = b(torch.zeros(1, 1, 1))
    ((chosen - 1) ** 2).sum().backward()
    torch.optim.SGD(b.parameters(), lr=1.0).step()
    assert b.codewords[0].item() == 2.0
    b.update(torch.tensor([[6.0]]), torch.tensor([0]))
    assert b.codewords[0].item() == pytest.approx(4.0)


def test_who_moves_the_codewords():
    wanted = torch.randn(2, 4, 50)
    for kind, parameters in ((EMACodebook, 0), (GradientCodebook, 1), (EMAGradientCodebook, 1)):
        b = book(kind=kind)
        chosen, _ = b(wanted)
        assert len(list(b.parameters())) == parameters
        assert chosen.requires_grad == bool(parameters)
        assert issubclass(kind, Codebook)


def test_a_gradient_codebook_learns_means():
    """The codebook loss has its minimum where each codeword is the mean of what chose it."""
    torch.manual_seed(0)
    wanted = torch.cat([torch.randn(1, 2, 50) - 5, torch.randn(1, 2, 50) + 5], 2)
    b = learned(size=2, dim=2, initial=lambda f, n: (torch.tensor([[-1.0, -1.0], [1.0, 1.0]]), torch.ones(2), None))
    optimizer = torch.optim.SGD(b.parameters(), lr=1.0)
    for _ in range(200):
        optimizer.zero_grad()
        (b(wanted)[0] - wanted).square().mean().backward()
        optimizer.step()
    torch.testing.assert_close(b.codewords.detach()[0], wanted[0, :, :50].mean(1))
    torch.testing.assert_close(b.codewords.detach()[1], wanted[0, :, 50:].mean(1))


def test_fed_its_own_codewords_a_codebook_stands_still():
    """Frames come from another place than the codebook: what follows them moves there, the other stays."""
    moved = {}
    for ema_input in (Residual(), Chosen()):
        torch.manual_seed(0)
        b = book(size=32, ema_input=ema_input, decay=0.99)
        b(torch.randn(4, 4, 100))
        before = b.codewords.clone()
        for _ in range(300):
            wanted = torch.randn(4, 4, 50) + 1
            b.update(flat(wanted), b(wanted)[1].flatten())
        moved[type(ema_input)] = float((b.codewords - before).norm() / before.norm())
    assert moved[Chosen] < 1e-5
    assert moved[Residual] > 0.3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("restart", [Restart(threshold=0.1), AbsoluteRestart(threshold=1.0)])
def test_a_dead_codeword_is_revived_and_still_there_after_the_update(kind, restart):
    torch.manual_seed(0)
    b = book(4, 2, kind, restart=restart)
    wanted = torch.randn(1, 2, 64)
    b(wanted)
    kill(b, 3)
    _, codes = b(wanted)
    assert (codes != 3).all()
    b.update(flat(wanted), codes.flatten())
    moved = b.codewords.detach()[3].clone()
    assert torch.cdist(moved[None], flat(wanted)).min() < 1e-3, "it stands on a frame of this step"
    _, codes = b(wanted)
    assert (codes == 3).any(), "and the next lookup finds it"
    b.update(flat(wanted), codes.flatten())
    assert (b.codewords[3] - moved).norm() < 1.0


@pytest.mark.parametrize("restart", [NoRestart(), OverwrittenRestart(threshold=1.0)])
def test_without_restart_a_dead_codeword_stays(restart):
    b = book(size=4, dim=2, restart=restart)
    wanted = torch.randn(1, 2, 64)
    b(wanted)
    kill(b, 3)
    b.update(flat(wanted), b(wanted)[1].flatten())
    assert (b.codewords[3] == 1000).all()


def kill(b, code):
    with torch.no_grad():
        b.codewords[code], b.counts[code] = 1000.0, 0.0
        if isinstance(b, EMACodebook):
            b.sums[code] = 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_restart_brings_all_codewords_into_use(kind):
    torch.manual_seed(0)
    b = book(64, 2, kind, initial=Normal(std=0.01), restart=Restart(threshold=0.1))
    for _ in range(150):
        wanted = torch.randn(4, 2, 100)
        b.update(flat(wanted), b(wanted)[1].flatten())
    used = b(torch.randn(16, 2, 100))[1].unique()
    assert len(used) / 64 > 0.95


def test_an_overwritten_restart_leaves_the_used_half_alone_for_ever():
    """Half of the codebook was learned on frames that no longer come."""
    used = {}
    for restart in (OverwrittenRestart(threshold=2.0), AbsoluteRestart(threshold=2.0)):
        torch.manual_seed(0)
        halves = torch.cat([torch.randn(32, 2), torch.randn(32, 2) + 50])
        b = book(64, 2, initial=lambda f, n, at=halves: (at, torch.full((n,), 8.0), at * 8), restart=restart)
        for _ in range(300):
            wanted = torch.randn(4, 2, 200)
            b.update(flat(wanted), b(wanted)[1].flatten())
        used[type(restart)] = len(b(torch.randn(64, 2, 100))[1].unique())
    assert used[OverwrittenRestart] == 32
    assert used[AbsoluteRestart] / 64 > 0.95


def test_an_overwritten_restart_moves_codewords_that_are_parameters():
    b = learned(2, 1, initial=start(0.0, 99.0), restart=OverwrittenRestart(threshold=0.95))
    b(torch.zeros(1, 1, 1))
    b.update(torch.tensor([[5.0]]), torch.tensor([0]))
    assert b.codewords.tolist() == [[0.0], [5.0]]


def test_relative_threshold_follows_batch_and_codebook_size_and_the_absolute_one_does_not():
    for frames, size in ((100, 10), (1000, 10), (100, 50)):
        uniform = frames / size
        b = book(size=size, dim=2)
        b.counts.fill_(uniform)
        b.counts[0] = 0.49 * uniform
        for restart, moved, count in (
            (Restart(threshold=0.5), [0], uniform),
            (Restart(threshold=0.4), [], None),
            (AbsoluteRestart(threshold=1.0), [0] if 0.49 * uniform < 1 else [], 1.0),
        ):
            trial = book(size=size, dim=2)
            trial.counts.copy_(b.counts)
            restart(trial, torch.randn(frames, 2), uniform)
            assert (trial.counts != b.counts).nonzero().flatten().tolist() == moved
            if moved:
                assert trial.counts[0].item() == pytest.approx(count)
                torch.testing.assert_close(trial.sums[0], trial.codewords[0] * count)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_without_frames_changes_no_codeword(kind):
    b = book(kind=kind, restart=Restart(threshold=0.1))
    b(torch.randn(1, 4, 50))
    before = b.codewords.detach().clone()
    b.update(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long))
    torch.testing.assert_close(b.codewords.detach(), before)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Restart(threshold=1.5), "threshold must be in"),
        (lambda: AbsoluteRestart(threshold=0), "threshold must be > 0"),
        (lambda: OverwrittenRestart(threshold=-1), "threshold must be > 0"),
    ],
)
def test_wrong_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
