"""Where each loss is lowest as the output's gain changes: numbers that a person can compute."""

import numpy as np
import pytest
import torch
from subjects import pair, subject, told
from torch import nn

from telucodec.audio.picture import pixels
from telucodec.diagnosis.sweep import GainSweep, lowest, refined
from telucodec.diagnosis.sweep_picture import draw_sweep
from telucodec.losses.combine import GradientBalancer
from telucodec.losses.gan import Adversarial, FeatureMatching
from telucodec.losses.level import GlobalRMS, PerSampleRMS
from telucodec.losses.quantizer import Commitment
from telucodec.losses.spectral import MultiScaleMel, STFTDistance
from telucodec.losses.waveform import L1, MSE
from telucodec.records import Verdict

ON = {"weight": 1.0, "start": 0}
PLAIN = ON | {"emphasis": 0.0}
RMS = ON | {"eps": 1e-12}
MEL = ON | {"sample_rate": 16000, "n_ffts": [512], "n_mels": [40], "floor": 1e-5}
STFT = ON | {"n_ffts": [512], "divisor": 1.0, "compute": "float32", "returned": "float32"}


def sweep(points=17, largest=2.0, judged_points=9, judged_crops=4):
    return GainSweep(points=points, largest=largest, judged_points=judged_points, judged_crops=judged_crops)


def figures(terms, rho, rms_ratio, **given):
    target, audio = pair(rho, rms_ratio)
    return sweep()(subject(told(target, audio), target, terms, **given)).figures


@pytest.mark.parametrize("rho", [0.01, 0.1, 0.3, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("rms_ratio", [0.01, 0.2, 1.0, 3.0])
def test_the_best_gain_of_a_squared_error_is_the_wiener_filters(rho, rms_ratio):
    """NSR = (1 - rho^2) + (r - rho)^2: lowest at r = rho, and its second derivative is 2 sigma^2 everywhere."""
    found = figures({"mse": MSE(**PLAIN)}, rho, rms_ratio)
    assert found["sweep/rho"] == pytest.approx(rho, abs=1e-6)
    assert found["sweep/rms_ratio"] == pytest.approx(rms_ratio, rel=1e-6)
    assert found["sweep/mse/best_rms_ratio"] == pytest.approx(rho, abs=1e-6)
    assert found["sweep/mse/best_gain"] == pytest.approx(rho / rms_ratio, rel=1e-4)
    assert found["sweep/mse/curvature"] == pytest.approx(2 * 0.1**2, rel=1e-3)


def test_an_output_upside_down_is_best_silent():
    assert figures({"mse": MSE(**PLAIN)}, -0.4, 1.0)["sweep/mse/best_rms_ratio"] == 0.0


@pytest.mark.parametrize("term", [PerSampleRMS, GlobalRMS])
@pytest.mark.parametrize("rms_ratio", [0.05, 0.7, 4.0])
def test_an_rms_loss_is_best_as_loud_as_the_target(term, rms_ratio):
    found = figures({"rms": term(**RMS)}, 0.1, rms_ratio)
    assert found["sweep/rms/best_rms_ratio"] == pytest.approx(1.0, abs=1e-5)
    assert found["sweep/rms/best_gain"] == pytest.approx(1 / rms_ratio, rel=1e-5)


@pytest.mark.parametrize("rho", [0.1, 0.3, 0.5, 0.9])
def test_l1_on_gaussian_signals_wants_what_the_squared_error_wants(rho):
    assert figures({"l1": L1(**PLAIN)}, rho, 0.5)["sweep/l1/best_rms_ratio"] == pytest.approx(rho, abs=0.01)


@pytest.mark.parametrize("rho", [0.0, 0.1, 0.3])
def test_log_spectra_want_the_targets_loudness_and_linear_ones_less(rho):
    terms = {"mse": MSE(**PLAIN), "stft": STFTDistance(**STFT), "mel": MultiScaleMel(**MEL)}
    best = {name: figures({name: term}, rho, 0.3)[f"sweep/{name}/best_rms_ratio"] for name, term in terms.items()}
    assert best["mel"] == pytest.approx(1.0, abs=0.04)
    assert best["mse"] + 0.3 < best["stft"] < best["mel"] - 0.05
    assert best["stft"] == pytest.approx(0.8, abs=0.06)


@pytest.mark.parametrize("weight", [0.0, 1.0, 15.0])
def test_the_whole_is_best_where_the_weights_put_it(weight):
    """3 (g - rho)^2 + w (1 - g)^2 is lowest at (3 rho + w) / (3 + w)."""
    terms = {"mse": MSE(**PLAIN | {"weight": 3.0}), "rms": GlobalRMS(**RMS | {"weight": weight})}
    found = figures(terms, 0.3, 0.5)
    assert found["sweep/all/best_rms_ratio"] == pytest.approx((0.9 + weight) / (3 + weight), abs=1e-5)
    assert found["sweep/rms/best_rms_ratio"] == pytest.approx(1.0, abs=1e-5), "also at weight 0"


def test_the_objective_on_held_out_crops_is_the_trained_one():
    """Of sigma .1, rho .3, r .5: MSE .01 (1 - 2 .5 .3 + .25), and the squared difference of two RMS."""
    terms = {
        "mse": MSE(**PLAIN | {"weight": 3.0}),
        "rms": GlobalRMS(**RMS),
        "commitment": Commitment(**ON, reduce="sum"),
    }
    found = figures(terms, 0.3, 0.5)
    assert found["val/loss/mse"] == pytest.approx(0.0095, rel=1e-5)
    assert found["val/loss/rms"] == pytest.approx(0.0025, rel=1e-5)
    assert found["val/loss/commitment"] == 0
    assert found["val/loss"] == pytest.approx(3 * 0.0095 + 0.0025, rel=1e-5)
    assert "sweep/commitment/best_gain" not in found, "the audio is not what it reads"


def test_losses_that_have_not_started_are_left_out():
    terms = {"mse": MSE(**PLAIN), "l1": L1(weight=1.0, start=5, emphasis=0.0)}
    assert "val/loss/l1" not in figures(terms, 0.3, 0.5, index=4)
    assert "sweep/l1/best_gain" in figures(terms, 0.3, 0.5, index=5)


def test_a_loss_that_is_cut_off_is_flat_and_has_no_best_gain():
    terms = {"mse": MSE(**PLAIN), "l1": L1(**PLAIN)}
    found = figures(terms, 0.3, 0.5, ceilings={"l1": 1e-4})
    assert "sweep/l1/best_gain" not in found
    assert "sweep/mse/best_gain" in found
    assert found["val/loss/l1"] == pytest.approx(1e-4)


def test_silence_has_no_best_gain():
    target, _ = pair(0.5, 1.0)
    found = sweep()(subject(told(target, torch.full_like(target, 0.2)), target, {"mse": MSE(**PLAIN)}))
    assert set(found.figures) == {"val/loss", "val/loss/mse", "sweep/rho", "sweep/rms_ratio"}
    assert found.figures["sweep/rms_ratio"] == 0
    assert not found.pictures


def test_an_offset_makes_a_squared_error_quieter_than_the_waveform_allows():
    """E|g (x + c) - y|^2 with c = sigma: lowest at g = rho r / (r^2 + 1)."""
    target, audio = pair(0.8, 1.0)
    found = sweep()(subject(told(target, audio + 0.1), target, {"mse": MSE(**PLAIN)})).figures
    assert found["sweep/rho"] == pytest.approx(0.8, abs=1e-6)
    assert found["sweep/mse/best_gain"] == pytest.approx(0.4, abs=1e-5)


def test_a_balancer_has_a_whole_once_its_averages_have_begun():
    """Shares, not values, are weighed: with equal norms at the output the whole is where equal pulls meet."""
    target, audio = pair(0.3, 0.5)
    balancer = GradientBalancer(total_norm=1.0, decay=0.0, per_batch_item=False, floor=1e-12)
    terms = {"mse": MSE(**PLAIN), "rms": GlobalRMS(**RMS)}
    asked = subject(told(target, audio), target, terms, combine=balancer)
    assert "sweep/all/best_gain" not in sweep()(asked).figures
    step = asked.step(target, asked.codec(target), audio.clone().requires_grad_())
    balancer(asked.scored(step), step)
    found = sweep()(asked).figures
    # |d mse / dx| = 2 sigma sqrt(NSR) / sqrt(n), NSR = .95; |d rms / dx| = 2 sigma (1 - .5) / sqrt(n)
    a, b = 1 / 0.95**0.5, 1 / 0.5
    assert found["sweep/all/best_rms_ratio"] == pytest.approx((a * 0.3 + b) / (a + b), abs=1e-4)
    assert not {k for k in found if k.startswith("val/")} - {"val/loss", "val/loss/mse", "val/loss/rms"}


class Ear(nn.Module):
    """An adversary whose logit is the mean square, and which counts how often it is asked."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def forward(self, audio):
        self.asked.append(len(audio))
        loudness = audio.square().mean((1, 2))[:, None]
        return Verdict((loudness,), ((audio.square(),),))


class Louder(nn.Module):
    """The codec's side of a game that it wins when the adversary hears a mean square of .04."""

    def generator(self, fake):
        return torch.stack([(x.mean() - 0.04).square() for x in fake.logits]).mean()


def test_discriminators_hear_fewer_crops_at_fewer_gains_and_the_target_once():
    target, audio = pair(0.3, 0.5)
    terms = {"adversarial": Adversarial(**ON, objective=Louder()), "feature": FeatureMatching(**ON, reduce="mean")}
    ear = Ear()
    found = sweep(points=33, judged_points=9, judged_crops=2)(subject(told(target, audio), target, terms, ear)).figures
    # (.01 r^2 - .04)^2 is lowest at r = 2, the loudest that is tried
    assert found["sweep/adversarial/best_rms_ratio"] == pytest.approx(2.0, abs=1e-3)
    assert ear.asked == [4, 4] + [2] * 10, "the objective on all; then nine gains, and their target once"
    dense = sweep(points=33, judged_points=33, judged_crops=4)(subject(told(target, audio), target, terms, ear)).figures
    key = "sweep/feature/best_rms_ratio"
    assert found[key] == pytest.approx(dense[key], abs=0.03)


def test_crops_that_discriminators_hear_are_spread_over_all():
    target, audio = pair(0.3, 0.5, items=5)
    heard = []
    ear = Ear()
    ear.register_forward_pre_hook(lambda module, inputs: heard.append(inputs[0]))
    terms = {"mse": MSE(**PLAIN), "adversarial": Adversarial(**ON, objective=Louder())}
    sweep(judged_crops=2)(subject(told(target, audio), target, terms, ear))
    last = heard[-1] / (audio[[0, 3]] * 4)
    assert float(last.std()) < 1e-3, "items 0 and 3, at the largest gain"


def test_the_parabola_never_leaves_its_range():
    at = torch.linspace(0, 2, 9).double().numpy()
    assert lowest(at, (at + 0.1) ** 2).at == 0
    assert lowest(at, (at - 2.1) ** 2).at == 2
    assert lowest(at, (at - 0.03) ** 2).at == pytest.approx(0.03)
    assert lowest(at, -((at - 0.9) ** 2)).at == 2, "a hill is lowest at the end that is farther from its top"


def test_the_picture_tells_what_it_shows():
    target, audio = pair(0.35, 0.3)
    terms = {"l1": L1(**PLAIN), "mse": MSE(**PLAIN), "mel": MultiScaleMel(**MEL)}
    picture = sweep()(subject(told(target, audio), target, terms)).pictures["gain_sweep"]
    texts = [text.get_text() for text in picture.axes[0].texts]
    assert "what the waveform allows: r = rho = 0.35" in texts
    assert "as loud as the target: r = 1" in texts
    assert "this output: r = 0.30" in texts
    labels = [text.get_text() for text in picture.legends[0].get_texts()]
    assert [label.partition(":")[0] for label in labels] == ["l1", "mse", "mel", "all, weighted"]
    assert "mse: 0.35" in labels
    assert pixels(picture)[..., :3].std() > 10


def test_a_flat_loss_is_drawn_and_called_flat():
    ratios = torch.linspace(0, 2, 9).double().numpy()
    picture = draw_sweep(ratios, {"flat": 0 * ratios + 3}, {}, {"rho": -0.2, "rms_ratio": 9.0})
    assert [text.get_text() for text in picture.legends[0].get_texts()] == ["flat: flat"]
    assert len(picture.axes[0].texts) == 2, "the output is louder than what is drawn"
    assert pixels(picture).size


@pytest.mark.parametrize(
    ("values", "message"),
    [({"points": 4}, "points must be >= 5"), ({"largest": 1.0}, "largest"), ({"judged_crops": 0}, "judged_crops must")],
)
def test_wrong_values_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        sweep(**values)


@pytest.mark.parametrize("rms_ratio", [0.05, 0.125, 0.6])
def test_a_log_spectral_loss_of_a_quiet_output_is_lowest_where_a_dense_sweep_finds_it(rms_ratio):
    """The target's spectrum falls, the output's does not: half as loud as the target is best, far from silence."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randn(4, 1, 4096, generator=generator)
    target = 0.1 * torch.nn.functional.avg_pool1d(noise, 9, 1, 4)
    audio = rms_ratio * target.std() * torch.randn(4, 1, 4096, generator=generator)
    terms = {"mel": MultiScaleMel(**MEL)}
    found = sweep()(subject(told(target, audio), target, terms)).figures
    dense = sweep(points=401)(subject(told(target, audio), target, terms)).figures
    assert 0.05 < dense["sweep/mel/best_rms_ratio"] < 1.5
    assert found["sweep/mel/best_rms_ratio"] == pytest.approx(dense["sweep/mel/best_rms_ratio"], abs=0.02)
    assert found["sweep/all/best_rms_ratio"] == pytest.approx(dense["sweep/mel/best_rms_ratio"], abs=0.02)
    assert found["sweep/mel/curvature"] == pytest.approx(dense["sweep/mel/curvature"], rel=0.6)


def test_no_minimum_is_below_what_a_gain_gives():
    at = np.linspace(0, 2, 17)
    steep = lambda r: abs(np.log((r + 1e-6) / 0.04))  # noqa: E731
    low = refined(at, np.array([steep(r) for r in at]), steep)
    assert low.at == pytest.approx(0.04, abs=5e-3)
    assert low.value == pytest.approx(steep(low.at))
    alone = lowest(at, np.array([steep(r) for r in at]))
    assert alone.value < steep(alone.at) - 1, "the first parabola alone promises too much"


def test_discriminators_that_answer_nan_stop_nothing():
    class Broken(nn.Module):
        def forward(self, audio):
            return Verdict((audio.mean((1, 2))[:, None] * torch.nan,), ((audio * torch.nan,),))

    target, audio = pair(0.3, 0.5)
    terms = {"mse": MSE(**PLAIN), "adversarial": Adversarial(**ON, objective=Louder())}
    found = sweep()(subject(told(target, audio), target, terms, Broken())).figures
    assert found["sweep/mse/best_rms_ratio"] == pytest.approx(0.3, abs=1e-6)
    assert "sweep/adversarial/best_gain" not in found
