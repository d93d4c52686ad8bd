"""Every member of every config group composes, builds, and runs one forward and backward at toy size."""

from importlib import import_module

import pytest
import torch

from conftest import ROOT, config, toy_module, voices
from telucodec.build import build, check

GROUPS = sorted(path.name for path in (ROOT / "conf").iterdir() if path.is_dir())
MEMBERS = [(g, path.stem) for g in GROUPS for path in sorted((ROOT / "conf" / g).glob("*.yaml"))]
MANY = {"discriminator", "loss", "metric", "callback", "ablation"}
SMALL = {
    "encoder": ["encoder.strides=[2,4]", "encoder.channels=[4,8]", "encoder.dilations=[[1],[1]]", "encoder.dim=8"],
    "decoder": ["decoder.channels=[4,8]"],
    "discriminator/scale_s004": ["discriminator.scale.channels=[4,8]"],
    "discriminator/stft_encodec": ["discriminator.stft.channels=2", "discriminator.stft.n_ffts=[64]"],
    "loss/mel_dac": ["loss.mel.n_ffts=[32,64]", "loss.mel.n_mels=[5,8]"],
    "quantizer/rvq": ["quantizer.n_q=2", "quantizer.codebook.codebook_size=16"],
    "trainer/gpu": ["trainer.accelerator=auto"],
    "data/folder": ["data.root=/tmp"],
    "data/manifest": ["data.manifest=/tmp"],
}
NEEDS = {"metric/perceptual": ("pesq", "pystoi", "visqol")}
ROOM = {
    "activation", "norm", "encoder", "decoder", "output", "quantizer", "codec", "initial", "gradient", "ablation",
    "discriminator", "objective", "loss", "combine", "optimizer", "schedule", "training",
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
    if group not in ROOM:
        return
    module = toy_module(*chosen)
    target = torch.from_numpy(voices(0, 0.064))[None].repeat(2, 1, 1)
    step = module.reconstruct(target, 0)
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


ABLATIONS = sorted((ROOT / "conf" / "ablation").glob("*.yaml"))


@pytest.mark.parametrize("path", ABLATIONS, ids=lambda p: p.stem)
def test_an_ablation_says_what_it_does_and_does_it(path):
    header = dict(line[2:].split(": ", 1) for line in path.read_text().splitlines()[1:5])
    assert list(header) == ["fix", "source", "owner", "expect"]
    import_module(header["owner"])
    assert config(f"ablation=[{path.stem}]") != config()
