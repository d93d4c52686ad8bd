import json
import math
import os
from types import SimpleNamespace

import pytest
import torch
from companies import in_company, said

from conftest import config, toy_module, voices
from telucodec.build import build
from telucodec.metrics.evaluation import Row
from telucodec.records import Utterance
from telucodec.training.callbacks.gallery import Gallery
from telucodec.training.callbacks.logging import Logging
from telucodec.training.context import Run
from telucodec.training.record import RunRecord


def test_rows_of_a_lost_attempt_are_dropped_and_time_goes_on(tmp_path):
    record = RunRecord(tmp_path, 0)
    record.begin()
    for step in (1, 2, 3):
        record.log_metrics({"loss/l1": 1.0 / step}, step)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "seco')  # killed while writing
    again = RunRecord(tmp_path, 2)
    again.begin()
    again.log_metrics({"loss/l1": 9.0}, 3)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(row["step"], row["loss/l1"]) for row in rows] == [(1, 1.0), (2, 0.5), (3, 9.0)]
    assert rows[2]["seconds"] >= rows[1]["seconds"]
    assert again.row_at("loss/l1", 2)["loss/l1"] == 0.5
    assert again.row_at("loss/l1", 0) == {}


def test_rows_are_on_the_disk_before_a_checkpoint_is(tmp_path, monkeypatch):
    record, flushed = RunRecord(tmp_path, 0), []
    record.begin()
    record.log_metrics({"loss/l1": 1.0}, 1)
    monkeypatch.setattr("os.fsync", lambda file: flushed.append((os.fstat(file).st_ino, os.fstat(file).st_size)))
    record.flush()
    path, incidents = tmp_path / "metrics.jsonl", tmp_path / "incidents.jsonl"
    assert flushed == [(path.stat().st_ino, path.stat().st_size)]
    record.tell({"step": 1, "what": "a file broke"})
    record.flush()
    assert flushed[1:] == [(each.stat().st_ino, each.stat().st_size) for each in (path, incidents)]
    assert len(path.read_text().splitlines()) == 1


def test_a_record_of_another_start_begins_anew(tmp_path):
    RunRecord(tmp_path, 0).begin()
    record = RunRecord(tmp_path, 0)
    record.begin()
    assert (tmp_path / "metrics.jsonl").read_text() == ""


def test_numbers_that_json_lacks_become_null(tmp_path):
    record = RunRecord(tmp_path, 0)
    record.write("summary.json", {"a": math.nan, "b": [math.inf, 1.0], "c": {"d": "text"}})
    assert json.loads((tmp_path / "summary.json").read_text()) == {"a": None, "b": [None, 1.0], "c": {"d": "text"}}


class Writer:
    """Keeps what TensorBoard would get."""

    def __init__(self):
        self.experiment, self.audio, self.images = self, [], []

    def add_audio(self, tag, audio, step, sample_rate):
        self.audio.append((tag, step))
        assert audio.abs().max() <= 1

    def add_image(self, tag, image, step, dataformats):
        self.images.append((tag, step))
        assert dataformats == "HWC"
        assert image.shape[2] == 3
        assert image.std() > 10  # something is drawn


def test_the_gallery_shows_targets_once_and_outputs_every_time(tmp_path):
    writer = Writer()
    run = Run(tmp_path, SimpleNamespace(sample_rate=16000), *[None] * 2, writer, *[None] * 3)
    gallery = Gallery(run, 1)
    audio = torch.from_numpy(voices(0, 0.3))[None]
    for step in (0, 5):
        gallery.show(step, [(Utterance(audio, "a", None, None), 3 * audio)])
    assert writer.audio == [("utterance_0/target", 0), ("utterance_0/output", 0), ("utterance_0/output", 5)]
    assert writer.images == [("utterance_0/comparison", 0), ("utterance_0/comparison", 5)]
    assert {p.name for p in (tmp_path / "pictures").iterdir()} == {"utterance_0_before.png", "utterance_0_after.png"}


def test_the_row_of_a_step_that_was_left_out_has_no_losses():
    module, run, rows = toy_module(), SimpleNamespace(data=SimpleNamespace(seconds_per_step=1.0, steps_per_epoch=3)), []
    module.learning_rates = lambda: {"lr/codec": 0.5}
    kept = SimpleNamespace(log_metrics=lambda figures, step: rows.append((step, figures)))
    logging = Logging(every=2, run=run)
    for step, figures in ((2, {"loss/l1": torch.tensor(1.5)}), (3, {"loss/l1": torch.tensor(9.0)}), (4, {})):
        module.figures = figures
        logging.on_train_batch_end(SimpleNamespace(global_step=step, loggers=[kept]), module, None, None, 0)
    assert [(step, figures.get("loss/l1"), figures["train/epoch"]) for step, figures in rows] == [
        (2, 1.5, pytest.approx(2 / 3)), (4, None, pytest.approx(4 / 3)),
    ]  # fmt: skip
    assert {figures["lr/codec"] for _, figures in rows} == {0.5}


def test_figures_of_two_processes_are_their_mean(tmp_path):
    def act(rank):
        run, device = SimpleNamespace(data=None), build(config("trainer=ddp_cpu", "trainer.devices=2")["trainer"], "")
        module = SimpleNamespace(figures={"a": torch.tensor(1.0 + 2 * rank), "b": torch.tensor(5.0)}, clipping=dict)
        with device.joined():
            assert Logging(every=1, run=run)._noted(module) == {"a": 2.0, "b": 5.0}

    assert in_company(2, tmp_path, act) == [0, 0], said(tmp_path, 0) + said(tmp_path, 1)


def test_utterances_are_kept_once_for_each_validation(tmp_path):
    record = RunRecord(tmp_path, 0)
    for step, snr in ((0, 1.0), (5, 2.0), (5, 3.0)):  # the second time after a resume
        record.keep(step, [Row("a", "ann", None, 1.0, False, {"snr": snr}), Row("b", None, None, 1.0, True, {})])
    rows = [json.loads(line) for line in (tmp_path / "utterances.jsonl").read_text().splitlines()]
    assert [(row["step"], row["file"], row["silent"], row.get("snr")) for row in rows] == [
        (0, "a", False, 1.0), (0, "b", True, None), (5, "a", False, 3.0), (5, "b", True, None),
    ]  # fmt: skip
