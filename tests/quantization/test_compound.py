import pytest
import torch
from books import filled, rvq

from telucodec.quantization.compound import Projected, SplitRVQ
from telucodec.quantization.identity import Identity
from telucodec.quantization.scalar import FSQ


def split(first=1, second=3, outer=12, inner=4):
    return SplitRVQ(
        semantic=Projected(dim=outer, inner=rvq(n_q=first, dim=inner)),
        acoustic=Projected(dim=outer, inner=rvq(n_q=second, dim=inner)),
    )


def test_agrees_with_transformers_mimi():
    modeling = pytest.importorskip("transformers.models.mimi.modeling_mimi")
    torch.manual_seed(0)
    q = split().eval()
    config = modeling.MimiConfig(
        num_quantizers=4,
        num_semantic_quantizers=1,
        codebook_size=16,
        codebook_dim=4,
        vector_quantization_hidden_dimension=4,
        hidden_size=12,
    )
    theirs = modeling.MimiSplitResidualVectorQuantizer(config).eval()
    for ours, part in (
        (q.semantic, theirs.semantic_residual_vector_quantizer),
        (q.acoustic, theirs.acoustic_residual_vector_quantizer),
    ):
        part.input_proj.load_state_dict(ours.enter.state_dict())
        part.output_proj.load_state_dict(ours.leave.state_dict())
        filled(ours.inner)
        for own, layer in zip(ours.inner.books, part.layers, strict=True):
            layer.codebook.cluster_usage.copy_(torch.rand(16) + 0.5)
            layer.codebook.embed_sum.copy_(own.codewords * layer.codebook.cluster_usage[:, None])
    x = torch.randn(2, 12, 40)
    coded, codes = q(x), theirs.encode(x).transpose(0, 1)
    assert torch.equal(coded.codes, codes)
    torch.testing.assert_close(coded.latent, theirs.decode(codes), atol=1e-5, rtol=1e-5)
    for k in (1, 2, 4):
        torch.testing.assert_close(q.decode(codes[:, :k]), theirs.decode(codes[:, :k]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(coded.semantic, theirs.decode(codes[:, :1]), atol=1e-5, rtol=1e-5)


def test_agrees_with_transformers_encodec():
    modeling = pytest.importorskip("transformers.models.encodec.modeling_encodec")
    torch.manual_seed(0)
    q = filled(rvq(n_q=4, dim=8)).eval()
    config = modeling.EncodecConfig(codebook_size=16, codebook_dim=8, hidden_size=8, target_bandwidths=[1.2])
    theirs = modeling.EncodecResidualVectorQuantizer(config).eval()
    theirs.layers = theirs.layers[:4]
    for own, layer in zip(q.books, theirs.layers, strict=True):
        layer.codebook.embed.copy_(own.codewords)
    x = torch.randn(2, 8, 40)
    coded, codes = q(x), theirs.encode(x)
    assert torch.equal(coded.codes, codes.transpose(0, 1))
    torch.testing.assert_close(coded.latent, theirs.decode(codes), atol=1e-5, rtol=1e-5)


def test_projections_learn_and_the_inner_gradient_is_straight_through():
    q, x = Projected(dim=12, inner=rvq(dim=4)), torch.randn(2, 12, 30, requires_grad=True)
    sent = torch.randn(2, 12, 30)
    (q(x).latent * sent).sum().backward()
    through = q.enter.weight[..., 0].T @ q.leave.weight[..., 0].T @ sent  # [12, 4] [4, 12] [B, 12, F]
    torch.testing.assert_close(x.grad, through, atol=1e-4, rtol=1e-4)
    assert q.enter.weight.grad.abs().sum() > 0
    assert q.leave.weight.grad.abs().sum() > 0
    assert (q.dim, q.n_q, q.codebook_size, q.stage_count) == (12, 3, 16, 3)
    assert q(x).semantic is None
    assert q(x).stages[0].wanted.shape == (2, 4, 30)


def test_split_sends_the_gradient_through_both_parts():
    torch.manual_seed(0)
    q = SplitRVQ(semantic=filled(rvq(n_q=1)), acoustic=filled(rvq(n_q=2)))
    found = torch.autograd.functional.jacobian(lambda v: q(v).latent.flatten(), torch.randn(1, 4, 1)).view(4, 4)
    torch.testing.assert_close(found, 2 * torch.eye(4))
    x = torch.randn(1, 4, 5, requires_grad=True)
    (taught,) = torch.autograd.grad(q(x).semantic.sum(), x)
    torch.testing.assert_close(taught, torch.ones(1, 4, 5))


def test_each_part_of_a_split_learns_from_its_own_stages():
    torch.manual_seed(0)
    q, x = split(), torch.randn(2, 12, 60)
    q(x)
    twin = split()
    twin.load_state_dict(q.state_dict())
    q.update([q(x[:1]), q(x[1:])])
    twin.semantic.update([twin.semantic(x)])
    twin.acoustic.update([twin.acoustic(x)])
    for a, b in zip(q.state_dict().values(), twin.state_dict().values(), strict=True):
        torch.testing.assert_close(a, b)
    assert q.bits_per_frame == 16.0
    assert len(q(x).stages) == q.stage_count == 4


def test_a_split_takes_parts_without_stages():
    q = SplitRVQ(
        semantic=Projected(dim=6, inner=FSQ(levels=[4, 4], groups=1)), acoustic=Projected(dim=6, inner=rvq(n_q=2))
    )
    coded = q(torch.randn(2, 6, 30))
    assert len(coded.stages) == q.stage_count == 2
    q.update([coded])
    assert q.acoustic.inner.books[1].counts.sum() > 0
    torch.testing.assert_close(q.eval().decode(coded.codes).shape, torch.Size([2, 6, 30]))


def test_wrong_parts_are_refused():
    with pytest.raises(ValueError, match="Identity takes any width"):
        Projected(dim=4, inner=Identity())
    with pytest.raises(ValueError, match="codebook_size is 16 in the semantic part and 8"):
        SplitRVQ(semantic=rvq(), acoustic=rvq(size=8))
    with pytest.raises(ValueError, match="dim is 4 in the semantic part and 8"):
        SplitRVQ(semantic=rvq(), acoustic=rvq(dim=8))
