"""Encoder, quantizer or decoder: each is told apart from the others."""

import math

import pytest
import torch
from subjects import of, pair, subject
from torch import nn

from conftest import toy_module, voices
from telucodec.diagnosis.bypass import OracleDecoder, OracleLatent, QuantizerBypass
from telucodec.metrics.level import Moments
from telucodec.models.level import AsItIs
from telucodec.records import Coded, Quantized

WITHOUT = ("quantizer=none", "loss=[l1,mel]")
HOP = 8


def crops(count=4, offset=0):
    return torch.stack([torch.from_numpy(voices(offset + k, 0.064)) for k in range(count)])


def begun(*overrides):
    module = toy_module(*overrides)
    with torch.no_grad():
        module.codec.train()(crops())
    return module


@pytest.mark.parametrize("loudness", ["as_it_is", "transmitted"])
def test_without_a_quantizer_there_is_nothing_to_bypass(loudness):
    module = toy_module(*WITHOUT, f"loudness={loudness}")
    held = crops()
    found = QuantizerBypass()(of(module, 0, held, held)).figures
    module.codec.eval()
    expected = Moments.of(held, module.codec(held).audio.detach()).figures()
    for name in ("snr", "rho"):
        assert found[f"bypass/{name}"] == found[f"bypass/coded_{name}"] == expected[name]
    assert found["bypass/rms_ratio"] == expected["rms_ratio"]


@pytest.mark.parametrize("loudness", ["as_it_is", "transmitted"])
def test_a_latent_is_decoded_as_the_codec_does_it(loudness):
    codec, held = begun(f"loudness={loudness}").codec.eval(), crops()
    coded = codec(held)
    audio = codec.decode_latent(coded.quantized.latent, codec.loudness(held), held.shape[-1])
    assert torch.equal(audio, coded.audio)


class Straight(nn.Module):
    """A codec that gives its latent as audio: the encoder halves, the quantizer turns upside down."""

    def __init__(self, hop_length=HOP):
        super().__init__()
        self.hop_length, self.loudness, self.quantizer = hop_length, AsItIs(), nn.Module()
        self.quantizer.begun = True

    def forward(self, audio):
        encoded = audio.view(len(audio), -1, self.hop_length).transpose(1, 2) / 2
        latent = -encoded
        return Coded(self.decode_latent(latent, None, audio.shape[-1]), encoded, Quantized(latent, latent.long()))

    def decode_latent(self, latent, level, samples):
        return latent.transpose(1, 2).reshape(len(latent), 1, -1)[..., :samples]


def test_a_quantizer_that_spoils_everything_by_hand():
    """Half the target: NSR 1/4. Minus half of it: NSR 9/4."""
    held, _ = pair(0.5, 0.5, samples=1024)
    found = QuantizerBypass()(subject(Straight(), held)).figures
    assert found["bypass/snr"] == pytest.approx(10 * math.log10(4), abs=1e-4)
    assert found["bypass/rho"] == pytest.approx(1.0)
    assert found["bypass/rms_ratio"] == pytest.approx(0.5)
    assert found["bypass/coded_snr"] == pytest.approx(-10 * math.log10(9 / 4), abs=1e-4)
    assert found["bypass/coded_rho"] == pytest.approx(-1.0)


def oracle(context=1, ridge=0.1):
    return OracleDecoder(context=context, ridge=ridge)


def scored(latent, wanted, held, **given):
    decoded = oracle(**given).decoded(latent, wanted, held, wanted.shape[-1] // latent.shape[-1])
    return Moments.of(wanted[:held].double(), decoded).figures()["rho"]


@pytest.mark.parametrize(("width", "frames"), [(8, 64), (200, 40)])
@pytest.mark.parametrize("ridge", [1e-3, 0.3])
def test_a_latent_of_noise_is_worth_nothing_however_many_channels_it_has(width, frames, ridge):
    wanted = torch.randn(12, 1, frames * HOP)
    assert abs(scored(torch.randn(12, width, frames), wanted, 6, ridge=ridge)) < 0.08


def test_a_latent_that_contains_the_waveform_is_worth_everything():
    """Mixed, scaled and offset channels, and as many of noise beside them."""
    wanted = torch.randn(12, 1, 100 * HOP)
    frames = wanted.view(12, 100, HOP).transpose(1, 2)
    mixed = torch.einsum("ij,bjf->bif", torch.linalg.qr(torch.randn(HOP, HOP))[0], frames)
    latent = torch.cat([1e-3 * mixed + 5, torch.randn(12, HOP, 100)], 1)
    assert scored(latent, wanted, 6, ridge=0.01) > 0.99
    assert scored(latent, wanted, 6, ridge=0.3) > 0.97


def test_neighbouring_frames_are_read_within_the_context():
    wanted = torch.randn(12, 1, 100 * HOP)
    late = wanted.view(12, 100, HOP).transpose(1, 2).roll(1, 2)
    assert abs(scored(late, wanted, 6, context=0)) < 0.06
    assert scored(late, wanted, 6, context=1) > 0.95


def test_a_share_of_the_waveform_gives_its_correlation():
    """Half of the samples of a frame are in the latent: the best linear decoder has rho = sqrt(1/2)."""
    wanted = torch.randn(12, 1, 200 * HOP)
    half = wanted.view(12, 200, HOP).transpose(1, 2)[:, : HOP // 2]
    assert scored(half, wanted, 6, context=0, ridge=0.01) == pytest.approx(math.sqrt(0.5), abs=0.02)


@pytest.mark.parametrize(("count", "width"), [(50, 7), (7, 50)])
def test_both_forms_of_ridge_regression_are_the_normal_equations(count, width):
    seen, frames = torch.randn(count, width).double(), torch.randn(count, 3).double()
    weights = oracle(ridge=0.2)._weights(seen, frames)
    ridge = 0.2 * (seen.T @ seen).diagonal().mean()
    torch.testing.assert_close((seen.T @ seen) @ weights + ridge * weights, seen.T @ frames)


def test_an_oracle_reads_a_whole_codec():
    held, trained = pair(0.5, 0.5, samples=1024)[0], pair(0.5, 0.5, items=6, samples=1024)[1]
    found = oracle(context=0, ridge=0.01)(subject(Straight(), held, trained=trained)).figures
    assert found["oracle/encoded_rho"] > 0.99
    assert found["oracle/latent_rho"] > 0.99, "upside down is no loss to a linear decoder"


def test_a_transmitted_level_is_given_back():
    """The latent is the waveform at one loudness; items differ by 30 dB, and pooled they still come out."""

    class RMS(nn.Module):
        def forward(self, audio):
            return audio.square().mean((1, 2), keepdim=True).sqrt()

    class Levelled(Straight):
        def __init__(self):
            super().__init__()
            self.loudness = RMS()

        def forward(self, audio):
            return super().forward(audio / self.loudness(audio))

    held = torch.randn(6, 1, 1024) * torch.tensor([0.01, 0.3] * 3)[:, None, None]
    assert oracle(context=0, ridge=0.01)(subject(Levelled(), held)).figures["oracle/encoded_rho"] > 0.99


def test_one_crop_is_enough_and_codebooks_that_have_not_begun_have_no_latent():
    module = toy_module()
    assert set(oracle()(of(module, 0, crops(1), crops(1, 9))).figures) == {"oracle/encoded_rho"}
    assert set(oracle()(of(begun(), 0, crops(1), crops(1, 9))).figures) == {"oracle/encoded_rho", "oracle/latent_rho"}


def test_the_best_latent_of_a_decoder_that_can_everything_is_the_target():
    held, _ = pair(0.5, 0.5, samples=1024)
    found = OracleLatent(steps=300, rate=0.1)(subject(Straight(), held)).figures
    assert found["oracle/best_latent_snr"] > 30


@pytest.mark.parametrize("overrides", [(), ("context=lstm",), ("loudness=transmitted",)])
def test_a_better_latent_is_found_and_never_a_worse_one(overrides):
    module, held = begun(*overrides), crops()
    asked = of(module, 0, held, held)
    coded = QuantizerBypass()(asked).figures["bypass/coded_snr"]
    few = OracleLatent(steps=1, rate=1000.0)(asked).figures["oracle/best_latent_snr"]
    many = OracleLatent(steps=30, rate=0.1)(asked).figures["oracle/best_latent_snr"]
    assert few == pytest.approx(coded, abs=1e-3), "a step too far does not count"
    assert many > coded + 0.1


def test_wrong_values_are_refused():
    for make, message in (
        (lambda: oracle(ridge=0.0), "ridge must be > 0"),
        (lambda: oracle(context=-1), "context must be >= 0"),
        (lambda: OracleLatent(steps=0, rate=0.1), "steps must be >= 1"),
        (lambda: OracleLatent(steps=1, rate=0.0), "rate must be > 0"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
