"""Every member of every config group composes, builds, and runs one forward and backward at toy size."""

import pytest
import torch

import quickly
from conftest import ROOT, config, toy_module, voices
from telucodec.build import build, check
from telucodec.cli import compose

OF_SWEEPS = {"launcher", "sweeper"}  # of conf/sweep.yaml: tests/cli/test_sweep_command.py reads them
GROUPS = sorted({path.name for path in (ROOT / "conf").iterdir() if path.is_dir()} - OF_SWEEPS)
ARMS = {"ablation", "experiment"}  # tests/test_arms.py trains them
MEMBERS = [(g, path.stem) for g in GROUPS if g not in ARMS for path in sorted((ROOT / "conf" / g).glob("*.yaml"))]
MANY = {"discriminator", "loss", "metric", "probe", "callback", "output"}
MIMI = [
    "encoder.dim=8",
    "encoder.context.depth=1",
    "encoder.context.heads=2",
    "encoder.context.feedforward=16",
    "encoder.encoder.strides=[2,4]",
    "encoder.encoder.channels=[4,8]",
    "encoder.encoder.dilations=[[1],[1]]",
]
BOOKS = ["quantizer.n_q=2", "quantizer.codebook.codebook_size=16"]
SMALL = {
    "encoder": ["encoder.strides=[2,4]", "encoder.channels=[4,8]", "encoder.dilations=[[1],[1]]", "encoder.dim=8"],
    "encoder/mimi": ["decoder=mimi", *MIMI],
    "decoder": ["decoder.channels=[4,8]"],
    "decoder/mimi": ["encoder=mimi", *MIMI],
    "discriminator/scale_dac": ["discriminator.scale.channels=[4,8]"],
    "discriminator/stft_nemo": ["discriminator.stft.channels=2", "discriminator.stft.n_ffts=[64]"],
    "discriminator/stft_bigcodec": ["discriminator.stft.channels=[2,4]", "discriminator.stft.n_ffts=[64]"],
    "discriminator/stft_soundstream": ["discriminator.stft.channels=[2,4]", "discriminator.stft.n_fft=64"],
    "discriminator/period_dac": ["discriminator.period.channels=[2,4]"],
    "discriminator/period_bigcodec": ["discriminator.period.channels=[2,4]"],
    "discriminator/bands_dac": ["discriminator.bands.channels=2", "discriminator.bands.n_ffts=[64]"],
    "discriminator/scale_s004": ["discriminator.scale.channels=[4,8]"],
    "discriminator/stft_encodec": ["discriminator.stft.channels=2", "discriminator.stft.n_ffts=[64]"],
    "loss/mel_dac": ["loss.mel.n_ffts=[32,64]", "loss.mel.n_mels=[5,8]"],
    "loss/codebook": ["quantizer=rvq_gradient", *BOOKS],
    "schedule/linear": ["schedule.total_steps=2000"],
    "quantizer/rvq": BOOKS,
    "quantizer/rvq_gradient": BOOKS,
    "quantizer/rvq_both": BOOKS,
    "quantizer/encodec": BOOKS,
    "quantizer/soundstream": BOOKS,
    "quantizer/nemo": BOOKS,
    "quantizer/dac": BOOKS,
    "quantizer/bigcodec": BOOKS[1:],
    "quantizer/mimi": [
        "quantizer.semantic.inner.codebook.codebook_size=16",
        "quantizer.semantic.inner.dim=4",
        "quantizer.acoustic.inner.codebook.codebook_size=16",
        "quantizer.acoustic.inner.dim=4",
    ],
    "loss/distillation": ["quantizer=mimi"],
    "teacher/transformers": ["teacher.folder=/tmp"],
    "trainer/gpu": ["trainer.accelerator=auto"],
    "trainer/ddp": ["trainer.accelerator=cpu", "trainer.devices=2"],
    "data/folder": ["data.root=/tmp"],
    "data/manifest": ["data.manifest=/tmp"],
    "data/pack": ["data.manifest=/tmp"],
}
NEEDS = {"metric/perceptual": ("pesq", "pystoi", "visqol")}
ROOM = {
    "activation", "norm", "encoder", "decoder", "output", "quantizer", "codec", "initial", "gradient",
    "discriminator", "objective", "loss", "combine", "optimizer", "schedule", "training", "layers", "weights",
    "padding", "context", "post_norm", "loudness", "restart", "ranks", "ema_input", "quantizer_dropout", "front_end",
    "discriminator_initial", "average",
}  # fmt: skip


def overrides(group, member):
    choice = f"{group}=[{member}]" if group in MANY else f"{group}={member}"
    extra = ["loss=[l1,commitment]"] if group == "discriminator" else []
    return [choice, *extra, *SMALL.get(f"{group}/{member}", SMALL.get(group, []))]


@pytest.mark.parametrize(("group", "member"), MEMBERS, ids=lambda x: x)
def test_member(group, member):
    for package in NEEDS.get(f"{group}/{member}", ()):
        pytest.importorskip(package, reason="the extra is not installed")
    chosen = overrides(group, member)
    found = config(*chosen)
    for name in ("training", "loader", "evaluator", "trainer"):
        check(found[name], name)
        build(found[name], name)
    for name, node in found["callback"].items():
        build(node, f"callback.{name}")
    for name, node in found["probe"].items():
        build(node, f"probe.{name}")
    if group not in ROOM:
        return
    module = toy_module(*chosen)
    target = torch.from_numpy(voices(0, 0.064))[None].repeat(2, 1, 1)
    step = module.reconstruct(target, 1.0)
    module.combine(module.terms(step), step).backward()
    gradients = [p.grad for p in module.codec.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(g).all() for g in gradients)
    assert any(g.abs().sum() > 0 for g in gradients)
    if module.adversary.discriminators:
        module.adversary.loss(step.target, step.audio)[0].backward()
        assert all(p.grad is not None for p in module.adversary.parameters())


def test_every_group_is_in_the_defaults_list():
    text = (ROOT / "conf" / "train.yaml").read_text()
    assert [g for g in GROUPS if f"- {g}:" not in text] == []


def test_no_two_members_of_a_group_are_the_same():
    for group in GROUPS:
        texts = [p.read_text() for p in (ROOT / "conf" / group).glob("*.yaml")]
        assert len(set(texts)) == len(texts), group


@pytest.mark.parametrize(
    "choices", [["experiment=dac_16k", "ablation=[tanh]"], ["quantizer=mimi", "loss=[l1,distillation]"]]
)
def test_composing_quickly_is_composing_as_hydra_does(choices):
    found = []
    try:
        for on in (True, False):
            quickly.switch(on)
            compose._chosen.cache_clear()
            found.append(compose.compose_config(choices, None))
    finally:
        quickly.switch(on=True)
    assert found[0] == found[1]
