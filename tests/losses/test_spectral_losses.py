import math

import auraloss
import pytest
import torch
from signals import ON, best_gain, noise, related, step_of

from telucodec.audio.stft import stft
from telucodec.losses.mel import GuardedLogMel, LinearLogMel
from telucodec.losses.spectral import (
    ConvergenceSTFT,
    LinearLogSTFT,
    MultiScaleMel,
    MultiScaleSTFT,
    STFTDistance,
)

RATE = {"sample_rate": 16000}


def distance(**options):
    plain = {"n_ffts": [512, 1024], "divisor": 1.0, "compute": "float32", "returned": "float32"}
    return STFTDistance(**ON, **(plain | options))


def dac(**options):
    return LinearLogSTFT(**ON, **({"n_ffts": [512, 128], "floor": 1e-5, "power": 2.0} | options))


def convergence(*n_ffts):
    return ConvergenceSTFT(**ON, n_ffts=n_ffts or [256, 512], floor=1e-4)


def encodec(*n_ffts, lowest=64.0):
    return LinearLogMel(**ON, **RATE, n_ffts=n_ffts or [64, 256], n_mels=64, lowest=lowest, floor=1e-5)


def nemo(guard=1e-5):
    return GuardedLogMel(**ON, **RATE, n_ffts=[64, 512], n_mels=64, guard=guard, power_guard=1e-5)


ALL = [distance(), distance(compute="bfloat16"), dac(), convergence(), encodec(), nemo()]


@pytest.mark.parametrize("term", ALL, ids=lambda t: type(t).__name__)
def test_zero_at_identity_finite_on_silence_and_for_a_crop_shorter_than_a_window(term):
    y = noise(2, 1, 1000)
    assert term(step_of(y, y)).item() == 0
    assert term(step_of(y, 0.5 * y)).item() > 0
    for samples in (1000, 20):
        audio = torch.zeros(1, 1, samples, requires_grad=True)
        term(step_of(torch.zeros(1, 1, samples), audio)).backward()
        assert torch.isfinite(audio.grad).all()


def test_the_linear_distance_of_a_gain_is_proportional_and_divided():
    y = noise(1, 1, 8000)
    half = distance()(step_of(y, 0.5 * y)).item()
    magnitudes = [
        torch.stft(y[0], n, n // 4, window=torch.hann_window(n), return_complex=True).abs() for n in (512, 1024)
    ]
    assert half == pytest.approx(0.5 * sum(m.mean().item() for m in magnitudes), rel=1e-5)
    assert distance(divisor=3.0)(step_of(y, 0.5 * y)).item() == pytest.approx(half / 3)


def test_half_precision_spectra_overflow_where_single_ones_do_not():
    """The middle of a full-scale square wave of period 32 has |X| = 512 * 0.64: its square exceeds 65504."""
    square = torch.ones(1, 1, 8192)
    square[..., (torch.arange(8192) // 16) % 2 == 1] = -1
    step = step_of(square, 0.9 * square)
    exact = distance(n_ffts=[1024])(step)
    assert torch.isfinite(exact)
    assert torch.isnan(distance(n_ffts=[1024], compute="float16")(step))
    assert distance(n_ffts=[1024], compute="bfloat16")(step).item() == pytest.approx(exact.item(), rel=0.02)
    quiet = step_of(0.01 * square, 0.009 * square)
    single, half = (distance(n_ffts=[1024], compute=c)(quiet) for c in ("float32", "float16"))
    assert half.item() == pytest.approx(single.item(), rel=0.01)
    assert half.item() != single.item()


def test_the_returned_value_alone_may_be_rounded():
    y, x = related(0.5)
    exact = distance()(step_of(y, x))
    for name, dtype in (("float16", torch.float16), ("bfloat16", torch.bfloat16)):
        value = distance(returned=name)(step_of(y, x))
        assert value.dtype == dtype
        assert value.item() == exact.to(dtype).item()


def test_dac_terms_of_a_gain_by_hand():
    """Log power moves by 2 log10(2) a resolution, the magnitude by half of its mean."""
    y = noise(1, 1, 8000)
    linear = sum(0.5 * stft(y, n, n // 4).abs().mean().item() for n in (512, 128))
    expected = 2 * 2 * math.log10(2) + linear
    assert dac()(step_of(y, 0.5 * y)).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("rho", [0.0, 0.7])
def test_convergence_and_log_magnitude_agree_with_auraloss(rho):
    y, x = related(rho, 9000)
    y, x = y.view(3, 1, 3000), x.view(3, 1, 3000) * 0.3
    theirs = auraloss.freq.MultiResolutionSTFTLoss([256, 512], [64, 128], [256, 512])
    assert convergence(256, 512)(step_of(y, x)).item() == pytest.approx(theirs(x, y).item(), rel=1e-5)


def encodec_by_torchaudio(y, x, n, lowest, tail=0):
    """One scale of audiocraft's loss, written anew with torchaudio's transform."""
    from torchaudio.transforms import MelSpectrogram

    mel = MelSpectrogram(16000, n, n, n // 4, lowest, n_mels=64, center=False, normalized=True)
    side = (n - n // 4) // 2
    padded = (torch.nn.functional.pad(s, (side, side), "reflect") for s in (y, x))
    a, b = (mel(torch.nn.functional.pad(s, (0, tail))) for s in padded)
    logs = torch.log10(1e-5 + a) - torch.log10(1e-5 + b)
    return (a - b).abs().mean() + logs.square().mean(), a.shape[-1]


@pytest.mark.filterwarnings("ignore:At least one mel filterbank")
def test_encodec_mel_agrees_with_torchaudio():
    y, x = (0.1 * s.view(2, 1, 1600) for s in related(0.5, 3200))
    parts = [encodec_by_torchaudio(y, x, n, 64.0)[0].item() for n in (64, 256)]
    assert encodec(64, 256)(step_of(y, x)).item() == pytest.approx(sum(parts) / 4, rel=1e-5)
    part, frames = encodec_by_torchaudio(y[..., :1590], x[..., :1590], 256, 64.0, tail=10)
    assert frames == 25, "the last frame is completed with zeros"
    assert encodec(256)(step_of(y[..., :1590], x[..., :1590])).item() == pytest.approx(part.item() / 2, rel=1e-5)


@pytest.mark.parametrize("guard", [1e-5, 1.0])
@pytest.mark.filterwarnings("ignore:Empty filters detected")
def test_nemo_mel_agrees_with_librosa(guard):
    import librosa

    y, x = (0.1 * s for s in related(0.5, 4000))
    expected = 0.0
    for n in (64, 512):
        bank = librosa.filters.mel(sr=16000, n_fft=n, n_mels=64, norm=None)
        spectra = [librosa.stft(s[0, 0].numpy(), n_fft=n, hop_length=n // 4, pad_mode="reflect") for s in (y, x)]
        a, b = (torch.from_numpy(bank @ (abs(s) ** 2 + 1e-5) ** 0.5 + guard).log() for s in spectra)
        expected += ((a - b).abs().mean() + (a - b).square().mean()).item() / 2
    assert nemo(guard)(step_of(y, x)).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("rho", [0.1, 0.5, 0.9])
def test_the_best_gain_of_spectral_terms_is_near_one_at_every_correlation(rho):
    """Waveform terms choose the gain rho; log spectra 1 whatever rho, linear ones somewhat less."""
    mel = MultiScaleMel(**ON, **RATE, n_ffts=[512], n_mels=[40], floor=1e-5)
    assert best_gain(mel, rho) == pytest.approx(1, abs=0.04)
    assert 0.7 < best_gain(distance(n_ffts=[512]), rho) < 1.02
    assert best_gain(convergence(512), rho) > 0.75


@pytest.mark.parametrize("samples", [1000, 1024, 1025])
def test_frames_that_are_not_centred_come_once_a_hop(samples):
    assert stft(noise(2, 1, samples), 256, 64, centred=False).shape == (2, 1, 129, -(-samples // 64))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: distance(divisor=0.0), "divisor must be > 0"),
        (lambda: distance(n_ffts=[8]), "n_ffts must be >= 16"),
        (lambda: distance(n_ffts=[]), "n_ffts must not be empty"),
        (lambda: dac(floor=0.0), "floor must be > 0"),
        (lambda: encodec(lowest=8000.0), "lowest must be in"),
        (lambda: nemo(guard=0.0), "guard must be > 0"),
    ],
)
def test_wrong_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_base_has_no_distance():
    with pytest.raises(NotImplementedError):
        MultiScaleSTFT(**ON, n_ffts=[64]).distances(step_of(noise(1, 1, 100), noise(1, 1, 100)))
