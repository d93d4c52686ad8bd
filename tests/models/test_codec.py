import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import config
from telucodec.build import build
from telucodec.errors import InputError
from telucodec.models.codec import Codec
from telucodec.models.output import Output, OutputScale, Tanh


def codec(*overrides) -> Codec:
    torch.manual_seed(0)
    built = build(config(*overrides)["training"]["codec"], "codec")
    built.train()(torch.randn(2, 1, 4000))  # the quantizer initialises
    return built.eval()


TOY = codec()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 300))
def test_decoding_has_the_length_that_was_encoded(samples):
    x = torch.randn(1, 1, samples)
    coded = TOY.encode(x)
    assert TOY.decode(coded).shape == x.shape
    assert TOY(x).audio.shape == x.shape
    assert coded.codes.shape[-1] == max(1, -(-samples // 8))


def test_decode_of_encode_is_the_forward_pass():
    x = torch.randn(2, 1, 1001)
    torch.testing.assert_close(TOY.decode(TOY.encode(x)), TOY(x).audio)


def test_rates_by_hand():
    assert TOY.hop_length == 8
    assert TOY.frame_rate == 2000.0
    assert TOY.quantizer.bits_per_frame == 12.0  # 3 codebooks of 16
    assert TOY.bitrate == 24.0
    assert codec("quantizer=none").bitrate == float("inf")


def test_the_default_codec_runs_at_five_kilobits():
    from telucodec.cli.compose import compose_config

    full = build(compose_config([], None)["training"]["codec"], "codec")
    assert full.bitrate == 5.0
    assert full.frame_rate == 62.5


def test_multiply_adds_by_hand():
    """One second at stride 4 then 2: each convolution costs outputs x taps x channels in x channels out."""
    encoder = 4000 * (8 * 1 * 4 + 3 * 4 * 4 + 4 * 4) + 2000 * (4 * 4 * 8 + 3 * 8 * 8 + 8 * 8 + 3 * 8 * 8)
    decoder = 2000 * (3 * 8 * 8 + 3 * 8 * 8 + 8 * 8) + 2000 * 4 * 8 * 4 + 4000 * (3 * 4 * 4 + 4 * 4) + 4000 * 8 * 4
    quantizer = 2000 * 3 * 16 * 8
    assert TOY.macs_per_second() == encoder + decoder + quantizer


def test_parameters_by_hand():
    weights = sum(p.numel() for p in TOY.parameters())
    assert TOY.parameter_count == weights + 3 * 16 * 8


def test_receptive_field_is_what_gradients_reach():
    smooth = codec("quantizer=none").double()
    reach = 0
    for sample in range(400, 408):
        x = torch.randn(1, 1, 800, dtype=torch.double, requires_grad=True)
        latent = smooth.encoder(x)
        (gradient,) = torch.autograd.grad(smooth.decoder(latent)[0, 0, sample], x)
        found = gradient[0, 0].nonzero()
        reach = max(reach, int(found.max() - found.min()) + 1)
    assert reach <= smooth.receptive_field < reach + 2 * smooth.hop_length


def test_output_stage_by_hand():
    x = torch.tensor([[[0.5, -2.0]]])
    scale, bound = OutputScale(initial=3.0), Tanh()
    torch.testing.assert_close(Output(stages={"scale": scale, "bound": bound})(x), (3 * x).tanh())
    torch.testing.assert_close(Output(stages={"bound": bound, "scale": scale})(x), 3 * x.tanh())
    assert Output(stages={"bound": bound, "scale": scale}).output_scale == 3.0
    assert torch.equal(Output(stages={})(x), x)
    assert Output(stages={}).output_scale == 1.0


def test_widths_must_agree():
    with pytest.raises(InputError, match="quantizer takes a latent of width 4, but the encoder gives one of 8"):
        codec("quantizer.dim=4")
    with pytest.raises(InputError, match="one entry a stage"):
        codec("encoder.channels=[4]")
