import math

import pytest
import torch

from conftest import toy_module
from telucodec.metrics.evaluation import Evaluator
from telucodec.metrics.latent import Cloud, LatentUse
from telucodec.models.assess import Assessment, keyed
from telucodec.records import Coded, Quantized, Stage, Utterance


def frames(*vectors):
    """Vectors as frames [1, D, F]."""
    return torch.tensor(vectors, dtype=torch.float32).T[None]


def coded(encoded, latent, *pairs):
    codes = torch.zeros(1, len(pairs), encoded.shape[-1], dtype=torch.long)
    stages = tuple(Stage(wanted, chosen, codes[:, 0]) for wanted, chosen in pairs)
    return Coded(torch.zeros(1, 1, 8), encoded, Quantized(latent, codes, stages))


def figures(*passes):
    use = LatentUse()
    for each in passes:
        use.add(each)
    return use.figures()


def test_a_latent_of_known_offset():
    """Frames (3, 4) and (3, -4): of norm 5, about (3, 0) with variance 16; the latent is 2 off in each."""
    f = figures(coded(frames((3, 4), (3, -4)), frames((3, 2), (3, -2))))
    assert f["latent/rms"] == pytest.approx(5)
    assert (f["latent/offset"], f["latent/spread"]) == (pytest.approx(0.6), pytest.approx(0.8))
    assert f["latent/error"] == pytest.approx(4 / 16)


def test_codebooks_of_any_width():
    f = figures(
        coded(
            frames((3, 4), (3, -4)),
            frames((3, 0), (3, 0)),
            (frames((3, 4), (3, -4)), frames((3, 0), (3, 0))),
            (frames((1,), (-1,)), frames((0.5,), (-0.5,))),
        )
    )
    assert f["latent/error"] == f["codebook/0/error"] == pytest.approx(1), "the mean alone"
    assert f["codebook/0/norm_ratio"] == pytest.approx(3 / 5)
    assert f["codebook/1/error"] == pytest.approx(0.25)
    assert f["codebook/1/norm_ratio"] == pytest.approx(0.5)


def test_utterances_are_pooled_over_frames():
    encoded, latent = torch.randn(2, 4, 9).unsqueeze(1).unbind()
    whole = figures(coded(encoded, latent, (encoded, latent)))
    parts = [coded(encoded[..., s], latent[..., s], (encoded[..., s], latent[..., s])) for s in (slice(2), slice(2, 9))]
    assert figures(*parts) == pytest.approx(whole)


def test_errors_do_not_depend_on_the_latents_size():
    encoded, latent = torch.randn(2, 4, 9).unsqueeze(1).unbind()
    assert figures(coded(1000 * encoded, 1000 * latent))["latent/error"] == pytest.approx(
        figures(coded(encoded, latent))["latent/error"]
    )


def test_a_constant_encoder_has_no_relative_error():
    constant = (0.1 * torch.arange(1, 5)[None, :, None]).expand(1, 4, 50)
    jitter = 1e-8 * torch.randn(1, 4, 50)
    f = figures(coded(constant + jitter, constant, (constant + jitter, constant)))
    assert f["latent/offset"] == pytest.approx(1)
    assert f["latent/spread"] == pytest.approx(0, abs=1e-6)
    assert f["codebook/0/norm_ratio"] == pytest.approx(1)
    assert not {"latent/error", "codebook/0/error"} & f.keys()


def test_nothing_and_zero():
    assert figures() == {}
    zero = torch.zeros(1, 2, 3)
    assert figures(coded(zero, zero, (zero, zero))) == {"latent/rms": 0}


def test_what_is_not_finite_shows():
    encoded = torch.randn(1, 4, 9)
    f = figures(coded(encoded.clone().fill_(math.nan), encoded, (encoded, encoded * math.nan)))
    assert [k for k, v in f.items() if math.isnan(v)] == [
        "latent/rms", "latent/offset", "latent/spread", "latent/error", "codebook/0/error", "codebook/0/norm_ratio",
    ]  # fmt: skip


def test_sums_are_in_double_precision():
    cloud = Cloud()
    x = 1000 + torch.randn(1, 3, 1000)
    for _ in range(3):
        cloud.add(x, x)
    variance = (x.double() - x.double().mean((0, 2), keepdim=True)).square().sum() / 1000
    assert (cloud.spread * cloud.rms) ** 2 == pytest.approx(float(variance), rel=1e-6)


@pytest.mark.parametrize(("quantizer", "stages"), [("rvq", 3), ("dac", 3), ("fsq", 0), ("none", 0)])
def test_every_kind_of_quantizer_is_measured(quantizer, stages):
    narrow = ["quantizer.n_q=3", "quantizer.codebook.codebook_size=16"] if stages else []
    module = toy_module(f"quantizer={quantizer}", *narrow)
    assessment = Assessment(module.codec, Evaluator(metrics={}, silence_dbfs=-60.0))
    assessment.hear(Utterance(0.1 * torch.randn(1, 1, 800), "a", None, None))
    found = keyed(assessment.summary(), "test")
    assert found.keys() >= {"latent/rms", "latent/offset", "latent/spread", "latent/error", "test/band/0-500/rho"}
    assert sum(key.endswith("/norm_ratio") for key in found) == stages
    assert (found["latent/error"] == 0) == (quantizer == "none")
