import pytest
import torch

from telucodec.quantization.scalar import FSQ, ResidualFSQ, place_values


@pytest.mark.parametrize(("levels", "groups"), [([8, 5, 5, 5], 1), ([8, 5, 5, 5], 3), ([3], 2), ([7, 4], 1)])
def test_agrees_with_vector_quantize_pytorch(levels, groups):
    other = pytest.importorskip("vector_quantize_pytorch")
    torch.manual_seed(0)
    q = FSQ(levels=levels, groups=groups)
    theirs = other.FSQ(levels=levels, num_codebooks=groups, keep_num_codebooks_dim=True)
    x = 3 * torch.randn(2, q.dim, 200)
    coded = q(x)
    latent, codes = theirs(x.transpose(1, 2))
    assert torch.equal(coded.codes, codes.transpose(1, 2).long())
    torch.testing.assert_close(coded.latent, latent.transpose(1, 2))


def test_levels_by_hand():
    """Five levels: tanh(x) * 2 rounded, over 2; eight levels: -4 ... 3, over 4, with 0 at 0."""
    five, eight = FSQ(levels=[5], groups=1), FSQ(levels=[8], groups=1)
    x = torch.tensor([[[-9.0, -0.5, 0.0, 0.5, 9.0]]])
    assert five(x).latent.flatten().tolist() == [-1, -0.5, 0, 0.5, 1]  # tanh(.5) * 2 = .92
    assert five(x).codes.flatten().tolist() == [0, 1, 2, 3, 4]
    assert eight(x).latent[0, 0, [0, 2, 4]].tolist() == [-1, 0, 0.75]
    assert eight(x).codes[0, 0, [0, 2, 4]].tolist() == [0, 4, 7]


def test_codes_are_digits_of_mixed_radix():
    assert place_values([8, 5, 5, 5]).tolist() == [1, 8, 40, 200]
    q = FSQ(levels=[8, 5, 5, 5], groups=1)
    assert (q.codebook_size, q.n_q, q.dim, q.stage_count) == (1000, 1, 4, 0)
    every = torch.arange(1000)[None, None]
    latent = q.decode(every)
    assert len(latent[0].T.unique(dim=0)) == 1000
    # digits 7, 0, 4, 2: code 7 + 0 * 8 + 4 * 40 + 2 * 200
    torch.testing.assert_close(latent[0, :, 567], torch.tensor([0.75, -1.0, 1.0, 0.0]))


@pytest.mark.parametrize(
    "make", [lambda: FSQ(levels=[8, 5, 5], groups=3), lambda: ResidualFSQ(levels=[8, 5, 5], n_q=4)]
)
def test_decoding_the_codes_gives_the_latent(make):
    torch.manual_seed(0)
    q = make()
    coded = q(torch.randn(2, q.dim, 50))
    torch.testing.assert_close(q.decode(coded.codes), coded.latent)
    assert coded.codes.shape == (2, q.n_q, 50)
    assert int(coded.codes.max()) < q.codebook_size
    assert coded.stages == ()
    q.update([coded])


def test_a_prefix_of_groups_leaves_the_others_at_zero():
    q = FSQ(levels=[5, 5], groups=3)
    coded = q(torch.randn(1, 6, 9))
    prefix = q.decode(coded.codes[:, :2])
    torch.testing.assert_close(prefix[:, :4], coded.latent[:, :4])
    assert not prefix[:, 4:].any()


def test_the_gradient_is_that_of_the_bound():
    """Rounding passes it straight through: (1 - tanh^2) half / (L // 2), half = 1.001 (L - 1) / 2."""
    x = torch.tensor([[[0.3], [-0.7]]], requires_grad=True)
    FSQ(levels=[5, 7], groups=1)(x).latent.sum().backward()
    want = (1 - x.detach().tanh() ** 2) * 1.001
    torch.testing.assert_close(x.grad, want)
    x.grad = None
    ResidualFSQ(levels=[5, 3], n_q=8)(x).latent.sum().backward()
    edge = torch.tensor([5 / 4, 3 / 2])[:, None]
    torch.testing.assert_close(x.grad, 1 - (x.detach() / edge).tanh() ** 2)


@pytest.mark.parametrize("levels", [[8, 5, 5, 5], [3, 2]])
def test_residual_agrees_with_vector_quantize_pytorch(levels):
    other = pytest.importorskip("vector_quantize_pytorch")
    torch.manual_seed(0)
    q = ResidualFSQ(levels=levels, n_q=3)
    theirs = other.ResidualFSQ(levels=levels, num_quantizers=3)
    x = torch.randn(2, len(levels), 200)
    coded = q(x)
    latent, codes = theirs(x.transpose(1, 2))
    assert (
        coded.codes == codes.transpose(1, 2)
    ).float().mean() > 0.999  # a value between two levels may fall either way
    torch.testing.assert_close(coded.latent, latent.transpose(1, 2), atol=2e-2, rtol=0)


def test_each_stage_is_as_many_times_finer_as_there_are_levels():
    torch.manual_seed(0)
    q, x = ResidualFSQ(levels=[5], n_q=4), 2 * torch.randn(1, 1, 20000)
    bounded = 1.25 * torch.tanh(x / 1.25)
    coded = q(x)
    errors = [(q.decode(coded.codes[:, :k]) - bounded).abs().max().item() for k in (1, 2, 3, 4)]
    assert errors == pytest.approx([0.25, 0.05, 0.01, 0.002], rel=0.01)  # half a level, 2 / 4 / 2, then a fifth of it


def test_scalars_stay_in_float32_under_autocast():
    for q in (FSQ(levels=[8, 5], groups=1), ResidualFSQ(levels=[8, 5], n_q=2)):
        with torch.autocast("cpu", torch.bfloat16):
            assert q(torch.randn(1, 2, 20).bfloat16()).latent.dtype == torch.float32


def test_wrong_levels_are_refused():
    with pytest.raises(ValueError, match="levels must be >= 3"):
        FSQ(levels=[8, 2], groups=1)
    with pytest.raises(ValueError, match="groups must be >= 1"):
        FSQ(levels=[8], groups=0)
    with pytest.raises(ValueError, match="levels must be >= 2"):
        ResidualFSQ(levels=[1], n_q=1)
    with pytest.raises(ValueError, match="n_q must be >= 1"):
        ResidualFSQ(levels=[4], n_q=0)
