import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from signals import ON, step_of, tone

from telucodec.losses.level import GlobalRMS, Offset, PerSampleRMS

EPS = 1e-8


def term(kind):
    return kind(**ON, eps=EPS)


def with_loudness(rms):
    """One item for each RMS: a square wave, [B, 1, 8]."""
    return torch.tensor(rms)[:, None, None] * torch.tensor([1.0, -1.0] * 4)


def test_rms_terms_by_hand():
    """Items of RMS 0.1 and 0.7 against 0.3 and 0.5: globally 0.5 and sqrt(0.17)."""
    step = step_of(with_loudness([0.3, 0.5]), with_loudness([0.1, 0.7]))
    assert term(GlobalRMS)(step).item() == pytest.approx((0.5 - 0.17**0.5) ** 2, rel=1e-4)
    assert term(PerSampleRMS)(step).item() == pytest.approx(0.2**2, rel=1e-4)


def test_the_per_sample_term_is_the_mse_of_rms():
    target, audio = torch.randn(2, 16, 1, 50).unbind()
    rms = [(x.square().mean(dim=[1, 2], keepdim=True) + EPS).sqrt() for x in (audio, target)]
    assert term(PerSampleRMS)(step_of(target, audio)) == pytest.approx(torch.nn.functional.mse_loss(*rms).item())


def slope(kind, target, audio, gain):
    scale = torch.tensor(gain, dtype=torch.float32, requires_grad=True)
    term(kind)(step_of(target, scale * audio)).backward()
    return scale.grad.item()


loudness = st.lists(st.floats(0.01, 1.0), min_size=16, max_size=16)


@settings(max_examples=60, deadline=None)
@given(target=loudness, audio=loudness, quiet=st.floats(0.05, 0.95))
def test_the_per_sample_slope_is_never_the_steeper_one_while_the_output_is_too_quiet(target, audio, quiet):
    y, x = with_loudness(target), with_loudness(audio)
    gain = quiet * (y.square().mean() / x.square().mean()).sqrt().item()
    whole, items = slope(GlobalRMS, y, x, gain), slope(PerSampleRMS, y, x, gain)
    assert whole < 0, "both pull the output up"
    assert items / whole <= 1 + 1e-3


@pytest.mark.parametrize("batch", [1, 4, 16])
def test_the_slopes_agree_when_loudness_is_proportional_whatever_the_batch(batch):
    y = with_loudness(torch.linspace(0.1, 0.9, batch).tolist())
    ratio = slope(PerSampleRMS, y, 0.5 * y, 0.8) / slope(GlobalRMS, y, 0.5 * y, 0.8)
    assert ratio == pytest.approx(1.000, abs=1e-3)


def test_offset_by_hand():
    """Items shifted by 0.1 and -0.3: mean of 0.01 and 0.09. A tone of whole periods has no offset."""
    target = torch.cat([tone(), tone(0.2)])
    step = step_of(target, 0.5 * target + torch.tensor([0.1, -0.3])[:, None, None])
    assert Offset(**ON)(step).item() == pytest.approx(0.05, rel=1e-4)
    assert Offset(**ON)(step_of(target, 0.5 * target)).item() == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("kind", [GlobalRMS, PerSampleRMS])
def test_silence_has_a_finite_gradient_and_eps_is_checked(kind):
    audio = torch.zeros(2, 1, 64, requires_grad=True)
    term(kind)(step_of(torch.ones(2, 1, 64), audio)).backward()
    assert torch.isfinite(audio.grad).all()
    with pytest.raises(ValueError, match="eps must be > 0"):
        kind(**ON, eps=0.0)
