"""No step waits for the device: nothing in it asks for a tensor's numbers, or for a size that depends on them.

On a CPU nobody waits, so what a GPU's host would wait for is refused here.
"""

from contextlib import contextmanager, nullcontext

import pytest
import torch
from test_average import MIMI
from test_step import run
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from conftest import toy_module
from telucodec.losses.waveform import L1
from telucodec.quantization import asking

SIZES = ("quantizer.n_q=2", "quantizer.codebook.codebook_size=16", "restart.threshold=0.9")
ASKING = {  # operators that copy numbers to the host, or whose answer is as long as numbers say
    *("_local_scalar_dense", "item", "is_nonzero", "equal", "allclose", "nonzero", "argwhere", "masked_select"),
    *("bincount", "_unique", "_unique2", "unique_dim", "unique_consecutive", "unique_dim_consecutive"),
    "repeat_interleave",
}
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_")
READING = {getattr(torch.Tensor, name) for name in ("tolist", "numpy", "cpu", "__array__", "__bool__", "__float__")}
COPIED = {torch.tensor, torch.as_tensor, torch.from_numpy}  # from the host, for which the device is waited for


class WaitError(AssertionError):
    """Something was asked for."""


class Operators(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        masks = [i for i in args[1] if i is not None and i.dtype is torch.bool] if name in INDEXING else []
        if name in ASKING or masks:
            raise WaitError(name)
        return func(*args, **(kwargs or {}))


class Calls(TorchFunctionMode):
    """Of what is asked in Python alone; tensors that are known to be on the host may be read."""

    def __init__(self, hosted):
        self.hosted = hosted

    def __torch_function__(self, func, types, args=(), kwargs=None):
        read = func in READING and not any(args[0] is one for one in self.hosted)
        if read or func in COPIED:
            raise WaitError(func.__name__)
        return func(*args, **(kwargs or {}))


@contextmanager
def refusing(hosted=()):
    with Calls(hosted), Operators():
        yield


def watched(module):
    """Refuse to wait in all steps but the first, in which codebooks begin."""
    step, update, steps, hosted = module.training_step, module.codec.quantizer.update, [], []

    def stepped(*given):
        steps.append(given)
        with refusing(hosted) if len(steps) > 1 else nullcontext():
            return step(*given)

    def updated(evidence):
        hosted[:] = [stage.items for one in evidence for stage in one.stages if stage.items is not None]
        return update(evidence)

    module.training_step, module.codec.quantizer.update = stepped, updated
    return steps


CASES = {
    "default": (),
    "absolute": ("restart=absolute", "restart.threshold=40"),
    "overwritten": ("restart=overwritten", "restart.threshold=40"),
    "gradient": ("quantizer=rvq_gradient", *SIZES),
    "both": ("quantizer=rvq_both", *SIZES),
    "dac": ("quantizer=dac", "quantizer_dropout=items", *SIZES[:2], "training.accumulate=2"),
    "batch": ("quantizer_dropout=batch", "restart.threshold=0.9", "combine=balancer", "average=ema"),
    "balancer": ("combine=balancer", "training.players.codec.clip_norm=0.01", "training.order=[codec,adversary]"),
    "taught": ("quantizer=mimi", "loss=[l1,commitment,distillation,stft,rms_global]", "discriminator=[]", *MIMI),
    "fsq": ("quantizer=fsq", "average=ema_early"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_step_asks_the_device_for_nothing_and_computes_the_same(case, monkeypatch):
    ends = []
    for device in (False, True):
        monkeypatch.setattr(asking, "waits", lambda tensor, device=device: device)
        module = toy_module(*CASES[case])
        if device:
            steps = watched(module)
        run(module, 3)
        ends.append({k: v for k, v in module.state_dict().items() if isinstance(v, torch.Tensor)})
    assert len(steps) == 3
    assert all(torch.equal(a, b) for a, b in zip(ends[0].values(), ends[1].values(), strict=True))


WAITS = {
    "item": lambda x: x.sum().item(),
    "float": lambda x: float(x.detach().sum()),
    "if": lambda x: 1 if x.sum() > 0 else 0,
    "tolist": lambda x: x.sum().tolist(),
    "cpu": lambda x: x.cpu().sum(),
    "mask": lambda x: x[x > 0].sum(),
    "put": lambda x: x.detach().clone().index_put_((x > 0,), x.new_ones(())).sum(),
    "nonzero": lambda x: torch.nonzero(x).sum(),
    "bincount": lambda x: torch.bincount((x > 0).long().flatten()).sum(),
    "unique": lambda x: x.detach().unique().sum(),
    "equal": lambda x: torch.equal(x, x),
    "tensor": lambda x: x.sum() * torch.tensor(1.0),
}


@pytest.mark.parametrize("wait", WAITS)
def test_a_term_that_waits_is_found(wait, monkeypatch):
    """The negative check: what the test above can find."""
    forward = L1.forward
    monkeypatch.setattr(asking, "waits", lambda tensor: True)
    monkeypatch.setattr(L1, "forward", lambda self, step: forward(self, step) + 0 * WAITS[wait](step.audio))
    module = toy_module("loss=[l1,commitment]", "discriminator=[]")
    watched(module)
    with pytest.raises(WaitError):
        run(module, 2)


def test_what_a_cpu_does_would_wait_on_a_device():
    """The negative check of the other side: the few that are dead are counted where that costs nothing."""
    with refusing(), pytest.raises(WaitError, match=r"_local_scalar_dense"):
        asking.most(torch.ones(2, dtype=torch.bool))
