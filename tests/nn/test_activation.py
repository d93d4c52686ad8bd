import math

import pytest
import torch

from telucodec.nn.activation import ELU, LeakyReLU, ReLU, Snake, SnakeBeta


def test_snake_by_hand():
    snake = Snake(1, alpha=2.0)
    x = math.pi / 4  # sin(2 x) = 1
    assert snake(torch.full((1, 1, 1), x)).item() == pytest.approx(x + 0.5)


def test_snake_rises_everywhere():
    y = Snake(1, alpha=3.0)(torch.linspace(-5, 5, 1001)[None, None])
    assert (y.diff() >= -1e-6).all()


def test_elu_and_leaky_relu_by_hand():
    x = torch.tensor([[[-1.0, 2.0]]])
    torch.testing.assert_close(ELU(1, alpha=1.0)(x), torch.tensor([[[math.exp(-1) - 1, 2.0]]]))
    torch.testing.assert_close(LeakyReLU(1, slope=0.2)(x), torch.tensor([[[-0.2, 2.0]]]))


def test_snake_refuses_a_flat_alpha():
    with pytest.raises(ValueError, match="alpha must be > 0"):
        Snake(1, alpha=0.0)


def test_snake_beta_by_hand():
    snake = SnakeBeta(1, alpha=2.0)
    with torch.no_grad():
        snake.log_beta.fill_(math.log(4.0))
    x = math.pi / 4  # sin(2 x) = 1
    assert snake(torch.full((1, 1, 1), x)).item() == pytest.approx(x + 0.25)


def test_snake_beta_starts_as_snake():
    x = torch.randn(2, 3, 50)
    torch.testing.assert_close(SnakeBeta(3, alpha=1.7)(x), Snake(3, alpha=1.7)(x))


def test_relu_by_hand():
    assert ReLU(2)(torch.tensor([[[-1.0], [2.0]]])).tolist() == [[[0.0], [2.0]]]


@pytest.mark.parametrize("kind", [Snake, SnakeBeta])
def test_the_analytic_gradient_is_the_numeric_one(kind):
    activation = kind(3, alpha=0.7).double()
    with torch.no_grad():
        for parameter in activation.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    x = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: activation(x), (x, *activation.parameters()))
