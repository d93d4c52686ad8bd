"""A lower frame rate around the quantizer."""

import pytest
import torch

from conftest import config
from telucodec.build import build
from telucodec.errors import InputError
from telucodec.models.bottleneck import Narrowed, Widened
from telucodec.models.codec import check_hop

SMALL = (
    "encoder=mimi", "decoder=mimi", "quantizer=mimi", "padding=causal", "output=[]", "encoder.dim=8",
    "encoder.encoder.strides=[1,2,4]", "encoder.encoder.channels=[4,6,8]", "encoder.encoder.dilations=[[1],[1],[]]",
    "encoder.context.depth=1", "encoder.context.heads=2", "encoder.context.feedforward=8", "encoder.context.window=3",
    "quantizer.semantic.inner.dim=4", "quantizer.acoustic.inner.dim=4", "quantizer.acoustic.inner.n_q=2",
    "quantizer.semantic.inner.codebook.codebook_size=16", "quantizer.acoustic.inner.codebook.codebook_size=16",
)  # fmt: skip


def codec(*overrides):
    torch.manual_seed(0)
    built = build(config(*SMALL, *overrides)["training"]["codec"], "codec")
    built.train()(torch.randn(2, 1, 1600))
    return built.eval()


@torch.no_grad()
def test_lengths_and_rates():
    small = codec()
    assert isinstance(small.encoder, Narrowed)
    assert isinstance(small.decoder, Widened)
    assert small.hop_length == 2 * 4 * 2
    assert small.frame_rate == 1000.0
    assert small.bitrate == 3 * 4.0
    for samples in (0, 1, 15, 16, 17, 159, 320):
        x = torch.randn(2, 1, samples)
        coded = small.encode(x)
        assert coded.codes.shape == (2, 3, max(1, -(-samples // 16)))
        assert small.decode(coded).shape == x.shape


@torch.no_grad()
def test_nothing_waits_for_more_than_one_frame():
    small = codec()
    x = torch.randn(1, 1, 320)
    later = x.clone()
    later[..., 160:] = 0
    assert torch.equal(small.encode(x).codes[..., :10], small.encode(later).codes[..., :10])
    torch.testing.assert_close(small(x).audio[..., :160], small(later).audio[..., :160])


@torch.no_grad()
def test_receptive_field_counts_the_context():
    near, far = codec(), codec("encoder.context.window=6")
    behind, before = 2 * 8, 3 * 8  # three frames of 8 samples before each; one of 16 decides two behind the quantizer
    assert far.receptive_field - near.receptive_field == behind + before


@torch.no_grad()
def test_strides_of_one_narrow_nothing():
    assert codec("encoder.stride=1").hop_length == 8


def test_widths_must_agree():
    with pytest.raises(InputError, match="the network inside has dim 6, what is around it 8: set them alike"):
        codec("encoder.encoder.dim=6")


def test_hops_that_never_meet_a_whole_second_are_refused():
    with pytest.raises(
        ValueError,
        match=r"\[4, 3, 7\] is 84 samples.*sample_rate 16000.*190\.5 frames/s.*80 .*5, 8.* and 100 .*4, 5, 5.*$",
    ):
        check_hop(84, 16000, (4, 3, 7))
    with pytest.raises(ValueError, match=r"is 32000 samples.*: 12800 .*and 16000"):
        check_hop(32000, 16000, (200, 160))
    for hop, rate in ((320, 16000), (512, 16000), (1920, 24000), (441, 44100), (1, 8000)):
        check_hop(hop, rate, (hop,))
