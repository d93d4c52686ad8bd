import pytest
import torch

from telucodec.adversarial.objective import Hinge
from telucodec.losses.gan import Adversarial, FeatureMatching, RelativeFeatureMatching
from telucodec.records import Quantized, Step, Verdict

ON = {"weight": 1.0, "start": 0}
# two sub-discriminators, of two layers and of one
REAL = ((torch.tensor([2.0, -2.0]), torch.tensor([0.0, 8.0])), (torch.tensor([1.0, 1.0]),))
FAKE = ((torch.tensor([3.0, -1.0]), torch.tensor([4.0, 8.0])), (torch.tensor([1.0, 2.0]),))
LOGITS = (torch.tensor([1.0]), torch.tensor([-4.0]))


def step(fake=FAKE, real=REAL):
    audio, target = torch.tensor(0.5), torch.tensor(0.0)
    latent = torch.zeros(1, 2, 3)
    verdicts = {0.5: Verdict(LOGITS, fake), 0.0: Verdict(LOGITS, real)}
    quantized = Quantized(latent, latent[:, :0].long())
    return Step(0, target, audio, latent, quantized, lambda x: verdicts[x.item()])


def test_feature_matching_by_hand():
    """Mean distances of the layers are 1, 2 and 1/2."""
    assert FeatureMatching(**ON, reduce="mean")(step()).item() == pytest.approx(3.5 / 3)
    assert FeatureMatching(**ON, reduce="sum")(step()).item() == pytest.approx(3.5)


def test_relative_feature_matching_by_hand():
    """Mean sizes of the target's layers are 2, 4 and 1."""
    relative = {"floor": 1e-3}
    assert RelativeFeatureMatching(**ON, reduce="sum", **relative)(step()).item() == pytest.approx(0.5 + 0.5 + 0.5)
    assert RelativeFeatureMatching(**ON, reduce="mean", **relative)(step()).item() == pytest.approx(0.5)


def scaled(features, gain):
    return tuple(tuple(gain * layer for layer in layers) for layers in features)


def test_only_relative_matching_is_deaf_to_the_size_of_features():
    loud = step(scaled(FAKE, 100), scaled(REAL, 100))
    relative = RelativeFeatureMatching(**ON, reduce="mean", floor=1e-3)
    assert relative(loud).item() == pytest.approx(relative(step()).item())
    assert FeatureMatching(**ON, reduce="mean")(loud).item() == pytest.approx(100 * 3.5 / 3)


def test_silent_features_are_divided_by_the_floor():
    silent = step(scaled(FAKE, 0.001), scaled(REAL, 0.0))
    relative = RelativeFeatureMatching(**ON, reduce="sum", floor=0.5)
    assert relative(silent).item() == pytest.approx((0.002 + 0.006 + 0.0015) / 0.5)
    with pytest.raises(ValueError, match="floor"):
        RelativeFeatureMatching(**ON, reduce="sum", floor=0.0)


def test_no_gradient_reaches_the_targets_features():
    fake = ((torch.tensor([1.0], requires_grad=True),),)
    real = ((torch.tensor([2.0], requires_grad=True),),)
    RelativeFeatureMatching(**ON, reduce="mean", floor=1e-3)(step(fake, real)).backward()
    assert fake[0][0].grad.item() == -0.5
    assert real[0][0].grad is None


def test_the_adversarial_term_is_summed_where_its_objective_is():
    assert Adversarial(**ON, objective=Hinge(reduce="mean"))(step()).item() == 1.5
    assert Adversarial(**ON, objective=Hinge(reduce="sum"))(step()).item() == 3.0
    with pytest.raises(ValueError, match="mean or sum"):
        FeatureMatching(**ON, reduce="none")
