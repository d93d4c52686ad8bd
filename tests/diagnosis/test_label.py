import math

import pytest

from telucodec.diagnosis.label import LABELS, RULES, derived, diagnose

# a run with nothing wrong: every figure that a rule reads
HEALTHY = {
    "step": 2000.0,
    "val/rho_pooled": 0.9,
    "val/snr_pooled": 7.1,
    "val/snr_best_gain_pooled": 7.2,
    "val/best_gain_pooled": 1.02,
    "val/dc_share_pooled": 0.01,
    "val/mel_distance": 1.0,
    "latent/spread": 0.9,
    "latent/rms": 3.0,
    "codebook/bits_share": 0.8,
    "bypass/rho": 0.92,
    "gap/batchnorm_rho": 0.0,
    "gap/batchnorm_snr": 0.0,
    "gap/training_rho": 0.02,
    "gap/trained_rho": 0.92,
}
UNTRAINED = {"val/mel_distance": 2.0}
WRONG = {
    "batchnorm-gap": {"gap/batchnorm_rho": 0.3},
    "latent-collapse": {"latent/spread": 0.001, "val/rho_pooled": 0.0},
    "codebook-collapse": {"codebook/bits_share": 0.1},
    "dc-offset": {"val/dc_share_pooled": 0.8},
    "overfit": {"gap/training_rho": 0.4, "gap/trained_rho": 0.9, "val/rho_pooled": 0.4},
    "shape-not-learned": {"val/rho_pooled": 0.1},
    "gain-shrinkage": {"val/snr_pooled": 4.0, "val/best_gain_pooled": 1.8},
    "gain-excess": {"val/snr_pooled": 4.0, "val/best_gain_pooled": 0.6},
}


def test_every_label_has_its_case():
    assert {*WRONG, "healthy"} == set(LABELS)
    assert {c.figure for rule in RULES for c in rule.conditions} <= {*HEALTHY, *derived(HEALTHY, UNTRAINED)}


def test_a_healthy_run_is_called_so_and_everything_was_examined():
    found = diagnose(HEALTHY, UNTRAINED)
    assert (found.label, found.because, found.also, found.unexamined) == ("healthy", (), (), ())


@pytest.mark.parametrize(("label", "wrong"), WRONG.items(), ids=list(WRONG))
def test_each_label_is_decided_by_its_figures(label, wrong):
    found = diagnose(HEALTHY | wrong, UNTRAINED)
    assert found.label == label
    assert {c.figure: value for c, value in found.because}.items() <= (
        HEALTHY | wrong | derived(HEALTHY | wrong, UNTRAINED)
    ).items()
    assert label in found.sentence()
    assert found.plain()["because"][0]["figure"] == found.because[0][0].figure
    assert found.advice.endswith(".")


def test_causes_come_before_what_they_cause():
    both = diagnose(HEALTHY | WRONG["codebook-collapse"] | WRONG["shape-not-learned"], UNTRAINED)
    assert both.label == "codebook-collapse"
    assert both.also == ("shape-not-learned",)


@pytest.mark.parametrize(
    ("extra", "word"),
    [
        ({"step": 0.0}, "nothing has been trained"),
        ({"bypass/rho": 0.8}, "before the quantizer"),
        ({"val/mel_distance": 1.0, "bypass/rho": 0.0}, "hear no phase"),
        ({"val/mel_distance": 1.9, "bypass/rho": 0.0}, "no gain can repair"),
    ],
)
def test_an_unlearned_shape_is_told_apart_by_where_it_is_lost(extra, word):
    found = diagnose(HEALTHY | {"val/rho_pooled": 0.1} | extra, UNTRAINED)
    assert found.label == "shape-not-learned"
    assert word in found.means


def test_what_was_not_measured_is_named_and_never_passes_for_healthy_silently():
    found = diagnose({"val/rho_pooled": 0.9}, {})
    assert found.label == "healthy"
    assert set(found.unexamined) == set(LABELS) - {"healthy", "shape-not-learned"}


def test_just_on_a_limit_is_not_beyond_it():
    assert diagnose(HEALTHY | {"val/rho_pooled": 0.5}, UNTRAINED).label == "healthy"
    assert diagnose(HEALTHY | {"val/rho_pooled": 0.4999}, UNTRAINED).label == "shape-not-learned"


@pytest.mark.parametrize(("figures", "why"), [({}, "not recorded"), ({"val/rho_pooled": math.nan}, "is nan")])
def test_figures_that_are_not_there_or_not_finite_have_no_label(figures, why):
    with pytest.raises(ValueError, match=why):
        diagnose(figures, {})
