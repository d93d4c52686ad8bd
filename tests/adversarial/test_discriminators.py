"""Layers, shapes and sizes of the discriminators, held against the published ones; counts are restated by hand."""

import pytest
import torch

from conftest import ROOT, config
from telucodec.adversarial.bands import BandDiscriminator, MultiBandSTFT, band_bins
from telucodec.adversarial.magnitude import MagnitudeDiscriminator, MultiResolutionMagnitude
from telucodec.adversarial.period import MultiPeriod, PeriodDiscriminator
from telucodec.adversarial.residual import ResidualSTFT, ResidualUnit2d
from telucodec.adversarial.stft import STFTDiscriminator
from telucodec.build import build
from telucodec.nn.norm import no_norm

PLAIN = {"slope": 0.1, "norm": no_norm}
BANDS = [[0.0, 0.1], [0.1, 0.25], [0.25, 0.5], [0.5, 0.75], [0.75, 1.0]]
X = torch.randn(2, 1, 4096)
MEMBERS = sorted(path.stem for path in (ROOT / "conf/discriminator").glob("*.yaml"))


def conv(before, after, *kernel, groups=1):
    """Weights and biases of one convolution."""
    taps = 1
    for size in kernel:
        taps *= size
    return before // groups * taps * after + after


PERIOD = [(1, 32, 5), (32, 128, 5), (128, 512, 5), (512, 1024, 5), (1024, 1024, 5), (1024, 1, 3)]
NARROW = [(1, 16, 5), (16, 64, 5), (64, 256, 5), (256, 512, 5), (512, 512, 5), (512, 1, 2)]
BAND = conv(2, 32, 3, 9) + 3 * conv(32, 32, 3, 9) + conv(32, 32, 3, 3)
HEAD = conv(32, 1, 3, 3)
SCALE = (
    conv(1, 16, 15)
    + conv(16, 64, 41, groups=4)
    + conv(64, 256, 41, groups=16)
    + conv(256, 1024, 41, groups=64)
    + conv(1024, 1024, 41, groups=256)
    + conv(1024, 1024, 5)
    + conv(1024, 1, 3)
)
MAGNITUDE = (
    conv(1, 32, 5, 5) + conv(32, 64, 5, 5) + conv(64, 128, 5, 5) + conv(128, 256, 5, 5)
    + conv(256, 512, 3, 3) + conv(512, 1, 3, 3)
)  # fmt: skip
UNITS = [(32, 64, 3), (64, 128, 4), (128, 128, 3), (128, 256, 4), (256, 256, 3), (256, 512, 4)]
SOUNDSTREAM = (
    conv(2, 32, 7, 7)
    + sum(conv(a, a, 3, 3) + conv(a, b, time, 4) + conv(a, b, 1, 1) for a, b, time in UNITS)
    + conv(512, 1, 1, 8)
)
# what the published layers come to, weight normalisation aside
SIZES = {
    "period_dac": (5 * sum(conv(*layer) for layer in PERIOD), 41_092_165),  # HiFi-GAN's 41.1 million
    "period_bigcodec": (5 * sum(conv(*layer) for layer in NARROW), 10_277_925),
    "bands_dac": (3 * (5 * BAND + HEAD), 1_411_587),
    "stft_encodec": (5 * (BAND + HEAD), 471_685),
    "stft_nemo": (5 * (BAND + HEAD), 471_685),
    "stft_bigcodec": (5 * MAGNITUDE, 11_306_245),
    "stft_soundstream": (SOUNDSTREAM, 5_547_585),
    "scale_s004": (3 * SCALE, 16_913_859),  # MelGAN's 16.9 million
    "scale_dac": (3 * SCALE, 16_913_859),
}


def member(name, *overrides):
    """The discriminator of one configuration file, without memory for its weights."""
    node = config(f"discriminator=[{name}]", "loss=[l1,commitment]", *overrides)["discriminator"]
    with torch.device("meta"):
        (found,) = build(node, "discriminator").values()
    return found


@pytest.mark.parametrize("name", SIZES)
def test_full_size_is_the_published_size(name):
    by_layers, number = SIZES[name]
    plain = member(name, "norm@discriminator_norm=none")
    assert sum(p.numel() for p in plain.parameters()) == by_layers == number
    normed = member(name)
    lengths = sum(m.out_channels for m in plain.modules() if isinstance(m, torch.nn.Conv1d | torch.nn.Conv2d))
    assert sum(p.numel() for p in normed.parameters()) == number + lengths, "one length for each output channel"


def test_every_full_size_member_is_counted():
    assert set(MEMBERS) - set(SIZES) == {"period", "scale", "stft"}, "the tiny ones"


def shapes(found):
    return [tuple(feature.shape[1:]) for feature in found]


def test_columns_of_each_period_by_hand():
    """4096 samples at period 3: 2 are missing, 1366 rows; each stride of 3 rounds up."""
    d = PeriodDiscriminator(period=3, channels=[2, 3, 4, 5, 6], head_kernel=3, **PLAIN)
    logits, features = d(X)
    assert shapes(features) == [(2, 456, 3), (3, 152, 3), (4, 51, 3), (5, 17, 3), (6, 17, 3)]
    assert tuple(logits.shape) == (2, 1, 17, 3)
    v = MultiPeriod(periods=[2, 5], channels=[2, 3], head_kernel=2, **PLAIN)(X)
    assert shapes(v.logits) == [(1, 684, 2), (1, 275, 5)], "a head of two taps adds a row"


def test_a_whole_period_is_reflected_where_none_is_missing():
    d = PeriodDiscriminator(period=2, channels=[1], head_kernel=1, **PLAIN)
    with torch.no_grad():
        d.layers[0].weight.zero_()[0, 0, 2, 0] = 1.0
        d.layers[0].bias.zero_()
    _, (rows,) = d(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]))
    assert rows.tolist() == [[[[1.0, 2.0], [3.0, 4.0], [3.0, 2.0]]]]


def test_a_period_does_not_mix_its_phases():
    d = PeriodDiscriminator(period=5, channels=[4, 4], head_kernel=3, **PLAIN)
    audio = X.clone().requires_grad_()
    d(audio)[0][..., 2].sum().backward()
    heard = audio.grad[..., :4000].unflatten(-1, (-1, 5)).abs().sum((0, 1, 2))  # the end is also heard reflected
    assert [bool(h) for h in heard] == [False, False, True, False, False]


def test_bands_of_dac_by_hand():
    bins = [band_bins(band, 1025) for band in BANDS]
    assert bins == [(0, 102), (102, 256), (256, 512), (512, 768), (768, 1025)]
    d = BandDiscriminator(n_fft=2048, bands=BANDS, channels=3, **PLAIN)
    logits, features = d(X)
    assert len(features) == 25
    assert shapes(features[:5]) == [(3, 8, 102), (3, 8, 51), (3, 8, 26), (3, 8, 13), (3, 8, 13)]
    assert tuple(logits.shape) == (2, 1, 8, 13 + 20 + 32 + 32 + 33), "4096 samples are 8 hops of 512"
    v = MultiBandSTFT(n_ffts=[64, 32], bands=[[0.0, 0.5], [0.5, 1.0]], channels=2, **PLAIN)(X[..., :1000])
    assert [x.shape[2] for x in v.logits] == [63, 125], "an incomplete hop counts"


def test_frames_lie_where_dacs_audiotools_lay_them():
    """Their recipe: reflect by (window - hop) / 2, transform centred, drop two frames at each end."""
    n_fft, heard = 64, []
    d = BandDiscriminator(n_fft=n_fft, bands=[[0.0, 1.0]], channels=2, **PLAIN)
    d.layers[0][0].register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0]))
    d(X)
    pad = (n_fft - n_fft // 4) // 2
    padded = torch.nn.functional.pad(X, (pad, pad), mode="reflect").squeeze(1)
    window = torch.hann_window(n_fft)
    want = torch.stft(padded, n_fft, n_fft // 4, window=window, center=True, return_complex=True)[..., 2:-2]
    torch.testing.assert_close(heard[0], torch.view_as_real(want).permute(0, 3, 2, 1))


@pytest.mark.parametrize("band", [[0.5, 0.5], [0.5, 0.2], [-0.1, 0.5], [0.5, 1.1], [0.5], [0.5, 0.501]])
def test_impossible_bands_are_refused(band):
    with pytest.raises(ValueError, match="band"):
        BandDiscriminator(n_fft=64, bands=[band], channels=2, **PLAIN)


def test_encodecs_layers_by_hand():
    d = STFTDiscriminator(n_fft=128, channels=32, **PLAIN)
    got = [(c.in_channels, c.out_channels, c.kernel_size, c.stride, c.dilation, c.padding) for c in [*d.layers, d.head]]
    assert got == [
        (2, 32, (3, 9), (1, 1), (1, 1), (1, 4)),
        (32, 32, (3, 9), (1, 2), (1, 1), (1, 4)),
        (32, 32, (3, 9), (1, 2), (2, 1), (2, 4)),
        (32, 32, (3, 9), (1, 2), (4, 1), (4, 4)),
        (32, 32, (3, 3), (1, 1), (1, 1), (1, 1)),
        (32, 1, (3, 3), (1, 1), (1, 1), (1, 1)),
    ]
    assert shapes(d(X)[1]) == [(32, 129, 65), (32, 129, 33), (32, 129, 17), (32, 129, 9), (32, 129, 9)]


def test_magnitudes_halve_in_time_and_frequency_and_do_not_hear_polarity():
    d = MagnitudeDiscriminator(n_fft=128, channels=[2, 3, 4, 5, 6], **PLAIN)
    logits, features = d(X)
    assert shapes(features) == [(2, 65, 33), (3, 33, 17), (4, 17, 9), (5, 9, 5), (6, 9, 5)]
    assert torch.allclose(logits, d(-X)[0], atol=1e-6)
    v = MultiResolutionMagnitude(n_ffts=[64, 32], channels=[2, 2], **PLAIN)(X)
    assert shapes(v.logits) == [(1, 129, 17), (1, 257, 9)]


def test_residual_units_of_soundstream_by_hand():
    """4096 samples are 17 centred frames; frequency is halved in each unit, time in every second one."""
    d = ResidualSTFT(n_fft=1024, channels=[2, 3, 4, 4, 5, 5, 6], **PLAIN)
    v = d(X)
    assert shapes(v.features[0]) == [
        (2, 17, 512), (3, 17, 256), (4, 9, 128), (4, 9, 64), (5, 5, 32), (5, 5, 16), (6, 3, 8)
    ]  # fmt: skip
    assert shapes(v.logits) == [(1, 3)], "one logit for all frequencies"
    unit = ResidualUnit2d(in_channels=2, out_channels=3, stride=2, **PLAIN)
    assert tuple(unit(torch.randn(1, 2, 1, 4)).shape) == (1, 3, 1, 2), "one frame is enough"
    x, picked = torch.randn(1, 2, 5, 8), torch.nn.functional.conv2d
    with torch.no_grad():
        unit.second.weight.zero_()
        unit.second.bias.zero_()
    short = unit.shortcut
    assert torch.allclose(unit(x), picked(x, short.weight, short.bias, stride=2), atol=1e-6), "a strided shortcut"
    with pytest.raises(ValueError, match="multiple of 8"):
        ResidualSTFT(n_fft=20, channels=[2, 2, 2], **PLAIN)


@pytest.mark.parametrize("name", MEMBERS)
def test_every_member_hears_audio_that_is_shorter_than_its_windows(name):
    widths = {"bands_dac": 2, "stft": 2, "stft_encodec": 2, "stft_nemo": 2, "scale": [4, 4]}
    chosen = f"discriminator.{name.partition('_')[0]}.channels={widths.get(name, [4, 4])}"
    node = config(f"discriminator=[{name}]", "loss=[l1,commitment]", chosen)["discriminator"]
    (found,) = build(node, "discriminator").values()
    audio = (0.1 * torch.randn(2, 1, 500)).requires_grad_()
    v = found(audio)
    assert len(v.logits) == len(v.features)
    assert all(len(logits) == 2 for logits in v.logits)
    sum(logits.mean() for logits in v.logits).backward()
    assert torch.isfinite(audio.grad).all()
    assert audio.grad.abs().sum() > 0
