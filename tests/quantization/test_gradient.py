import pytest
import torch
from books import book, filled, learned, rvq
from torch.nn import functional as F

from telucodec.quantization.gradient import (
    Chained,
    Detached,
    PerStep,
    PerStepAttached,
    RotationTrick,
    StraightThrough,
)

POLICIES = [Chained, Detached, PerStep, PerStepAttached, RotationTrick, StraightThrough]


def jacobian(gradient, make=book):
    torch.manual_seed(0)
    q = filled(rvq(n_q=8, gradient=gradient, make=make)).eval()
    found = torch.autograd.functional.jacobian(lambda v: q(v).latent.flatten(), torch.randn(1, 4, 1))
    return found.view(4, 4)


@pytest.mark.parametrize("make", [book, learned])
@pytest.mark.parametrize(
    ("policy", "gain"), [(StraightThrough, 1), (PerStep, 8), (PerStepAttached, 8), (Chained, 1), (Detached, 0)]
)
def test_gain_of_eight_codebooks(policy, gain, make):
    torch.testing.assert_close(jacobian(policy(), make), gain * torch.eye(4))


@pytest.mark.parametrize("policy", POLICIES)
def test_forward_is_the_sum_of_codewords_whatever_the_policy(policy):
    q = filled(rvq(n_q=8, gradient=policy()))
    coded = q(torch.randn(2, 4, 30))
    torch.testing.assert_close(coded.latent, sum(stage.chosen for stage in coded.stages), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(coded.latent, q.decode(coded.codes), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("policy", POLICIES)
def test_what_the_decoder_sends_to_the_codewords(policy):
    """Attached, codebook k of K gets -(K - k) times the gradient of a codeword that stands in the latent; others 0."""
    torch.manual_seed(0)
    q = filled(rvq(n_q=8, gradient=policy(), make=learned))
    coded = q(torch.randn(2, 4, 30))
    sent = torch.randn_like(coded.latent)
    found = (
        torch.autograd.grad((coded.latent * sent).sum(), list(q.parameters()), allow_unused=True)
        if (coded.latent.requires_grad)
        else [None] * 8
    )
    for k, (own, got) in enumerate(zip(q.books, found, strict=True), 1):
        direct = torch.zeros_like(own.codewords).index_add_(
            0, coded.codes[:, k - 1].flatten(), sent.transpose(1, 2).flatten(0, 1)
        )
        if policy is PerStepAttached and k < 8:
            torch.testing.assert_close(got, -(8 - k) * direct, atol=1e-4, rtol=1e-4)
        else:
            assert got is None or not got.any()


@pytest.mark.parametrize("policy", POLICIES)
def test_which_commitments_reach_the_encoder(policy):
    torch.manual_seed(0)
    q, x = filled(rvq(n_q=8, gradient=policy())), torch.randn(1, 4, 80, requires_grad=True)
    reach = []
    for stage in q(x).stages:
        (gradient,) = torch.autograd.grad(F.mse_loss(stage.wanted, stage.chosen.detach()), x, retain_graph=True)
        reach.append(bool(gradient.abs().sum() > 0))
    assert reach == ([True] + [False] * 7 if policy is Chained else [True] * 8)


def test_rotation_trick_against_a_rotation_built_another_way():
    """The rotation in the plane of e and q by the angle between them, from an orthonormal basis of that plane."""
    torch.manual_seed(0)
    for _ in range(20):
        e, q, sent = torch.randn(3, 5, dtype=torch.float64)
        x = e[None, :, None].clone().requires_grad_()
        latent = RotationTrick().finish(x, q[None, :, None])
        torch.testing.assert_close(latent.flatten(), q)
        (latent.flatten() @ sent).backward()
        u = e / e.norm()
        v = q - (q @ u) * u
        v = v / v.norm()
        cos, sin = q @ u / q.norm(), q @ v / q.norm()
        plane = torch.stack([u, v], 1)
        turn = torch.stack([torch.stack([cos, -sin]), torch.stack([sin, cos])])
        rotation = torch.eye(5, dtype=torch.float64) + plane @ (turn - torch.eye(2, dtype=torch.float64)) @ plane.T
        torch.testing.assert_close(rotation @ e * q.norm() / e.norm(), q)
        torch.testing.assert_close(x.grad.flatten(), q.norm() / e.norm() * rotation.T @ sent)


def test_rotation_trick_agrees_with_vector_quantize_pytorch():
    other = pytest.importorskip("vector_quantize_pytorch.vector_quantize_pytorch")
    torch.manual_seed(0)
    frames, codewords, sent = torch.randn(3, 40, 6)
    ours, theirs = frames.clone().requires_grad_(), frames.clone().requires_grad_()
    a = RotationTrick().finish(ours.T[None], codewords.T[None])[0].T
    b = other.rotate_to(theirs, codewords)
    torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    (a * sent).sum().backward()
    (b * sent).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-4, rtol=1e-4)


def test_rotation_trick_is_finite_where_there_is_no_direction():
    e = torch.tensor([[[0.0], [0.0]], [[1.0], [0.0]], [[1.0], [2.0]]], requires_grad=True)
    q = torch.tensor([[[1.0], [0.0]], [[-1.0], [0.0]], [[0.0], [0.0]]])
    latent = RotationTrick().finish(e, q)
    assert torch.equal(latent, q)
    latent.sum().backward()
    assert torch.isfinite(e.grad).all()
