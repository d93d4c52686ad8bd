import math

import pytest
import torch
from torch import nn

from telucodec.adversarial.adversary import Adversary
from telucodec.adversarial.front_end import Unchanged
from telucodec.adversarial.initial import Default
from telucodec.adversarial.objective import BinaryCrossEntropy, Hinge, LeastSquares, Mixed, Objective
from telucodec.adversarial.period import MultiPeriod
from telucodec.adversarial.scale import MultiScale, ScaleDiscriminator
from telucodec.adversarial.stft import MultiResolutionSTFT, STFTDiscriminator
from telucodec.nn.norm import no_norm, weight_norm
from telucodec.records import Verdict

X = torch.randn(2, 1, 4096)
MEAN, SUM = {"reduce": "mean"}, {"reduce": "sum"}


def adversary(discriminators, *, objective=None, start=0, rhythm=(1,), initial=None, front_end=None):
    return Adversary(
        discriminators=discriminators,
        objective=objective or Hinge(**MEAN),
        start=start,
        rhythm=rhythm,
        initial=initial or Default(),
        front_end=front_end or Unchanged(),
    )


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


@pytest.mark.parametrize(
    ("objective", "chance", "level"),
    [
        (Hinge(**MEAN), 2.0, 0.0),
        (LeastSquares(**MEAN), 0.5, 0.5),
        (BinaryCrossEntropy(**MEAN), 2 * math.log(2), 0.0),
    ],
)
def test_objectives_at_chance(objective, chance, level):
    assert objective.discriminator(verdict(level), verdict(level)).item() == pytest.approx(chance)


def test_objectives_by_hand():
    fake, real = verdict(-0.5, 2.0), verdict(0.5, 3.0)
    assert Hinge(**MEAN).discriminator(fake, real).item() == pytest.approx(((0.5 + 0.5) + (0 + 3.0)) / 2)
    assert Hinge(**MEAN).generator(fake).item() == pytest.approx(-(-0.5 + 2.0) / 2)
    assert LeastSquares(**MEAN).discriminator(fake, real).item() == pytest.approx(((0.25 + 0.25) + (4 + 4)) / 2)
    assert LeastSquares(**MEAN).generator(fake).item() == pytest.approx((2.25 + 1.0) / 2)
    assert LeastSquares(**SUM).discriminator(fake, real).item() == pytest.approx((0.25 + 0.25) + (4 + 4))
    assert LeastSquares(**SUM).generator(fake).item() == pytest.approx(2.25 + 1.0)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_binary_cross_entropy_by_hand():
    fake, real = verdict(-0.5), verdict(2.0)
    want = -math.log(sigmoid(2.0)) - math.log(1 - sigmoid(-0.5))
    assert BinaryCrossEntropy(**MEAN).discriminator(fake, real).item() == pytest.approx(want)
    assert BinaryCrossEntropy(**MEAN).generator(fake).item() == pytest.approx(-math.log(sigmoid(-0.5)))
    sure = BinaryCrossEntropy(**MEAN).discriminator(verdict(200.0), verdict(-200.0)).item()
    assert sure == pytest.approx(400), "no logarithm of zero"


def test_a_mixed_objective_takes_one_side_of_each():
    mixed = Mixed(fooling=Hinge(**SUM), judging=BinaryCrossEntropy(**MEAN))
    fake, real = verdict(-0.5, 2.0), verdict(0.5, 3.0)
    assert mixed.generator(fake).item() == pytest.approx(-1.5), "the codec's side, its reduction too"
    assert mixed.discriminator(fake, real) == BinaryCrossEntropy(**MEAN).discriminator(fake, real)
    assert mixed.fool(fake.logits[0]).item() == 0.5


def test_an_unknown_reduction_is_refused():
    with pytest.raises(ValueError, match="mean or sum"):
        Hinge(reduce="max")


class Gain(nn.Module):
    """A discriminator whose only logit is gain x mean."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0))

    def forward(self, audio):
        return Verdict(((self.gain * audio).mean(-1),), ((audio,),))


def test_the_bundle_concatenates_and_names_losses():
    a = adversary({"one": Gain(), "two": Gain()}, start=3)
    assert len(a(X).logits) == 2
    total, each = a.loss(torch.zeros(1, 1, 4), torch.zeros(1, 1, 4))
    assert total.item() == 2.0
    assert {k: v.item() for k, v in each.items()} == {"one": 2.0, "two": 2.0}
    assert [a.plays(step) for step in (2, 3, 4)] == [False, True, True]


def test_members_are_averaged_or_summed_as_the_objective_has_it():
    pair, zeros = {"one": Gain(), "two": Gain()}, torch.zeros(1, 1, 4)
    assert adversary(pair).loss(zeros, zeros)[0].item() == 2.0
    total, each = adversary(pair, objective=Hinge(**SUM)).loss(zeros, zeros)
    assert total.item() == 4.0
    assert each["one"].item() == 2.0


def test_the_rhythm_says_in_which_steps_discriminators_learn():
    a = adversary({"one": Gain()}, start=2, rhythm=[1, 1, 0])
    assert [a.plays(step) for step in range(7)] == [False, False, False, True, True, False, True]


@pytest.mark.parametrize("rhythm", [[], [0], [0, 0], [1, 2], [1, -1]])
def test_a_rhythm_without_a_turn_is_refused(rhythm):
    with pytest.raises(ValueError, match="rhythm"):
        adversary({"one": Gain()}, rhythm=rhythm)


def test_an_empty_bundle_never_plays():
    a = adversary({})
    assert not a.plays(100)
    assert a(X).logits == ()


def test_no_gradient_of_the_adversarys_loss_reaches_the_codec():
    a = adversary({"one": Gain()})
    audio = torch.randn(1, 1, 8, requires_grad=True)
    a.loss(torch.randn(1, 1, 8), audio)[0].backward()
    assert audio.grad is None
    assert a.discriminators["one"].gain.grad is not None


def test_frozen_lets_gradients_through_and_keeps_none():
    a = adversary({"one": Gain()})
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


@pytest.mark.parametrize(
    ("discriminators", "dtype", "within"),
    [
        (
            {"period": MultiPeriod(periods=[2, 3], channels=[4, 8, 8], head_kernel=3, slope=0.1, norm=weight_norm)},
            torch.float64,
            1e-12,
        ),
        ({"scale": MultiScale(scales=2, channels=[4, 8], slope=0.2, norm=weight_norm)}, torch.float64, 1e-12),
        ({"stft": MultiResolutionSTFT(n_ffts=[64, 32], channels=4, slope=0.2, norm=weight_norm)}, torch.float32, 1e-4),
    ],
)
def test_one_pass_over_both_gives_the_loss_and_the_gradients_of_two(discriminators, dtype, within):
    subject = adversary(discriminators).to(dtype)
    target, audio = (torch.randn(3, 1, 512, dtype=dtype) for _ in range(2))
    (judge,) = subject.discriminators.values()
    alone = subject.objective.discriminator(judge(audio), judge(target))
    loss, each = subject.loss(target, audio)
    assert loss.item() == pytest.approx(alone.item(), rel=within)
    assert list(each.values()) == [loss]
    pairs = zip(*(torch.autograd.grad(value, list(subject.parameters())) for value in (loss, alone)), strict=True)
    assert all(float((a - b).abs().max()) <= within * float(b.abs().max() + 1e-3) for a, b in pairs)
