import copy
import math
from dataclasses import replace

import pytest
import torch
from signals import ON, noise, step_of, tone

from telucodec.losses.combine import Combine, GradientBalancer, WeightedSum
from telucodec.losses.term import Scored, Terms
from telucodec.losses.waveform import L1, MSE


def balancer(**options):
    plain = {"total_norm": 1.0, "decay": 0.999, "per_batch_item": True, "floor": 1e-12}
    return GradientBalancer(**(plain | options))


def values(audio, factor=1.0):
    """Four scalars whose gradients at the audio point in four directions of very different size."""
    weights = {"adversarial": 4.0, "feature": 4.0, "mel": 2.0, "l1": 0.1}
    masks = torch.eye(4).repeat_interleave(audio.shape[-1] // 4, dim=1)
    sizes = (1e-4, 1.0, 30.0, 1e3)
    found = zip(weights.items(), masks, sizes, strict=True)
    return {n: Scored((audio * mask).sum() * size * factor, w, "audio") for (n, w), mask, size in found}


def pushed(combine, audio, scored):
    combine(scored, step_of(audio.detach(), audio)).backward()
    return audio.grad


def fresh(batch=3):
    return noise(batch, 1, 64).requires_grad_()


def test_weights_become_shares_of_the_gradient():
    audio = fresh()
    gradient = pushed(balancer(), audio, values(audio))
    shares = gradient.view(3, 4, 16).norm(dim=2)
    expected = torch.tensor([0.396, 0.396, 0.198, 0.0099])
    assert torch.allclose(shares, expected.expand(3, 4), atol=5e-4), "per item, of a total norm of 1"
    audio = fresh()
    whole = pushed(balancer(total_norm=2.0, per_batch_item=False), audio, values(audio)).view(3, 4, 16)
    assert torch.allclose(whole.norm(dim=(0, 2)), 2 * expected, atol=1e-3), "over the batch, of a total norm of 2"


def test_the_size_of_a_value_does_not_matter():
    plain, scaled = fresh(), fresh()
    a, b = balancer(), balancer()
    for _ in range(3):
        plain.grad = scaled.grad = None
        pushed(a, plain, values(plain))
        pushed(b, scaled, values(scaled, factor=1000.0))
    assert torch.allclose(plain.grad, scaled.grad, rtol=1e-5)


def restated(history, weights, decay, count_items):
    """EnCodec's eq. 4 and 5 with a bias-corrected average, from a list of {name: gradient}."""
    sums, counts = dict.fromkeys(weights, 0.0), dict.fromkeys(weights, 0.0)
    for gradients in history:
        for name, g in gradients.items():
            norm = sum(item.norm().item() for item in g) / len(g) if count_items else g.norm().item()
            sums[name], counts[name] = sums[name] * decay + norm, counts[name] * decay + 1
    present = history[-1]
    total = sum(weights[n] for n in present)
    return sum(weights[n] / total * g / (sums[n] / counts[n]) for n, g in present.items())


@pytest.mark.parametrize("per_batch_item", [True, False])
def test_the_running_average_restated(per_batch_item):
    """Terms of changing size, one of which starts late, for five updates."""
    weights, history, combine = {"a": 3.0, "b": 1.0}, [], balancer(decay=0.8, per_batch_item=per_batch_item)
    for k in range(5):
        audio = fresh()
        scored = {"a": Scored((audio * (k + 1)).square().sum(), 3.0, "audio")}
        if k >= 2:
            scored["b"] = Scored((audio - k).abs().sum(), 1.0, "audio")
        history.append({n: torch.autograd.grad(s.value, audio, retain_graph=True)[0] for n, s in scored.items()})
        got = pushed(combine, audio, scored)
        assert torch.allclose(got, restated(history, weights, 0.8, per_batch_item), rtol=1e-4)


def test_terms_reached_elsewhere_are_added_outside_with_their_weights():
    audio, encoded = fresh(), torch.tensor(3.0, requires_grad=True)
    constant, off = Scored(torch.tensor(7.0), 1.0, "codebook"), Scored(audio.exp().sum(), 0.0, "audio")
    scored = {"l1": Scored(audio.sum(), 5.0, "audio"), "commitment": Scored(encoded.square(), 0.25, "encoded")}
    gradient = pushed(balancer(), audio, scored | {"codebook": constant, "off": off})
    assert encoded.grad.item() == pytest.approx(0.25 * 2 * 3)
    assert torch.allclose(gradient.flatten(1).norm(dim=1), torch.ones(3)), "the only balanced term has the whole share"


def test_a_constant_term_does_no_harm():
    audio = fresh()
    scored = {"l1": Scored(audio.mean(), 2.0, "audio"), "codebook": Scored(torch.tensor(7.0), 1.0, "codebook")}
    assert pushed(WeightedSum(), audio, scored).sum().item() == pytest.approx(2.0)
    audio = fresh()
    scored = {"l1": Scored(audio.mean(), 2.0, "audio"), "odd": Scored(torch.tensor(7.0), 1.0, "audio")}
    assert torch.isfinite(pushed(balancer(), audio, scored)).all()


def test_the_average_is_kept_in_checkpoints():
    combine = balancer()
    for factor in (1.0, 5.0):
        audio = fresh()
        pushed(combine, audio, values(audio, factor))
    revived = balancer()
    revived.load_state_dict(copy.deepcopy(combine.state_dict()))
    a, b = fresh(), fresh()
    assert torch.equal(pushed(combine, a, values(a)), pushed(revived, b, values(b)))


def test_one_infinite_gradient_is_forgotten():
    combine = balancer(decay=0.5)
    for size in (1.0, float("inf"), 1.0):
        audio = fresh()
        gradient = pushed(combine, audio, {"l1": Scored(audio.sum() * size, 1.0, "audio")})
    assert torch.allclose(gradient.flatten(1).norm(dim=1), torch.ones(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decay": 1.0}, "decay must be in"),
        ({"total_norm": 0.0}, "total_norm must be > 0"),
        ({"floor": 0.0}, "floor must be > 0"),
    ],
)
def test_wrong_values_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        balancer(**options)


def test_the_base_combines_nothing():
    with pytest.raises(NotImplementedError):
        Combine()({}, step_of(tone(), tone()))


def test_a_combination_that_says_nothing_else_goes_by_the_weights():
    scored = {"a": Scored(torch.tensor(1.0), 0.5, "audio"), "b": Scored(torch.tensor(2.0), 3.0, "encoded")}
    assert Combine().in_force(scored) == {"a": 0.5, "b": 3.0}


def two(**ceilings):
    return Terms(terms={"l1": L1(**ON, emphasis=0.0), "mse": MSE(**ON, emphasis=0.0)}, ceilings=ceilings)


def test_a_ceiling_cuts_the_value_off_and_stops_the_gradient():
    """An error of 3 everywhere: L1 = 3, MSE = 9."""
    audio = torch.full((1, 1, 4), 3.0, requires_grad=True)
    step = step_of(torch.zeros(1, 1, 4), audio)
    scored = two(mse=5.0)(step)
    assert [s.value.item() for s in scored.values()] == [3.0, 5.0]
    scored["mse"].value.backward()
    assert audio.grad.abs().sum() == 0
    two(mse=10.0)(step)["mse"].value.backward()
    assert torch.allclose(audio.grad, torch.full_like(audio, 2 * 3 / 4)), "below the ceiling nothing changes"


def test_ceilings_of_terms_that_are_not_chosen_are_refused():
    with pytest.raises(ValueError, match=r"ceilings.ms: no such loss is chosen. Did you mean 'mse'?"):
        two(ms=5.0)
    with pytest.raises(ValueError, match=r"ceilings.mse must be > 0"):
        two(mse=0.0)


@pytest.mark.parametrize("parts", [2, 4])
def test_a_split_batch_gives_each_item_the_same_gradient(parts):
    """Means over items, as losses are; each part's scalar is weighed by its share, as the training step does."""
    target, one, split = noise(4, 1, 64, seed=1), fresh(4), fresh(4)

    def push(combine, audio, rows):
        share, part = len(rows) / 4, audio[rows]
        error = part - target[rows]
        scored = {
            "l1": Scored(error.abs().mean(), 1.0, "audio"),
            "mse": Scored(50 * error.square().mean(), 3.0, "audio"),
        }
        (combine(scored, replace(step_of(target[rows], part), share=share)) * share).backward()

    push(balancer(decay=0.0), one, torch.arange(4))
    for rows in torch.arange(4).chunk(parts):
        push(balancer(decay=0.0), split, rows)
    norms = [audio.grad.flatten(1).norm(dim=1) for audio in (one, split)]
    assert torch.allclose(norms[0].mean(), norms[1].mean(), rtol=0.1)
    assert torch.cosine_similarity(one.grad.flatten(), split.grad.flatten(), dim=0) > 0.99


def in_force_sum(combine, audio, scored, share=1.0):
    force = combine.in_force(scored, share)
    slopes = {n: torch.autograd.grad(s.value, audio, retain_graph=True)[0] for n, s in scored.items()}
    return sum(force[n] * slope for n, slope in slopes.items())


@pytest.mark.parametrize("share", [1.0, 0.25])
@pytest.mark.parametrize(
    "combine",
    [WeightedSum(), balancer(decay=0.0), balancer(decay=0.8), balancer(decay=0.8, per_batch_item=False)],
    ids=["sum", "present", "warmed", "batch"],
)
def test_the_factors_in_force_give_the_scalars_gradient(combine, share):
    """Terms of changing size, three steps: the sum of factor x gradient is what is back-propagated."""
    for factor in (1.0, 5.0, 0.2):
        audio = fresh()
        scored = values(audio, factor) | {"off": Scored(audio.exp().sum(), 0.0, "audio")}
        combine(scored, replace(step_of(audio.detach(), audio), share=share)).backward(retain_graph=True)
        before = copy.deepcopy(combine.state_dict())
        torch.testing.assert_close(in_force_sum(combine, audio, scored, share), audio.grad, rtol=1e-5, atol=0)
        assert combine.in_force(scored, share)["off"] == 0
        assert combine.state_dict() == before, "asking changes nothing"


def test_the_factors_of_a_balancer_by_hand():
    """Norms 2 and 8 an item, weights 3 and 1: 3/4 / 2 and 1/4 / 8; unknown before a step."""
    combine, audio = balancer(floor=1e-30), torch.zeros(2, 1, 4, requires_grad=True)
    scored = {
        "a": Scored(audio.sum(), 3.0, "audio"),
        "b": Scored(4 * audio.sum(), 1.0, "audio"),
        "commitment": Scored((audio * 7).sum(), 0.25, "encoded"),
    }
    assert math.isnan(combine.in_force(scored)["a"])
    assert combine.in_force(scored)["commitment"] == 0.25
    combine(scored, step_of(audio.detach(), audio))
    assert combine.in_force(scored) == pytest.approx({"a": 0.375, "b": 0.03125, "commitment": 0.25})
    assert combine.in_force({"commitment": scored["commitment"]}) == {"commitment": 0.25}
