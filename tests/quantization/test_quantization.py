import pytest
import torch
from books import book, flat, rvq

from telucodec.quantization.identity import Identity
from telucodec.quantization.initial import KaimingUniform, KMeans, KMeansUnweighted, Normal, Zeros, nearest, tally
from telucodec.quantization.quantizer import Quantizer


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
    codewords, counts, sums = KMeans(iterations=0)(frames, 12)
    assert (torch.cdist(codewords, frames).min(1)[0] < 1e-3).all()
    assert (torch.cdist(frames, codewords).min(1)[0] < 1e-3).all()
    assert counts.sum() == 5
    torch.testing.assert_close(sums, codewords * counts[:, None])


def test_the_first_update_after_kmeans_does_not_shrink_codewords():
    torch.manual_seed(0)
    b = book(size=16)
    wanted = torch.randn(4, 4, 100) + 3
    _, codes = b(wanted)
    norm = b.codewords.norm(dim=1).mean()
    b.update(flat(wanted), codes.flatten())
    assert b.codewords.norm(dim=1).mean() == pytest.approx(float(norm), rel=0.01)


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


def test_the_base_leaves_learning_to_those_that_learn():
    Quantizer(dim=4, n_q=3, codebook_size=16).update([])
    assert Quantizer(dim=4, n_q=3, codebook_size=16).bits_per_frame == 12.0
    with pytest.raises(NotImplementedError):
        Quantizer(dim=4, n_q=3, codebook_size=16)(torch.zeros(1, 4, 1))


def test_updates_per_step():
    """By hand: a codeword at 0 (count 1) and one frame at 8, decay .5: 4 after one update, 6 after two."""
    at_zero = lambda frames, size: (torch.tensor([[0.0], [-99.0]]), torch.ones(2), torch.tensor([[0.0], [-99.0]]))  # noqa: E731
    for updates, place in ((0, 0.0), (1, 4.0), (2, 6.0)):
        q = rvq(n_q=1, dim=1, size=2, decay=0.5, initial=at_zero, updates=updates)
        coded = q(torch.tensor([[[8.0]]]))
        assert q.books[0].codewords[0].item() == 0
        q.update([coded])
        assert q.books[0].codewords[0].item() == place


def test_kmeans_unweighted_shrinks_the_codebook_in_the_first_update():
    torch.manual_seed(0)
    frames = torch.randn(4, 4, 400) + 3
    left = {}
    for initial in (KMeans(iterations=10), KMeansUnweighted(iterations=10)):
        b = book(initial=initial, decay=0.99)
        _, codes = b(frames)
        norm = b.codewords.norm()
        b.update(flat(frames), codes.flatten())
        left[type(initial)] = float(b.codewords.norm() / norm)
    assert left[KMeans] == pytest.approx(1, abs=0.01)
    assert left[KMeansUnweighted] < 0.2


def test_starts_that_ignore_the_frames():
    torch.manual_seed(0)
    frames = torch.full((10, 6), 100.0)
    codewords, counts, sums = Normal(std=0.01)(frames, 5000)
    assert codewords.std().item() == pytest.approx(0.01, rel=0.02)
    assert counts.sum() == sums.sum() == 0
    codewords, counts, sums = KaimingUniform()(frames, 5000)
    assert 0.99 < codewords.abs().max() <= 1  # sqrt(6 / 6)
    assert codewords.std().item() == pytest.approx(3**-0.5, rel=0.02)
    assert counts.sum() == sums.sum() == 0
    codewords, counts, sums = Zeros()(frames, 5)
    assert codewords.shape == (5, 6)
    assert not codewords.any()
    assert (nearest(frames, codewords) == 0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: book(decay=1.0), "decay must be in"),
        (lambda: book(size=1), "codebook_size must be >= 2"),
        (lambda: rvq(n_q=0), "quantizer=none"),
        (lambda: rvq(updates=-1), "updates_per_step must be >= 0"),
        (lambda: Normal(std=0), "std must be > 0"),
        (lambda: KMeans(iterations=-1), "iterations must be >= 0"),
    ],
)
def test_wrong_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
