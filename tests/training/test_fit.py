"""Whole runs at toy size: the record, stopping, going on, damage."""

import json
import os
import signal

import pytest
import torch
import yaml
from stopped_run import assert_same

from conftest import voices
from telucodec.audio.files import write
from telucodec.cli.main import main
from telucodec.disk import holding, is_held
from telucodec.models.assess import Assessment
from telucodec.training.callbacks.stop import Stop
from telucodec.training.checkpoint import newest_checkpoint, read_checkpoint, write_checkpoint
from telucodec.training.module import CodecTraining

FINAL = {
    "val/snr", "val/si_sdr", "val/rms_ratio", "val/rho", "val/shape_share", "val/gain_share", "val/dc_share",
    "val/snr_ceiling", "val/mel_distance", "val/kbps", "codebook/usage_min", "train/output_scale",
}  # fmt: skip


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.pictures
def test_a_run_leaves_its_record(train, capsys):
    code, run = train("callback.validation.examples=1")
    assert code == 0
    summary = json.loads((run / "summary.json").read_text())
    assert set(summary["final"]) >= FINAL
    assert summary["steps"] == 6
    assert summary["audio_hours"] == pytest.approx(6 * 4 * 0.064 / 3600)
    assert "test/snr" in summary["test"]
    assert summary["evaluator"]["resampler"].startswith("soxr")
    facts = json.loads((run / "run.json").read_text())
    assert facts["status"] == "finished"
    assert {"command", "overrides", "git", "versions", "device", "seed", "steps", "audio_hours", "seconds"} <= set(
        facts
    )
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["max_steps"] == 6
    validated = [row["step"] for row in rows(run) if "val/snr" in row]
    assert validated == [0, 3, 6]
    trained = [row for row in rows(run) if "loss/l1" in row]
    assert [row["step"] for row in trained] == [1, 2, 3, 4, 5, 6]
    assert {"weighted/l1", "lr/codec", "lr/adversary", "gradient_norm/codec", "train/audio_seconds_per_second"} <= set(
        trained[0]
    )
    assert (run / "audio" / "utterance_0_output.wav").stat().st_size > 1000
    assert (run / "pictures" / "utterance_0_after.png").stat().st_size > 10000
    assert [p.name for p in sorted((run / "checkpoints").iterdir())] == ["step-000000004.ckpt", "step-000000006.ckpt"]
    assert "SNR" in capsys.readouterr().out


@pytest.mark.pictures
def test_tensorboard_holds_scalars_audio_pictures_config_and_hparams(train):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, run = train("callback.validation.examples=1")
    found = EventAccumulator(str(run / "tensorboard"), size_guidance={"audio": 0, "images": 0})
    found.Reload()
    tags = found.Tags()
    assert {"loss/l1", "val/snr", "val/rms_ratio", "train/output_scale", "codebook/0/usage"} <= set(tags["scalars"])
    assert {"utterance_0/target", "utterance_0/output"} <= set(tags["audio"])
    assert "utterance_0/comparison" in tags["images"]
    assert "config/text_summary" in tags["tensors"]
    assert [event.step for event in found.Scalars("val/snr")] == [0, 3, 6]
    sessions = [
        tag
        for p in (run / "tensorboard").rglob("events*")
        for tag in EventAccumulator(str(p)).Reload().Tags()["scalars"]
    ]
    assert "final/snr" in sessions, "the metric of the hparams tab"


def state(run):
    return read_checkpoint(run / "checkpoints" / "step-000000006.ckpt")


def test_stopping_and_going_on_gives_the_run_that_never_stopped(train, monkeypatch):
    """As it is typed, with all callbacks: weights, optimizers, codebooks, random states; and the rows of the record."""
    _, whole = train("name=whole")
    _, other = train("name=other", "seed=1")

    class Early(Stop):
        def on_train_batch_end(self, trainer, *rest):
            self.asked = trainer.global_step == 3
            super().on_train_batch_end(trainer, *rest)

    with monkeypatch.context() as patch:
        patch.setattr("telucodec.training.fit.Stop", Early)
        code, first = train("name=parts")
    assert code == 130
    code, again = train("name=parts", "resume=auto")
    assert (code, again) == (0, first)
    a, b, c = state(whole), state(first), state(other)
    for key in ("state_dict", "optimizer_states", "telucodec", "global_step"):
        assert_same(a[key], b[key], key)
    with pytest.raises(AssertionError):
        assert_same(a["state_dict"], c["state_dict"])
    for row, want in zip(rows(first), rows(whole), strict=True):
        keys = [k for k in want if k.startswith(("loss/", "val/", "lr/", "gradient", "codebook"))]
        assert {k: row[k] for k in keys} == {k: want[k] for k in keys}


def test_resume_auto_finds_the_unfinished_run(train, capsys):
    code, run = train("resume=auto")
    assert code == 0
    assert "starting a new one" in " ".join(capsys.readouterr().out.split())
    (run / "summary.json").unlink()
    (run / "checkpoints" / "step-000000006.ckpt").unlink()
    code, again = train("resume=auto")
    assert (code, again) == (0, run)
    assert "continuing" in capsys.readouterr().out
    assert (run / "summary.json").exists()


def test_a_run_stopped_while_it_was_summed_up_is_summed_up_at_the_next_start(train, monkeypatch):
    def interrupted(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("telucodec.training.fit.summarise", interrupted)
        code, run = train()
    assert code == 130
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    code, again = train("resume=auto")
    assert (code, again) == (0, run)
    assert json.loads((run / "summary.json").read_text())["steps"] == 6
    assert json.loads((run / "run.json").read_text())["status"] == "finished"


def test_a_checkpoint_cut_in_half_is_named_and_the_older_one_used(train, capsys):
    _, run = train()
    newest = run / "checkpoints" / "step-000000006.ckpt"
    newest.write_bytes(newest.read_bytes()[: newest.stat().st_size // 2])
    found, skipped = newest_checkpoint(run)
    assert found.name == "step-000000004.ckpt"
    assert "step-000000006.ckpt: damaged" in skipped[0]
    capsys.readouterr()
    code, _ = train(f"resume={run}")
    out = " ".join(capsys.readouterr().out.split())
    assert code == 0
    assert "step-000000006.ckpt: damaged" in out
    assert "from step-000000004.ckpt" in out
    for path in (run / "checkpoints").iterdir():
        path.write_bytes(b"not a checkpoint")
    code, _ = train(f"resume={run}")
    assert code == 2


def test_a_whole_checkpoint_that_cannot_be_gone_on_from_is_named(train, capsys):
    """What is restored first, and what is restored last."""
    _, run = train("callback.validation.every=100")
    path = run / "checkpoints" / "step-000000006.ckpt"
    whole = read_checkpoint(path)
    own = whole["telucodec"] | {"clipping": {"nobody": (1, torch.ones(2))}}
    for change, why in (
        ({"state_dict": {"x": torch.ones(1)}}, "RuntimeError: Error(s) in loading state_dict for CodecTraining"),
        ({"telucodec": own}, "KeyError: 'nobody'"),
    ):
        write_checkpoint(whole | change, path)
        assert train(f"resume={run}", "max_steps=8", "callback.validation.every=100")[0] == 2
        told = " ".join(capsys.readouterr().err.split())
        assert f"step-000000006.ckpt: cannot be gone on from ({why}" in told
        assert "Delete it to use an older one" in told


def test_another_configuration_is_not_continued(train, capsys):
    _, run = train()
    code, _ = train(f"resume={run}", "optimizer.lr=0.5")
    assert code == 2
    assert "0.002 -> 0.5" in " ".join(capsys.readouterr().err.split())


def test_a_config_of_another_version_is_named(train, capsys):
    _, run = train()
    config = yaml.safe_load((run / "config.yaml").read_text())
    (run / "config.yaml").write_text(yaml.safe_dump(config | {"version": 0}))
    assert train(f"resume={run}")[0] == 2
    assert "config version 0, this telucodec reads version 2" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_says_how_to_go_on(train, capsys, monkeypatch, number):
    """Sent to this process in the middle of step 3, with a loading process beside it."""
    step = CodecTraining.training_step

    def signalled(self, batch, index):
        if self.global_step == 2:
            os.kill(os.getpid(), number)
        step(self, batch, index)

    monkeypatch.setattr(CodecTraining, "training_step", signalled)
    before = signal.getsignal(number)
    code, run = train("callback.saving.every=100", "loader.workers=1")
    out = " ".join(capsys.readouterr().out.split())
    assert code == 130
    assert f"resume={run.relative_to(run.parents[2])}" in out
    assert "step-000000003.ckpt" in out
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"
    assert read_checkpoint(newest_checkpoint(run)[0])["global_step"] == 3
    assert signal.getsignal(number) is before


def test_a_second_signal_stops_at_once(train, capsys, monkeypatch):
    monkeypatch.setattr("telucodec.training.callbacks.stop.ECHO", 0.0)  # nobody waits for it
    step = CodecTraining.training_step

    def signalled(self, batch, index):
        if self.global_step == 2:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        step(self, batch, index)

    monkeypatch.setattr(CodecTraining, "training_step", signalled)
    code, run = train("callback.saving.every=100")
    assert code == 130
    assert "stopped before anything was saved" in capsys.readouterr().out
    assert json.loads((run / "run.json").read_text())["status"] == "interrupted"


def test_a_signal_in_the_last_validation_is_made_up_for(train, monkeypatch):
    """The summary never holds an older validation under the last step's name."""
    hear = Assessment.hear

    def signalled(self, utterance):
        if self.codec.training and len(validations) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return hear(self, utterance)

    validations = []
    begin = Assessment.__init__

    def counted(self, codec, evaluator):
        validations.append(1)
        begin(self, codec, evaluator)

    with monkeypatch.context() as patch:
        patch.setattr(Assessment, "hear", signalled)
        patch.setattr(Assessment, "__init__", counted)
        code, run = train()
    assert code == 130
    assert not (run / "summary.json").exists()
    code, again = train("resume=auto")
    assert (code, again) == (0, run)
    last = [row for row in rows(run) if row["step"] == 6 and "val/snr" in row]
    assert len(last) == 1
    assert json.loads((run / "summary.json").read_text())["final"]["val/snr"] == last[0]["val/snr"]


def test_a_run_that_diverges_stops_and_says_so(train, capsys):
    code, run = train("optimizer.lr=1e30")
    err = " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert "The run diverged" in err
    assert json.loads((run / "run.json").read_text())["status"] == "diverged"
    assert not (run / "summary.json").exists()


def test_a_run_at_work_is_not_joined(train, capsys):
    _, run = train()
    (run / "summary.json").unlink()
    with holding(run / ".lock"):
        assert is_held(run / ".lock")
        assert train(f"resume={run}")[0] == 2
        assert "another process is at work here" in capsys.readouterr().err
        code, other = train("resume=auto")
    assert code == 0
    assert other != run, "resume=auto passes it over"


def test_data_that_changed_are_named_at_a_resume_and_evaluation_keeps_the_split(train, capsys, speech_folder):
    _, run = train()
    for speaker in range(6, 9):
        write(speech_folder / f"speaker_{speaker}" / "new.flac", voices(90 + speaker, 1.0), 16000)
    assert main(["evaluate", str(run)]) == 0
    (summary,) = (run / "evaluation").glob("own-test/summary.json")
    assert json.loads(summary.read_text())["groups"]["all"]["utterances"] == 2
    assert train(f"resume={run}", "max_steps=8")[0] == 2
    assert "its data are not what they were" in " ".join(capsys.readouterr().err.split())


def test_a_finished_run_can_be_made_longer(train, capsys):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, run = train()
    code, again = train(f"resume={run}", "max_steps=8")
    assert (code, again) == (0, run)
    assert "max_steps 6 -> 8" in capsys.readouterr().out
    assert json.loads((run / "summary.json").read_text())["steps"] == 8
    assert [row["step"] for row in rows(run) if "val/snr" in row] == [0, 3, 6, 8]
    found = EventAccumulator(str(run / "tensorboard"))
    found.Reload()
    assert [event.step for event in found.Scalars("val/snr")] == [0, 3, 6, 8]
    code, third = train("resume=auto", "max_steps=8")
    assert code == 0
    assert third != run, "it is finished"


def test_checkpoints_hold_plain_containers_only(train):
    _, run = train()
    checkpoint = torch.load(run / "checkpoints" / "step-000000006.ckpt", weights_only=True)
    assert len(checkpoint["optimizer_states"]) == 2
    assert any(key.startswith("adversary.") for key in checkpoint["state_dict"])
    assert any(key.endswith("counts") for key in checkpoint["state_dict"])


def test_evaluate_and_reconstruct_from_the_run(train, tmp_path, capsys, speech_folder):
    import soundfile

    _, run = train()
    assert main(["evaluate", str(run), "--split", "all"]) == 0
    (summary,) = (run / "evaluation").glob("own-all/summary.json")
    found = json.loads(summary.read_text())
    assert found["groups"]["all"]["utterances"] == 12
    assert found["groups"]["speaker speaker_0"]["utterances"] == 2
    assert (
        found["groups"]["all"]["snr"]["low"]
        <= found["groups"]["all"]["snr"]["mean"]
        <= found["groups"]["all"]["snr"]["high"]
    )
    files = json.loads(summary.with_name("files.json").read_text())
    assert sum(row["snr"] for row in files) / 12 == pytest.approx(found["summary"]["snr"])
    assert len(summary.with_name("files.csv").read_text().splitlines()) == 13
    stereo = tmp_path / "in.wav"
    soundfile.write(stereo, torch.randn(44100, 2).numpy() * 0.1, 44100)
    assert main(["reconstruct", str(run), str(stereo), str(tmp_path / "out.wav")]) == 0
    assert soundfile.info(tmp_path / "out.wav").frames == 16000
    assert soundfile.info(tmp_path / "out.wav").channels == 2
    assert main(["reconstruct", str(run), str(stereo), str(tmp_path / "out.mp3")]) == 2
    assert "must end in .wav or .flac" in capsys.readouterr().err
