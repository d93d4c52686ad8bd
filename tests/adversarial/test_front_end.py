"""What discriminators hear of level, and where their weights start."""

import pytest
import torch
from torch import nn

from conftest import config
from telucodec.adversarial.adversary import Adversary
from telucodec.adversarial.front_end import MeanAndPeak, Unchanged
from telucodec.adversarial.initial import Default, NormalWeights
from telucodec.adversarial.objective import Hinge
from telucodec.adversarial.period import MultiPeriod
from telucodec.adversarial.scale import MultiScale
from telucodec.build import build
from telucodec.nn.norm import no_norm, weight_norm

DAC = MeanAndPeak(peak=0.8, floor=1e-9)


def s004():
    return MultiScale(scales=3, channels=[16, 64, 256, 1024], slope=0.2, norm=weight_norm)


def dac():
    return MultiPeriod(periods=[2, 3], channels=[32, 128, 512], head_kernel=3, slope=0.1, norm=weight_norm)


def adversary(discriminator, *, front_end=None, initial=None):
    return Adversary(
        discriminators={"one": discriminator},
        objective=Hinge(reduce="mean"),
        start=0,
        rhythm=[1],
        initial=initial or Default(),
        front_end=front_end or Unchanged(),
    )


def test_mean_and_peak_by_hand():
    audio = torch.tensor([[[0.0, 0.2, 0.4]], [[1.0, 1.0, 1.0]]])
    heard = DAC(audio)
    assert heard[0, 0].tolist() == pytest.approx([-0.8, 0.0, 0.8], abs=1e-6)
    assert heard[1, 0].tolist() == [0.0, 0.0, 0.0], "silence stays silence"
    assert Unchanged()(audio) is audio


def gain_gradient(discriminator, front_end):
    """How the codec's adversarial loss changes with the gain of its audio."""
    torch.manual_seed(0)
    a = adversary(discriminator(), front_end=front_end).double()
    gain = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    audio = 0.1 * torch.randn(1, 1, 2048, dtype=torch.float64)
    a.objective.generator(a(gain * audio)).backward()
    return abs(gain.grad.item())


@pytest.mark.parametrize("discriminator", [s004, dac])
def test_the_adversary_teaches_gain_unless_its_front_end_removes_it(discriminator):
    """With DAC's front end an adversarial loss cannot force amplitude, whatever the discriminator."""
    assert gain_gradient(discriminator, DAC) < 1e-8
    assert gain_gradient(discriminator, Unchanged()) > 1e-6


def test_both_sides_hear_through_the_front_end():
    heard = []

    class Ear(nn.Module):
        def forward(self, audio):
            heard.append(audio.abs().max().item())
            raise StopIteration

    a = adversary(Ear(), front_end=DAC)
    quiet = 0.01 * torch.randn(1, 1, 64)
    for ask in (lambda: a(quiet), lambda: a.loss(quiet, quiet)):
        with pytest.raises(StopIteration):
            ask()
    assert heard == pytest.approx([0.8, 0.8])


@pytest.mark.parametrize("norm", [no_norm, weight_norm])
def test_normal_weights_reach_every_convolution(norm):
    torch.manual_seed(0)
    network = MultiScale(scales=2, channels=[16, 64], slope=0.2, norm=norm)
    parameters = set(network.parameters())
    biases = [layer.bias.clone() for layer in network.modules() if isinstance(layer, nn.Conv1d)]
    adversary(network, initial=NormalWeights(std=0.02))
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv1d)]
    assert len(layers) == 2 * 5
    for layer, bias in zip(layers, biases, strict=True):
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.25)
        assert abs(layer.weight.mean().item()) < 0.005
        assert torch.equal(layer.bias, bias)
    assert set(network.parameters()) == parameters, "the same parameters, so that an optimizer still holds them"


def test_default_weights_are_those_of_the_network():
    torch.manual_seed(0)
    network = MultiScale(scales=1, channels=[4], slope=0.2, norm=weight_norm)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    adversary(network, initial=Default())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize(
    "choice",
    [
        "front_end=none",
        "front_end=normalise",
        "discriminator_initial=normal",
        "objective=s004",
        "objective=binary_cross_entropy",
        "training.adversary.rhythm=[1,1,0]",
    ],
)
def test_the_configuration_builds(choice):
    node = config(choice)["training"]["adversary"]
    built = build(node, "training.adversary")
    audio = 0.1 * torch.randn(2, 1, 1024)
    assert torch.isfinite(built.loss(audio, 0.5 * audio)[0])
    assert torch.isfinite(built.objective.generator(built(audio)))


@pytest.mark.parametrize("refused", [{"peak": 0.0, "floor": 1e-9}, {"peak": 0.8, "floor": 0.0}])
def test_impossible_front_ends_are_refused(refused):
    with pytest.raises(ValueError, match="must be > 0"):
        MeanAndPeak(**refused)
    with pytest.raises(ValueError, match="must be > 0"):
        NormalWeights(std=-1.0)
