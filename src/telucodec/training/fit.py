"""One run from configuration to summary."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import yaml
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

from telucodec.build import build
from telucodec.data.module import SpeechData
from telucodec.disk import write_text
from telucodec.errors import InputError
from telucodec.models.assess import Assessment, keyed
from telucodec.models.stored import CONFIG
from telucodec.training.callbacks.stop import Stop
from telucodec.training.checkpoint import read_checkpoint
from telucodec.training.context import Run
from telucodec.training.module import CodecTraining
from telucodec.training.quiet import quiet
from telucodec.training.record import RunRecord, circumstances
from telucodec.training.report import report, start_table
from telucodec.training.trainer import Device

FINAL = (
    "val/snr", "val/si_sdr", "val/rms_ratio", "val/rho", "val/shape_share", "val/gain_share", "val/dc_share",
    "val/snr_ceiling", "val/mel_distance", "val/kbps", "codebook/usage_min", "train/output_scale",
)  # fmt: skip


@dataclass(frozen=True)
class Start:
    """Where a run lives and where it goes on from."""

    folder: Path
    checkpoint: Path | None  # None: from the first step
    command: Sequence[str]
    overrides: Sequence[str]


def fit(config: Mapping[str, Any], start: Start, console: Console) -> bool:
    """Train, write the record, and print what came of it.

    Args:
        config: the whole configuration as plain, resolved containers.
        start: where.
        console: to report on.

    Returns:
        Whether the run finished; False when it was asked to stop and can be resumed.

    Raises:
        InputError: the configuration or the data cannot be used.
    """
    quiet()
    lightning.seed_everything(config["seed"], verbose=False)
    device: Device = build(config["trainer"], "trainer")
    data: SpeechData = build(config["loader"], "loader")
    module: CodecTraining = build(config["training"], "training")
    data.prepare()
    step = read_checkpoint(start.checkpoint)["global_step"] if start.checkpoint else 0
    record = RunRecord(start.folder, step)
    run = Run(
        folder=start.folder,
        data=data,
        evaluator=build(config["evaluator"], "evaluator"),
        record=record,
        tensorboard=TensorBoardLogger(str(start.folder), "", "tensorboard", purge_step=step or None),
        console=console,
        stop=Stop(),
        max_steps=config["max_steps"],
    )
    callbacks = [_callback(node, f"callback.{name}", run) for name, node in config["callback"].items()]
    trainer = device.trainer([run.stop, *callbacks], [record, run.tensorboard], run.max_steps, str(start.folder))
    facts = circumstances(start.command, start.overrides) | {"device": device.describe(), "seed": config["seed"]}
    _announce(config, run, module, facts)
    status = "failed"
    try:
        trainer.fit(module, datamodule=data, ckpt_path=start.checkpoint)
        if trainer.global_step < run.max_steps:
            status = "interrupted"
            return False
        _finish(run, module, trainer.global_step, start.overrides)
        status = "finished"
    except KeyboardInterrupt:
        status = "interrupted"
        raise
    except InputError as error:  # one from a loading process comes wrapped in that process's traceback
        raise InputError(str(error).rpartition(f"{InputError.__module__}.InputError: ")[2]) from None
    finally:
        record.write("run.json", facts | _progress(run, trainer.global_step, status))
    report(run, config["adversary"]["start"])
    return True


def _callback(node: Mapping[str, Any], path: str, run: Run) -> Callback:
    try:
        callback: Callback = build(node, path)(run=run)
    except ValueError as error:
        raise InputError(str(error) if isinstance(error, InputError) else f"{path}: {error}") from None
    return callback


def _announce(config: Mapping[str, Any], run: Run, module: CodecTraining, facts: dict[str, Any]) -> None:
    text = yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True)
    write_text(run.folder / CONFIG, text)
    run.record.begin()
    run.record.write("run.json", facts | _progress(run, 0, "running"))
    run.tensorboard.experiment.add_text("config", f"```yaml\n{text}```")
    run.console.print(start_table(run, module.codec))


def _progress(run: Run, step: int, status: str) -> dict[str, Any]:
    hours = step * run.data.seconds_per_step / 3600
    return {"status": status, "steps": step, "audio_hours": hours, "seconds": run.record.seconds}


def _finish(run: Run, module: CodecTraining, step: int, overrides: Sequence[str]) -> None:
    """Write summary.json: the last validation, and the test split, heard once and only now."""
    final = run.record.row_at("val/snr", step)
    summary = {"final": {key: final[key] for key in dict.fromkeys([*FINAL, *_kept(final)]) if key in final}}
    if any(entry.split == "test" for entry in run.data.manifest.entries):
        assessment = Assessment(module.codec, run.evaluator)
        utterances = run.data.utterances("test")
        for index in range(len(utterances)):
            assessment.hear(utterances[index])
        summary["test"] = keyed(assessment.summary(), "test")
    rest = {"steps": step, "seconds": run.record.seconds, "audio_hours": step * run.data.seconds_per_step / 3600}
    evaluator = run.evaluator.describe(module.codec.sample_rate)
    run.record.write("summary.json", summary | rest | {"data": str(run.data.manifest.path), "evaluator": evaluator})
    metrics = {f"final/{key.split('/', 1)[1]}": final[key] for key in FINAL if key in final}
    run.tensorboard.log_hyperparams(_hparams(run.folder, overrides), metrics)


def _kept(row: Mapping[str, float]) -> list[str]:
    return [key for key in row if key.startswith(("val/", "codebook/"))]


def _hparams(folder: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration as scalars, what was switched first: TensorBoard shows no more than about 30 columns."""
    config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    flat = _flat({k: v for k, v in config.items() if k not in ("training", "evaluator")})  # they repeat the groups
    switched = [override.lstrip("+~").partition("=")[0] for override in overrides]
    return {key: flat[key] for key in flat if any(key.startswith(name) for name in switched)} | flat


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif isinstance(value, bool | int | float | str):
            flat[f"{prefix}{key}"] = value
    return flat
