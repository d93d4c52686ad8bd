import math

import librosa
import numpy as np
import pytest
import torch

from telucodec.audio.stft import log_mel, mel_filters, stft
from telucodec.errors import InputError
from telucodec.metrics.codebook import CodebookUse
from telucodec.metrics.evaluation import Evaluator, Row, mean_figures
from telucodec.metrics.perceptual import Perceptual
from telucodec.metrics.spectral import MelDistance
from telucodec.records import Coded, Quantized, Utterance


def coded(audio, codes=None):
    codes = torch.zeros(1, 1, 4, dtype=torch.long) if codes is None else codes
    return Coded(audio, audio, Quantized(audio, codes))


def utterance(audio, name="a"):
    return Utterance(audio, name, "s", "te")


def test_silent_utterances_are_counted_apart():
    evaluation = Evaluator(metrics={}, silence_dbfs=-60.0).begin(16000, 1, 4)
    y = torch.randn(1, 1, 800)
    evaluation.add(utterance(y), coded(0.5 * y))
    row = evaluation.add(utterance(torch.full((1, 1, 800), 0.3)), coded(torch.randn(1, 1, 800)))
    assert row.silent, "a constant carries no sound however far from zero it lies"
    summary = evaluation.summary()
    assert summary["snr"] == pytest.approx(20 * math.log10(2), abs=1e-3)
    assert (summary["utterances"], summary["silent_utterances"]) == (1, 1)


def test_means_are_over_utterances_and_pooled_over_samples():
    evaluation = Evaluator(metrics={}, silence_dbfs=-60.0).begin(16000, 1, 4)
    loud, quiet = torch.randn(1, 1, 800), 0.01 * torch.randn(1, 1, 800)
    evaluation.add(utterance(loud), coded(0.9 * loud))
    evaluation.add(utterance(quiet), coded(0.0 * quiet))
    summary = evaluation.summary()
    assert summary["snr"] == pytest.approx(10.0, abs=1e-2)  # of 20 and 0 dB
    assert summary["snr_pooled"] == pytest.approx(20.0, abs=0.1)


def test_codebook_use_by_hand():
    use = CodebookUse(2, 4)
    use.add(torch.tensor([[[0, 1, 2, 3], [0, 0, 0, 1]]]))
    f = use.figures()
    assert (f["codebook/0/usage"], f["codebook/0/perplexity"]) == (1.0, pytest.approx(4.0))
    assert (f["codebook/1/usage"], f["codebook/usage_min"]) == (0.5, 0.5)
    assert f["codebook/1/perplexity"] == pytest.approx(2 ** (0.75 * math.log2(4 / 3) + 0.25 * 2))
    assert f["codebook/bits_share"] == pytest.approx((2 + math.log2(f["codebook/1/perplexity"])) / 4)
    use.add(torch.tensor([[[0, 1, 2, 3], [3, 2, 1, 0]]]))
    assert use.figures()["codebook/bits_share"] < 1, "8 frames have no more than the 2 bits of 4 codewords"
    assert use.figures()["codebook/bits_share"] > 0.9
    assert CodebookUse(2, 4).figures() == {}


def test_bits_are_not_asked_of_frames_that_were_not_there():
    use = CodebookUse(1, 1024)
    use.add(torch.tensor([[[7]]]))
    assert "codebook/bits_share" not in use.figures(), "one frame can say nothing"
    use.add(torch.tensor([[[8]]]))
    assert use.figures()["codebook/bits_share"] == pytest.approx(1.0)


def test_each_file_may_have_its_own_best_gain():
    """Outputs of 1/2 and 1/4: xy = 0.75 and xx = 0.3125 of powers 1 and 1, so one gain of 2.4 leaves 0.2 of 2."""
    evaluation = Evaluator(metrics={}, silence_dbfs=-60.0).begin(16000, 1, 4)
    y = torch.randn(1, 1, 800)
    rows = [evaluation.add(utterance(y), coded(gain * y)) for gain in (0.5, 0.25)]
    assert [row.figures["best_gain"] for row in rows] == [pytest.approx(2), pytest.approx(4)]
    summary = evaluation.summary()
    assert summary["best_gain"] == pytest.approx(3)
    assert summary["best_gain_pooled"] == pytest.approx(2.4)
    assert summary["snr_best_gain_pooled"] == pytest.approx(10)
    assert summary["snr_best_gain_per_file_pooled"] > 100
    assert summary["loss_at_rms_1_pooled"] == summary["snr_best_gain_pooled"] - summary["snr_at_rms_1_pooled"]


def test_the_best_gains_of_files_leave_their_own_noise():
    """Noise as strong as the target beside it: at any level the best gain leaves half of the target's power."""
    evaluation = Evaluator(metrics={}, silence_dbfs=-60.0).begin(16000, 1, 4)
    t = 2 * math.pi * torch.arange(800, dtype=torch.double)[None, None] / 800
    for gain in (1.0, 0.1):
        evaluation.add(utterance(torch.sin(9 * t)), coded(gain * (torch.sin(9 * t) + torch.cos(9 * t))))
    assert evaluation.summary()["snr_best_gain_per_file_pooled"] == pytest.approx(10 * math.log10(2))


def test_an_output_that_is_not_finite_does_not_vanish():
    evaluation = Evaluator(metrics={}, silence_dbfs=-60.0).begin(16000, 1, 4)
    for i in range(3):
        y = (i + 1) * torch.randn(1, 1, 800)
        evaluation.add(utterance(y, str(i)), coded(y * math.nan if i == 2 else 0.5 * y))
    summary = evaluation.summary()
    assert (summary["snr"], summary["snr_missing"]) == (pytest.approx(6.02, abs=0.01), 1)
    assert (summary["snr_best_gain_missing"], summary["utterances"]) == (1, 3)
    lost = ("snr_pooled", "best_gain_pooled", "snr_best_gain_per_file_pooled", "loud/snr", "band/500-1000/rho")
    assert all(math.isnan(summary[name]) for name in lost)
    assert math.isfinite(summary["quiet/snr"])


def test_nothing_to_hear_gives_only_counts():
    evaluation = Evaluator(metrics={}, silence_dbfs=-60.0).begin(16000, 1, 4)
    silence = torch.zeros(1, 1, 800)
    evaluation.add(utterance(silence), coded(silence))
    assert evaluation.summary() == {"utterances": 0, "silent_utterances": 1}


def test_mel_filters_agree_with_librosa():
    ours = mel_filters(16000, 512, 40, torch.device("cpu")).numpy()
    np.testing.assert_allclose(ours, librosa.filters.mel(sr=16000, n_fft=512, n_mels=40), atol=1e-6)


def test_stft_agrees_with_librosa():
    x = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    want = librosa.stft(x, n_fft=256, hop_length=64, window="hann", pad_mode="reflect")
    np.testing.assert_allclose(stft(torch.from_numpy(x)[None, None], 256, 64)[0, 0].numpy(), want, atol=1e-4)


def test_stft_of_a_tone_and_its_scale():
    t = torch.arange(16000) / 16000
    spectrum = stft(torch.cos(2 * math.pi * 1000 * t)[None, None], 512, 128).abs()[0, 0]
    assert spectrum[:, 60].argmax() == 32  # 1000 Hz / (16000 / 512)
    assert spectrum[32, 60].item() == pytest.approx(512 / 4, rel=1e-3)  # half the window's sum
    torch.manual_seed(0)
    noise = stft(torch.randn(1, 1, 160000), 512, 128, scaled=True)[..., 1:-1, :]
    assert noise.abs().square().mean().item() == pytest.approx(1.0, rel=0.02)


def test_spectra_stay_in_float32_and_take_short_audio():
    with torch.autocast("cpu", torch.bfloat16):
        assert log_mel(torch.randn(1, 1, 300).bfloat16(), 16000, 1024, 256, 20, 1e-5).dtype == torch.float32


def test_mel_distance_of_a_gain():
    noise = torch.randn(1, 1, 16000)
    distance = MelDistance(n_fft=512, n_mels=20, floor=1e-5)(noise, 0.5 * noise, 16000)["mel_distance"]
    assert distance == pytest.approx(math.log(2), rel=1e-4)


def test_missing_figures_are_counted():
    rows = [Row("a", None, None, 1.0, False, {"pesq": 2.0}), Row("b", None, None, 1.0, False, {"pesq": math.nan})]
    assert mean_figures(rows) == {"pesq": 2.0, "pesq_missing": 1.0}


def test_perceptual_scores_of_identity_and_of_silence():
    for package in ("pesq", "pystoi", "visqol"):
        pytest.importorskip(package)
    from conftest import voices

    metric = Perceptual()
    y = torch.from_numpy(voices(0, 2.0))[None]
    scores = metric(y, y, 16000)
    assert scores["pesq_wb"] == pytest.approx(4.64, abs=0.02)
    assert scores["stoi"] == pytest.approx(1.0, abs=1e-3)
    assert scores["visqol"] > 4.5
    assert math.isnan(metric(torch.zeros_like(y), y, 16000)["pesq_wb"])
    with pytest.raises(InputError, match="16000 Hz"):
        metric(y, y, 8000)
