"""Whether a run is well: the figures by hand, and in a whole run."""

import json
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from conftest import toy_module
from telucodec.data.workers import default_workers
from telucodec.errors import InputError
from telucodec.training.callbacks import health
from telucodec.training.callbacks.health import GIB, Health, checkpoint_bytes, memory, resident


class Logger:
    """Keeps what it is given."""

    def __init__(self):
        self.rows = {}

    def log_metrics(self, figures, step):
        self.rows[step] = figures


def watched(tmp_path, **more):
    console = Console(record=True, width=200)
    data = SimpleNamespace(workers=0, arrived=0.0)
    run = SimpleNamespace(folder=tmp_path, console=console, max_steps=10, data=data)
    return Health(**{"every": 2, "waiting": 0.3, "spare": 0.5, "run": run} | more), console


def trained(monkeypatch, callback, waits, play=0.6, copy=0.2):
    """Steps of `play` seconds each behind waits for data, validations of 5 s in between; gives the rows.

    Of a step's time, `copy` seconds belong to another callback, which comes first when the batch is there.
    """
    clock, logger, module = SimpleNamespace(now=100.0), Logger(), toy_module()
    monkeypatch.setattr(health.time, "monotonic", lambda: clock.now)
    trainer = SimpleNamespace(global_step=0, loggers=[logger], is_global_zero=True)
    for wait in waits:
        clock.now += wait
        callback.run.data.arrived = clock.now
        clock.now += copy
        callback.on_train_batch_start(trainer, module, None, 0)
        clock.now += play - copy
        trainer.global_step += 1
        callback.on_train_batch_end(trainer, module, None, None, 0)
        clock.now += 5.0
        module.idle_since = clock.now
    return logger.rows


def test_the_share_of_waiting_and_the_time_that_is_left(tmp_path, monkeypatch):
    callback, _ = watched(tmp_path)
    rows = trained(monkeypatch, callback, [9.0, 9.0, 0.2, 0.2, 0.4, 0.4])
    assert sorted(rows) == [2, 4, 6]
    assert "health/data_wait" not in rows[2]  # loaders start in the first interval
    assert rows[4]["health/data_wait"] == pytest.approx(0.4 / 1.6)
    assert rows[6]["health/data_wait"] == pytest.approx(0.8 / 2.0)
    # two steps and two validations took 11.6 s, and six steps are left
    assert rows[4]["health/hours_left"] == pytest.approx(6 * (2 * 5.8) / 2 / 3600)
    assert rows[6]["health/hours_left"] == pytest.approx(4 * (2 * 5.8 + 2 * 6.0) / 4 / 3600)
    assert 0.01 < rows[2]["health/memory_gib"] < 100


def test_loading_as_the_bottleneck_is_told_once_with_the_cure(tmp_path, monkeypatch):
    callback, console = watched(tmp_path)
    trained(monkeypatch, callback, [0.0, 0.0, 1.4, 1.4, 1.4, 1.4])
    told = console.export_text()
    assert told.count("waiting for data") == 1
    assert f"step 4: 70% of the time goes into waiting for data, with loader.workers=0 on {default_workers()}" in told
    assert f"loader.workers={min(2, default_workers())}; recordings on a local disk" in told


def test_the_size_of_a_checkpoint_by_hand():
    layer = torch.nn.Linear(3, 4)  # 16 numbers of 4 bytes
    adam, sgd = torch.optim.Adam(layer.parameters()), torch.optim.SGD(layer.parameters(), lr=0.1)
    assert checkpoint_bytes(layer, []) == 64
    assert checkpoint_bytes(layer, [adam, sgd]) == 64 + 2 * 128
    layer(torch.ones(1, 3)).sum().backward()
    adam.step()
    assert checkpoint_bytes(layer, [adam]) == 64 + 128 + 2 * 4  # and a step count for each of two tensors


def test_a_disk_that_is_too_small_is_told_before_the_first_step(train, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(health.shutil, "disk_usage", lambda folder: SimpleNamespace(free=GIB // 4))
        code, run = train()
    told = " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert "of disk, and 0.25 GiB are free: 3 checkpoints of" in told
    assert "and 0.5 GiB for the rest" in told
    assert "callback.saving.keep" in told
    assert json.loads((run / "run.json").read_text())["steps"] == 0
    code, run = train("callback.health.every=2")  # with enough of it, the same run is made
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = {row["step"]: row for row in rows if "health/memory_gib" in row}
    assert (code, sorted(found)) == (0, [2, 4, 6])
    assert 0 <= found[4]["health/data_wait"] <= 1
    assert found[4]["health/hours_left"] > found[6]["health/hours_left"] == 0


def test_checkpoints_that_will_be_replaced_count_as_room(tmp_path, monkeypatch):
    callback, _ = watched(tmp_path, spare=0.0)
    module = toy_module()
    own = checkpoint_bytes(module, [])
    codec = sum(tensor.numel() * tensor.element_size() for tensor in module.codec.state_dict().values())
    saving = health.Saving(every=1, keep=2, best=None, run=callback.run)
    trainer = SimpleNamespace(callbacks=[saving], optimizers=[], is_global_zero=True)
    need = 3 * own + 2 * codec
    monkeypatch.setattr(health.shutil, "disk_usage", lambda folder: SimpleNamespace(free=need))
    callback.on_train_start(trainer, module)
    monkeypatch.setattr(health.shutil, "disk_usage", lambda folder: SimpleNamespace(free=need - 1))
    with pytest.raises(InputError, match=r"needs 0\.00 GiB of disk"):
        callback.on_train_start(trainer, module)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-000000001.ckpt").write_bytes(b"x")
    callback.on_train_start(trainer, module)


def test_memory_and_a_gpu_that_does_not_tell(tmp_path, monkeypatch):
    assert memory(torch.device("cpu")) == {"health/memory_gib": pytest.approx(resident() / GIB, rel=0.2)}
    before = resident()
    held = torch.ones(2**24)  # 64 MiB
    assert resident() - before > 2**25
    assert held.sum() == 2**24
    callback, console = watched(tmp_path)
    callback.metered = True
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: 37)
    assert callback._utilisation(torch.device("cuda")) == {"health/gpu_utilisation": 0.37}

    def refuses(device):
        raise RuntimeError("driver unknown")

    monkeypatch.setattr(torch.cuda, "utilization", refuses)
    assert [callback._utilisation(torch.device("cuda")) for _ in range(2)] == [{}, {}]
    assert console.export_text().count("is not recorded: driver unknown") == 1


@pytest.mark.parametrize(("key", "value"), [("every", 0), ("waiting", 1.0), ("spare", -1.0)])
def test_values_out_of_range_are_refused(tmp_path, key, value):
    with pytest.raises(ValueError, match=f"{key} must be"):
        watched(tmp_path, **{key: value})
