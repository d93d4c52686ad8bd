"""The same codec, otherwise: by batch statistics, and on what it was trained with."""

import math

import pytest
import torch
from subjects import of, pair, subject, told
from torch import nn

from conftest import toy_module, voices
from telucodec.diagnosis.gaps import BatchNormGap, TrainingGap
from telucodec.records import Coded, Quantized


def crops(count=4):
    return torch.stack([torch.from_numpy(voices(k, 0.064)) for k in range(count)])


class Normed(nn.Module):
    """A codec that is one batch norm of the target, with given running averages."""

    def __init__(self, mean, variance, tracked=True):
        super().__init__()
        self.norm, self.quantizer = nn.BatchNorm1d(1, affine=False, eps=1e-12, track_running_stats=tracked), nn.Module()
        self.quantizer.begun = True
        if tracked:
            self.norm.running_mean.fill_(mean)
            self.norm.running_var.fill_(variance)

    def forward(self, audio):
        return Coded(self.norm(audio), audio, Quantized(audio, audio.long()))


def test_running_averages_that_do_not_fit_by_hand():
    """Targets of deviation .1: the batch's own statistics give RMS ratio 10, running ones of .04 a ratio of 5."""
    held, _ = pair(0.5, 0.5)
    codec = Normed(0.0, 0.04)
    found = BatchNormGap()(subject(codec, held)).figures
    assert found["gap/batchnorm_rms_ratio"] == pytest.approx(10 - 5, rel=1e-4)
    assert found["gap/batchnorm_rho"] == pytest.approx(0, abs=1e-6)
    assert found["gap/batchnorm_snr"] == pytest.approx(20 * math.log10(4 / 9), abs=1e-3)
    assert float(codec.norm.running_var) == pytest.approx(0.04)
    assert int(codec.norm.num_batches_tracked) == 0


def test_running_averages_that_fit_leave_no_gap():
    held, _ = pair(0.5, 0.5)
    found = BatchNormGap()(subject(Normed(0.0, 0.01), held)).figures
    assert found["gap/batchnorm_rms_ratio"] == pytest.approx(0, abs=1e-4)
    assert BatchNormGap()(subject(Normed(0, 0, tracked=False), held)).figures["gap/batchnorm_rms_ratio"] == 0


@pytest.mark.parametrize("norm", ["batch", "batch_statistics", "none"])
def test_only_a_post_net_with_running_averages_can_have_a_gap(norm):
    module = toy_module("output=[post_net,scale]", f"post_norm={norm}")
    asked = of(module, 0, crops(), crops())
    if norm != "none":
        assert BatchNormGap()(asked).figures == {}, "before codebooks have begun"
    with torch.no_grad():
        module.codec.train()(crops())
    found = BatchNormGap()(asked).figures
    assert set(found) == {"gap/batchnorm_snr", "gap/batchnorm_rho", "gap/batchnorm_rms_ratio"}
    assert (set(found.values()) == {0.0}) == (norm != "batch")


def test_other_parts_stay_in_evaluation_mode():
    """Quantizer dropout would change the latent too, and is no part of the gap."""
    module = toy_module("output=[post_net,scale]", "quantizer_dropout=batch", "post_norm=batch_statistics")
    with torch.no_grad():
        module.codec.train()(crops())
    assert set(BatchNormGap()(of(module, 0, crops(), crops())).figures.values()) == {0.0}


def test_the_gap_between_what_is_known_by_heart_and_the_rest_by_hand():
    """rho 1 at half the level: 6.02 dB. rho .5 at half the level: NSR 1 - 2 .5 .5 + .25 = .75."""
    held, heard = pair(0.5, 0.5)
    trained, known = 2 * held, held
    codec = told(torch.cat([held, trained]), torch.cat([heard, known]))
    found = TrainingGap()(subject(codec, held, trained=trained)).figures
    assert found["gap/trained_rho"] == pytest.approx(1.0)
    assert found["gap/held_rho"] == pytest.approx(0.5, abs=1e-6)
    assert found["gap/training_rho"] == pytest.approx(0.5, abs=1e-6)
    assert found["gap/training_snr"] == pytest.approx(10 * math.log10(4) + 10 * math.log10(0.75), abs=1e-4)
