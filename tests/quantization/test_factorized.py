from functools import partial

import pytest
import torch
from books import slots
from torch.nn import functional as F

from telucodec.nn.norm import no_norm, weight_norm
from telucodec.quantization.dropout import KeepAll
from telucodec.quantization.factorized import FactorizedCodebook
from telucodec.quantization.gradient import Chained, Detached, PerStep, RotationTrick, StraightThrough
from telucodec.quantization.initial import Normal
from telucodec.quantization.residual import ResidualVQ


def factorized(n_q=3, gradient=None, norm=no_norm, dropout=None, dim=16):
    given = slots(initial=Normal(std=1.0))
    return ResidualVQ(
        dim=dim,
        n_q=n_q,
        codebook=partial(FactorizedCodebook, codebook_size=32, codebook_dim=4, norm=norm, **given),
        gradient=gradient or Chained(),
        dropout=dropout or KeepAll(),
        updates_per_step=1,
    )


def dac(q):
    """transformers' DAC quantizer with the same weights."""
    modeling = pytest.importorskip("transformers.models.dac.modeling_dac")
    config = modeling.DacConfig(
        n_codebooks=q.n_q, codebook_size=32, codebook_dim=4, hidden_size=q.dim, quantizer_dropout=0.5
    )
    theirs = modeling.DacResidualVectorQuantizer(config)
    for ours, one in zip(q.books, theirs.quantizers, strict=True):
        one.in_proj.load_state_dict(ours.narrow.state_dict())
        one.out_proj.load_state_dict(ours.widen.state_dict())
        one.codebook.weight.data.copy_(ours.codewords.data)
    return theirs


def test_agrees_with_transformers_dac():
    torch.manual_seed(0)
    q = factorized()
    q(torch.randn(2, 16, 50))
    theirs = dac(q.eval()).eval()
    x = torch.randn(2, 16, 50)
    coded = q(x)
    latent, codes, projected, commitment, codebook = theirs(x)  # losses: one copy an item
    assert torch.equal(coded.codes, codes)
    torch.testing.assert_close(coded.latent, latent, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(torch.cat([s.wanted for s in coded.stages], 1), projected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(q.decode(codes), theirs.from_codes(codes)[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(q.decode(codes[:, :2]), theirs.from_codes(codes[:, :2])[0], atol=1e-5, rtol=1e-5)
    ours = sum(F.mse_loss(s.wanted, s.chosen) for s in coded.stages)
    torch.testing.assert_close(ours, commitment.mean(), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours, codebook.mean(), atol=1e-5, rtol=1e-5)


def test_gradients_agree_with_transformers_dac():
    """Of the reconstruction, the commitment and the codebook loss together, at the encoder and at every weight."""
    torch.manual_seed(0)
    q = factorized()
    q(torch.randn(2, 16, 50))
    theirs = dac(q.eval()).eval()
    x = torch.randn(2, 16, 50, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    sent = torch.randn(2, 16, 50)
    coded = q(x)
    commitment = sum(F.mse_loss(s.wanted, s.chosen.detach()) for s in coded.stages)
    codebook = sum(F.mse_loss(s.chosen, s.wanted.detach()) for s in coded.stages)
    ((coded.latent * sent).mean() + 0.25 * commitment + codebook).backward()
    latent, _, _, commitment, codebook = theirs(y)
    ((latent * sent).mean() + 0.25 * commitment.mean() + codebook.mean()).backward()
    torch.testing.assert_close(x.grad, y.grad, atol=1e-6, rtol=1e-4)
    for ours, one in zip(q.books, theirs.quantizers, strict=True):
        torch.testing.assert_close(ours.narrow.weight.grad, one.in_proj.weight.grad, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(ours.widen.weight.grad, one.out_proj.weight.grad, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(ours.widen.bias.grad, one.out_proj.bias.grad, atol=1e-6, rtol=1e-4)
        torch.testing.assert_close(ours.codewords.grad, one.codebook.weight.grad, atol=1e-6, rtol=1e-4)


def test_the_choice_is_by_direction_and_the_codeword_keeps_its_length():
    q = factorized(n_q=1)
    (b,) = q.books
    b.ready.fill_(True)
    b.codewords.data.copy_(torch.randn(32, 4))
    b.codewords.data[7] = torch.tensor([9.0, 0, 0, 0])
    chosen, codes = b(torch.tensor([0.01, 0, 0, 0])[None, :, None])
    assert codes.item() == 7
    assert chosen.flatten().tolist() == [9, 0, 0, 0]
    assert b.enter(torch.zeros(1, 16, 3)).shape == (1, 4, 3)
    assert b.leave(torch.zeros(1, 4, 3)).shape == (1, 16, 3)


def test_the_reconstruction_trains_both_projections_of_every_codebook():
    q = factorized(norm=weight_norm)
    sum(q(torch.randn(2, 16, 50)).latent.square().flatten()).backward()
    for b in q.books:
        assert b.narrow.parametrizations.weight.original1.grad.abs().sum() > 0
        assert b.widen.parametrizations.weight.original1.grad.abs().sum() > 0
        assert b.codewords.grad is None


@pytest.mark.parametrize("policy", [StraightThrough, Detached, RotationTrick])
def test_policies_around_all_codebooks_are_refused(policy):
    with pytest.raises(ValueError, match="gradient=chained"):
        factorized(gradient=policy())
    factorized(gradient=PerStep())
