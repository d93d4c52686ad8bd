import pytest
import torch
from torch import nn

from telucodec.adversarial.adversary import Adversary
from telucodec.adversarial.objective import Hinge, LeastSquares, Objective
from telucodec.adversarial.scale import MultiScale, ScaleDiscriminator
from telucodec.adversarial.stft import MultiResolutionSTFT, STFTDiscriminator
from telucodec.nn.norm import no_norm
from telucodec.records import Verdict

X = torch.randn(2, 1, 4096)


def verdict(*logits):
    return Verdict(tuple(torch.full((2, 1, 5), float(x)) for x in logits), ((),) * len(logits))


def test_the_discriminator_of_document_s004_layer_for_layer():
    d = ScaleDiscriminator(channels=[16, 64, 256, 1024], slope=0.2, norm=no_norm)
    got = [(c.in_channels, c.out_channels, *c.kernel_size, *c.stride, c.groups) for c in [*d.layers, d.head]]
    assert got == [
        (1, 16, 15, 1, 1),
        (16, 64, 41, 4, 4),
        (64, 256, 41, 4, 16),
        (256, 1024, 41, 4, 64),
        (1024, 1024, 41, 4, 256),
        (1024, 1024, 5, 1, 1),
        (1024, 1, 3, 1, 1),
    ]
    # by hand: (in / groups) x kernel x out + out, layer by layer
    want = (
        256 + (4 * 41 * 64 + 64) + (4 * 41 * 256 + 256) + 2 * (4 * 41 * 1024 + 1024) + (1024 * 5 * 1024 + 1024) + 3073
    )
    assert sum(p.numel() for p in d.parameters()) == want


def test_scales_listen_at_halved_rates():
    v = MultiScale(scales=3, channels=[4, 8], slope=0.2, norm=no_norm)(X)
    assert [f[0].shape[-1] for f in v.features] == [4096, 2048, 1024]
    assert [x.shape[-1] for x in v.logits] == [256, 128, 64]


def test_stft_discriminators_see_their_resolutions():
    v = MultiResolutionSTFT(n_ffts=[512, 128], channels=4, slope=0.2, norm=no_norm)(X)
    assert [f[0].shape[-2:] for f in v.features] == [(33, 257), (129, 65)]
    assert all(len(f) == 5 for f in v.features)
    d = STFTDiscriminator(n_fft=64, channels=4, slope=0.2, norm=no_norm)
    assert d.layers[0].in_channels == 2, "real and imaginary part"


@pytest.mark.parametrize(("objective", "chance", "level"), [(Hinge(), 2.0, 0.0), (LeastSquares(), 0.5, 0.5)])
def test_objectives_at_chance(objective, chance, level):
    assert objective.discriminator(verdict(level), verdict(level)).item() == pytest.approx(chance)


def test_objectives_by_hand():
    fake, real = verdict(-0.5, 2.0), verdict(0.5, 3.0)
    assert Hinge().discriminator(fake, real).item() == pytest.approx(((0.5 + 0.5) + (0 + 3.0)) / 2)
    assert Hinge().generator(fake).item() == pytest.approx(-(-0.5 + 2.0) / 2)
    assert LeastSquares().discriminator(fake, real).item() == pytest.approx(((0.25 + 0.25) + (4 + 4)) / 2)
    assert LeastSquares().generator(fake).item() == pytest.approx((2.25 + 1.0) / 2)


class Gain(nn.Module):
    """A discriminator whose only logit is gain x mean."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))

    def forward(self, audio):
        return Verdict(((self.gain * audio).mean(-1),), ((audio,),))


def test_the_bundle_concatenates_and_names_losses():
    a = Adversary(discriminators={"one": Gain(), "two": Gain()}, objective=Hinge(), start=3)
    assert len(a(X).logits) == 2
    total, each = a.loss(torch.zeros(1, 1, 4), torch.zeros(1, 1, 4))
    assert total.item() == 2.0
    assert {k: v.item() for k, v in each.items()} == {"one": 2.0, "two": 2.0}
    assert [a.plays(step) for step in (2, 3, 4)] == [False, True, True]


def test_an_empty_bundle_never_plays():
    a = Adversary(discriminators={}, objective=Hinge(), start=0)
    assert not a.plays(100)
    assert a(X).logits == ()


def test_no_gradient_of_the_adversarys_loss_reaches_the_codec():
    a = Adversary(discriminators={"one": Gain()}, objective=Hinge(), start=0)
    audio = torch.randn(1, 1, 8, requires_grad=True)
    a.loss(torch.randn(1, 1, 8), audio)[0].backward()
    assert audio.grad is None
    assert a.discriminators["one"].gain.grad is not None


def test_frozen_lets_gradients_through_and_keeps_none():
    a = Adversary(discriminators={"one": Gain()}, objective=Hinge(), start=0)
    audio = torch.randn(1, 1, 8, requires_grad=True)
    with a.frozen():
        a(audio).logits[0].sum().backward()
    assert audio.grad is not None
    assert a.discriminators["one"].gain.grad is None
    assert a.discriminators["one"].gain.requires_grad


def test_an_objective_needs_both_sides():
    class Half(Objective):
        def fool(self, fake):
            return fake.mean()

    with pytest.raises(TypeError, match="judge"):
        Half()
