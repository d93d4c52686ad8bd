"""What every probe of the configuration must do, whatever it asks."""

import math
import random

import numpy as np
import pytest
import torch
import yaml
from subjects import of

from conftest import ROOT, toy_module, voices
from telucodec.build import build
from telucodec.diagnosis.probe import Findings

FILES = sorted((ROOT / "conf/probe").glob("*.yaml"))
PARTS = (
    "output=[post_net,scale]",
    "quantizer_dropout=items",
)  # buffers and random draws that a probe could leave moved


def crops(offset):
    return torch.stack([torch.from_numpy(voices(offset + k, 0.064)) for k in range(6)])


def state(module):
    """Everything that a probe could change."""
    tensors = [*module.parameters(), *module.buffers()]
    return {
        "tensors": [t.detach().clone() for t in tensors],
        "gradients": [t.grad is None for t in module.parameters()],
        "switches": [t.requires_grad for t in module.parameters()],
        "modes": [part.training for part in module.modules()],
        "hooks": [len(part._forward_hooks) for part in module.modules()],
        "torch": torch.get_rng_state(),
        "others": (random.getstate(), np.random.get_state()[1].tolist()),  # noqa: NPY002
        "grad": torch.is_grad_enabled(),
    }


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, list) and a and isinstance(a[0], torch.Tensor):
        return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    return a == b


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
@pytest.mark.parametrize("steps", [0, 1])
def test_a_probe_finds_numbers_and_leaves_no_trace(path, steps):
    text = path.read_text()
    assert text.startswith(f"# @package probe.{path.stem}\n")
    probe = build(yaml.safe_load(text), f"probe.{path.stem}")
    module = toy_module(*PARTS)
    module.codec.eval()
    for _ in range(steps):
        with torch.no_grad():
            quantized = module.codec.train()(crops(0)).quantized
        module.codec.quantizer.update([quantized])
    module.codec.decoder.requires_grad_(False)
    before = state(module)
    found = [probe(of(module, steps, crops(20), crops(0))) for _ in range(2)]
    after = state(module)
    assert [key for key in before if not same(before[key], after[key])] == []
    assert isinstance(found[0], Findings)
    assert all(math.isfinite(value) for value in found[0].figures.values()), found[0].figures
    assert found[0].figures == found[1].figures, "asked again, it answers the same"
    assert found[0].figures or steps == 0
