import math

import pytest
import torch

from telucodec.adversarial.objective import Hinge
from telucodec.losses.combine import WeightedSum
from telucodec.losses.gan import Adversarial, FeatureMatching
from telucodec.losses.quantizer import Commitment
from telucodec.losses.spectral import MultiScaleMel
from telucodec.losses.term import Scored, Term, Terms
from telucodec.losses.waveform import L1, MSE, Waveform
from telucodec.records import Quantized, Stage, Step, Verdict

ON = {"weight": 1.0, "start": 0}


def never(audio):
    raise AssertionError("the adversary was asked")


def step(target, audio, index=0, stages=(), judge=never):
    encoded = torch.zeros(1, 2, 3)
    return Step(index, target, audio, encoded, Quantized(encoded, encoded[:, :0].long(), stages), judge)


def tone(amplitude=0.5, hertz=440.0):
    return amplitude * torch.sin(2 * math.pi * hertz * torch.arange(16000) / 16000)[None, None]


def mel(**options):
    return MultiScaleMel(**ON, **({"sample_rate": 16000, "n_ffts": [512], "n_mels": [40], "floor": 1e-5} | options))


@pytest.mark.parametrize(
    "term",
    [L1(**ON, emphasis=0.0), L1(**ON, emphasis=0.95), MSE(**ON, emphasis=0.0), mel()],
    ids=lambda t: type(t).__name__,
)
def test_zero_at_identity_and_not_elsewhere(term):
    assert term(step(tone(), tone())).item() == 0
    assert term(step(tone(), 0.5 * tone())).item() > 0


def test_waveform_terms_on_a_tone_by_hand():
    """The error of half a tone of amplitude 1/2: mean |sin| = 2/pi, mean sin^2 = 1/2."""
    s = step(tone(), 0.5 * tone())
    assert L1(**ON, emphasis=0.0)(s).item() == pytest.approx(0.25 * 2 / math.pi, rel=1e-3)
    assert MSE(**ON, emphasis=0.0)(s).item() == pytest.approx(0.25**2 / 2, rel=1e-3)


def test_emphasis_by_hand():
    target, audio = torch.zeros(1, 1, 3), torch.tensor([[[1.0, 1.0, 3.0]]])
    assert L1(**ON, emphasis=0.5)(step(target, audio)).item() == pytest.approx((1 + 0.5 + 2.5) / 3)


@pytest.mark.parametrize("rho", [0.1, 0.5, 0.9])
def test_the_best_gain_of_mse_is_the_correlation(rho):
    torch.manual_seed(0)
    y, noise = torch.randn(2, 1, 1, 200_000).unbind()
    x = rho * y + math.sqrt(1 - rho**2) * noise
    gains = torch.linspace(0, 1.2, 121)
    values = [MSE(**ON, emphasis=0.0)(step(y, g * x)).item() for g in gains]
    assert gains[values.index(min(values))].item() == pytest.approx(rho, abs=0.02)


def test_mel_distance_of_a_gain_is_its_logarithm():
    """Noise, so that every band lies above the floor: halving it costs log10(2) a resolution."""
    torch.manual_seed(0)
    noise = torch.randn(1, 1, 16000)
    two = mel(n_ffts=[512, 1024], n_mels=[20, 40])
    assert two(step(noise, 0.5 * noise)).item() == pytest.approx(2 * math.log10(2), rel=1e-4)


def test_mel_is_finite_with_gradients_on_silence():
    audio = torch.zeros(1, 1, 4096, requires_grad=True)
    mel()(step(torch.zeros(1, 1, 4096), audio)).backward()
    assert torch.isfinite(audio.grad).all()


def test_commitment_by_hand_and_its_gradient():
    wanted, chosen = torch.tensor([[[3.0]]], requires_grad=True), torch.tensor([[[1.0]]], requires_grad=True)
    code = torch.zeros(1, 1, dtype=torch.long)
    value = Commitment(**ON, reduce="mean")(
        step(tone(), tone(), stages=(Stage(wanted, chosen, code), Stage(chosen.detach(), chosen, code)))
    )
    assert value.item() == 2.0  # mean over codebooks of 4 and 0
    value.backward()
    assert wanted.grad.item() == 2.0
    assert chosen.grad is None
    assert Commitment(**ON, reduce="mean")(step(tone(), tone())).item() == 0, "nothing to commit to"


def test_gan_terms_by_hand():
    verdicts = {
        0.0: Verdict((torch.tensor([1.0]),), ((torch.tensor([2.0]), torch.tensor([0.0])),)),
        0.5: Verdict((torch.tensor([-3.0]),), ((torch.tensor([3.0]), torch.tensor([4.0])),)),
    }
    s = step(torch.tensor(0.0), torch.tensor(0.5), judge=lambda audio: verdicts[audio.item()])
    assert Adversarial(**ON, objective=Hinge(reduce="mean"))(s).item() == 3.0
    assert FeatureMatching(**ON, reduce="mean")(s).item() == pytest.approx((1 + 4) / 2)


def test_the_adversary_is_asked_once_for_each_signal():
    asked = []

    def judge(audio):
        asked.append(audio)
        return Verdict((audio.mean()[None],), ((audio,),))

    s = step(tone(), 0.5 * tone(), judge=judge)
    Adversarial(**ON, objective=Hinge(reduce="mean"))(s)
    FeatureMatching(**ON, reduce="mean")(s)
    assert len(asked) == 2


def test_the_verdict_on_the_target_has_no_graph():
    weight = torch.tensor(1.0, requires_grad=True)
    s = step(tone(), tone(), judge=lambda audio: Verdict(((weight * audio),), ()))
    assert s.fake.logits[0].requires_grad
    assert not s.real.logits[0].requires_grad


def test_terms_begin_at_their_start():
    terms = Terms(terms={"now": L1(**ON, emphasis=0.0), "later": MSE(weight=2.0, start=5, emphasis=0.0)}, ceilings={})
    assert list(terms(step(tone(), tone(), index=4))) == ["now"]
    assert list(terms(step(tone(), tone(), index=5))) == ["now", "later"]


def test_weighted_sum_and_weight_zero():
    value = torch.tensor(3.0, requires_grad=True)
    idle = torch.tensor(5.0, requires_grad=True)
    scored = {"a": Scored(value, 2.0, "audio"), "off": Scored(idle, 0.0, "audio")}
    total = WeightedSum()(scored, step(tone(), tone()))
    assert total.item() == 6.0
    total.backward()
    assert value.grad.item() == 2.0
    assert idle.grad is None


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L1(weight=-1, start=0, emphasis=0), "weight must be >= 0"),
        (lambda: L1(weight=1, start=-1, emphasis=0), "start must be >= 0"),
        (lambda: L1(weight=1, start=0, emphasis=1.0), "emphasis must be in"),
        (lambda: mel(n_mels=[1, 2]), "same length"),
        (lambda: mel(floor=0), "floor must be > 0"),
        (lambda: Terms(terms={}, ceilings={}), "no loss is selected"),
        (lambda: Terms(terms={"later": L1(weight=1, start=5, emphasis=0)}, ceilings={}), "starts at step 0"),
        (lambda: Terms(terms={"off": L1(weight=0, start=0, emphasis=0)}, ceilings={}), "starts at step 0"),
        (lambda: L1(weight=float("nan"), start=0, emphasis=0), "weight must be >= 0, got nan"),
    ],
)
def test_wrong_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("base", [Term(**ON), Waveform(**ON, emphasis=0.0)])
def test_base_terms_are_abstract(base):
    with pytest.raises(NotImplementedError):
        base(step(tone(), tone()))
