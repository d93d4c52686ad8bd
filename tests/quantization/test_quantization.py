from functools import partial

import pytest
import torch

from telucodec.quantization.codebook import EMACodebook
from telucodec.quantization.gradient import Detached, StraightThrough
from telucodec.quantization.identity import Identity
from telucodec.quantization.initial import KMeans, Normal, nearest, tally
from telucodec.quantization.residual import ResidualVQ
from telucodec.quantization.restart import Restart


def book(size=16, dim=4, decay=0.9, initial=None, restart=None):
    return EMACodebook(
        codebook_size=size, dim=dim, decay=decay, initial=initial or KMeans(iterations=10), restart=restart
    )


def rvq(n_q=3, gradient=None, **options):
    build = partial(EMACodebook, codebook_size=16, decay=0.9, initial=KMeans(iterations=5), restart=None)
    return ResidualVQ(dim=4, n_q=n_q, codebook=partial(build, **options), gradient=gradient or StraightThrough())


def flat(wanted):
    return wanted.detach().transpose(1, 2).flatten(0, 1)


def test_nearest_agrees_with_cdist():
    torch.manual_seed(0)
    frames, codewords = torch.randn(200, 8), torch.randn(32, 8)
    assert torch.equal(nearest(frames, codewords), torch.cdist(frames, codewords).argmin(1))


def test_tally_agrees_with_one_hot_products():
    torch.manual_seed(0)
    frames, codes = torch.randn(100, 4), torch.randint(8, (100,))
    one_hot = torch.nn.functional.one_hot(codes, 8).float()
    counts, sums = tally(frames, codes, 8)
    torch.testing.assert_close(counts, one_hot.sum(0))
    torch.testing.assert_close(sums, one_hot.t() @ frames)


def test_kmeans_finds_separated_clusters():
    torch.manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    frames = (centres[:, None] + 0.1 * torch.randn(4, 50, 2)).flatten(0, 1)
    best = min(
        (KMeans(iterations=20)(frames, 4) for _ in range(10)), key=lambda r: torch.cdist(frames, r[0]).min(1)[0].sum()
    )
    assert torch.cdist(centres, best[0]).min(1)[0].max() < 0.1
    assert best[1].tolist() == [50.0] * 4


def test_kmeans_with_fewer_frames_than_codewords_uses_them_all():
    frames = torch.randn(5, 3)
    codewords, counts = KMeans(iterations=0)(frames, 12)
    assert (torch.cdist(codewords, frames).min(1)[0] < 1e-3).all()
    assert (torch.cdist(frames, codewords).min(1)[0] < 1e-3).all()
    assert counts.sum() == 5


def test_the_first_update_after_kmeans_does_not_shrink_codewords():
    torch.manual_seed(0)
    b = book(size=16)
    wanted = torch.randn(4, 4, 100) + 3
    _, codes = b(wanted)
    norm = b.codewords.norm(dim=1).mean()
    b.update(flat(wanted), codes.flatten())
    assert b.codewords.norm(dim=1).mean() == pytest.approx(float(norm), rel=0.01)


def test_average_in_closed_form():
    """Two updates with known frames, by hand: m = sums / counts with both decayed alike."""
    b = book(
        size=2, dim=1, decay=0.5, initial=lambda frames, size: (torch.tensor([[0.0], [10.0]]), torch.tensor([1.0, 1.0]))
    )
    b(torch.zeros(1, 1, 1))
    b.update(torch.tensor([[1.0], [3.0], [12.0]]), torch.tensor([0, 0, 1]))
    # codeword 0: sum .5*0 + .5*4 = 2, count .5*1 + .5*2 = 1.5; codeword 1: sum 5 + 6 = 11, count 1
    torch.testing.assert_close(b.codewords, torch.tensor([[2 / 1.5], [11.0]]))
    b.update(torch.tensor([[6.0]]), torch.tensor([0]))
    torch.testing.assert_close(b.codewords, torch.tensor([[(1 + 3) / (0.75 + 0.5)], [11.0]]))


def test_a_dead_codeword_is_revived_and_still_there_after_the_update():
    torch.manual_seed(0)
    b = book(size=4, dim=2, decay=0.9, restart=Restart(threshold=0.1))
    wanted = torch.randn(1, 2, 64)
    b(wanted)
    b.codewords[3], b.counts[3], b.sums[3] = 1000.0, 0.0, 0.0
    _, codes = b(wanted)
    assert (codes != 3).all()
    b.update(flat(wanted), codes.flatten())
    moved = b.codewords[3].clone()
    assert torch.cdist(moved[None], flat(wanted)).min() < 1e-3, "it stands on a frame of this step"
    _, codes = b(wanted)
    assert (codes == 3).any(), "and the next lookup finds it"
    b.update(flat(wanted), codes.flatten())
    assert (b.codewords[3] - moved).norm() < 1.0


def test_without_restart_a_dead_codeword_stays():
    b = book(size=4, dim=2)
    wanted = torch.randn(1, 2, 64)
    b(wanted)
    b.codewords[3], b.counts[3], b.sums[3] = 1000.0, 0.0, 0.0
    b.update(flat(wanted), b(wanted)[1].flatten())
    assert (b.codewords[3] == 1000).all()


def test_restart_brings_all_codewords_into_use():
    torch.manual_seed(0)
    b = book(size=64, dim=2, decay=0.9, initial=Normal(std=0.01), restart=Restart(threshold=0.1))
    for _ in range(150):
        wanted = torch.randn(4, 2, 100)
        b.update(flat(wanted), b(wanted)[1].flatten())
    used = b(torch.randn(16, 2, 100))[1].unique()
    assert len(used) / 64 > 0.95


def test_restart_threshold_follows_batch_and_codebook_size():
    restart = Restart(threshold=0.5)
    for frames, size in ((100, 10), (1000, 10), (100, 50)):
        counts = torch.full((size,), frames / size)
        counts[0] = 0.49 * frames / size
        moved, _, count = restart(counts, torch.randn(frames, 2))
        assert moved.tolist() == [0]
        assert count == frames / size


def test_looking_up_changes_nothing():
    q = rvq()
    q(torch.randn(2, 4, 30))
    before = {k: v.clone() for k, v in q.state_dict().items()}
    q(torch.randn(2, 4, 30))
    assert all(torch.equal(v, before[k]) for k, v in q.state_dict().items())


def test_initialisation_happens_once_and_survives_a_state_dict():
    q = rvq()
    q(torch.randn(2, 4, 30))
    again = rvq()
    again.load_state_dict(q.state_dict())
    again(torch.randn(2, 4, 30) + 100)
    assert torch.equal(again.books[0].codewords, q.books[0].codewords)


def test_decoding_the_codes_gives_the_latent():
    q = rvq()
    coded = q(torch.randn(2, 4, 30))
    torch.testing.assert_close(q.decode(coded.codes), coded.latent)
    assert coded.codes.shape == (2, 3, 30)
    assert coded.codes.dtype == torch.int64


def test_the_first_codebooks_are_a_prefix():
    q, x = rvq(), torch.randn(2, 4, 30)
    coded = q(x)
    errors = [(q.decode(coded.codes[:, :k]) - x).square().mean().item() for k in (1, 2, 3)]
    assert errors == sorted(errors, reverse=True)
    torch.testing.assert_close(q.decode(coded.codes[:, :1]), coded.stages[0].chosen)


def jacobian(gradient):
    q = rvq(gradient=gradient).eval()
    q.books[0].ready.fill_(True)
    for b in q.books:
        b.codewords.normal_()
    x = torch.randn(1, 4, 1)
    return torch.autograd.functional.jacobian(lambda v: q(v).latent.flatten(), x).view(4, 4)


def test_straight_through_has_the_identity_as_jacobian():
    torch.testing.assert_close(jacobian(StraightThrough()), torch.eye(4))
    torch.testing.assert_close(jacobian(Detached()), torch.zeros(4, 4))


def test_commitment_reaches_the_encoder_from_every_codebook():
    q, x = rvq(), torch.randn(1, 4, 80, requires_grad=True)
    for stage in q(x).stages:
        (gradient,) = torch.autograd.grad((stage.wanted - stage.chosen.detach()).square().mean(), x, retain_graph=True)
        assert gradient.abs().sum() > 0


def test_the_quantizer_stays_in_float32_under_autocast():
    q = rvq()
    with torch.autocast("cpu", torch.bfloat16):
        coded = q(torch.randn(1, 4, 20).bfloat16())
    assert coded.latent.dtype == torch.float32
    assert coded.stages[0].chosen.dtype == torch.float32


def test_micro_batches_update_like_one_batch():
    x = torch.randn(4, 4, 30)
    whole, parts = rvq(), rvq()
    whole(x)
    parts.load_state_dict(whole.state_dict())
    whole.update([whole(x)])
    parts.update([parts(x[:2]), parts(x[2:])])
    for a, b in zip(whole.state_dict().values(), parts.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)


def test_bits():
    assert rvq().bits_per_frame == 12.0
    assert Identity().bits_per_frame == float("inf")


def test_no_quantizer_passes_through():
    x = torch.randn(2, 4, 5)
    coded = Identity()(x)
    assert torch.equal(coded.latent, x)
    assert coded.codes.shape == (2, 0, 5)
    with pytest.raises(ValueError, match="no codes"):
        Identity().decode(coded.codes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: book(decay=1.0), "decay must be in"),
        (lambda: book(size=1), "codebook_size must be >= 2"),
        (lambda: rvq(n_q=0), "quantizer=none"),
        (lambda: Restart(threshold=1.5), "threshold must be in"),
        (lambda: Normal(std=0), "std must be > 0"),
        (lambda: KMeans(iterations=-1), "iterations must be >= 0"),
    ],
)
def test_wrong_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
