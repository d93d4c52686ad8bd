"""One run from configuration to summary."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from rich.console import Console

from telucodec import ranks
from telucodec.build import build
from telucodec.data.module import SpeechData
from telucodec.disk import holding, write_text
from telucodec.errors import DivergedError, InputError, LostError
from telucodec.models.pretrained import load_pretrained
from telucodec.models.stored import CONFIG
from telucodec.training.callbacks.profile import Profile
from telucodec.training.callbacks.stop import Stop
from telucodec.training.callbacks.validation import Validation
from telucodec.training.checkpoint import OLDER, read_checkpoint
from telucodec.training.compiled import as_written, compile_networks
from telucodec.training.context import Run
from telucodec.training.module import CodecTraining
from telucodec.training.pairing import first_weights
from telucodec.training.quiet import quiet
from telucodec.training.reach import first_values, outlooks
from telucodec.training.record import RunRecord, circumstances
from telucodec.training.report import report, start_table
from telucodec.training.resume import DATA, bind_data, remove_remains
from telucodec.training.summary import summarise
from telucodec.training.trainer import Device


@dataclass(frozen=True)
class Start:
    """Where a run lives and where it goes on from."""

    folder: Path
    checkpoint: Path | None  # None: from the first step
    command: Sequence[str]
    overrides: Sequence[str]
    shown: Sequence[str] = ()  # keys that TensorBoard's hparams show; none: all, those of the overrides first
    base: Mapping[str, Any] | None = None  # the configuration whose first weights it takes over


@ranks.told_once()
def fit(config: Mapping[str, Any], start: Start, console: Console) -> bool:
    """Train, write the record, and print what came of it.

    Args:
        config: the whole configuration as plain, resolved containers.
        start: where.
        console: to report on.

    Returns:
        Whether the run finished; False when it was asked to stop and can be resumed.

    Raises:
        InputError: the configuration or the data cannot be used, the run is being trained by another process, or the
            training diverged.
        KeyboardInterrupt: a second signal did not wait for the end of the step.
    """
    quiet()
    lightning.seed_everything(config["seed"], verbose=False)
    device: Device = build(config["trainer"], "trainer")
    data: SpeechData = build(config["loader"], "loader")
    module, paired = first_weights(config, start.base)
    evaluator = build(config["evaluator"], "evaluator")
    data.prepare(kept if (kept := start.folder / DATA).exists() else None)
    if config["init_from"] is not None and start.checkpoint is None:
        told = load_pretrained(module.codec, Path(str(config["init_from"])).expanduser())
        module.average.follow(module.codec)
        console.print(f"starts from {told}", highlight=False, markup=False, soft_wrap=True)
    begun = first_values(start.folder) if start.checkpoint else {}
    reach = outlooks(config["targets"], module, config["max_steps"], begun)
    step = read_checkpoint(start.checkpoint)["global_step"] if start.checkpoint else 0
    purge = step + 1 if start.checkpoint else 0
    run = Run(
        folder=start.folder,
        data=data,
        evaluator=evaluator,
        record=RunRecord(start.folder, step),
        tensorboard=TensorBoardLogger(str(start.folder), "", "tensorboard", purge_step=purge),
        console=console,
        stop=Stop(),
        max_steps=config["max_steps"],
    )
    callbacks = [_callback(node, f"callback.{name}", run) for name, node in config["callback"].items()]
    if device.profile:
        callbacks.append(Profile(steps=device.profile, run=run))
    trainer = device.trainer([run.stop, *callbacks], [run.record, run.tensorboard], run.max_steps, str(start.folder))
    facts = circumstances(start.command, start.overrides) | {"device": device.describe(), "devices": ranks.count()}
    facts |= {"seed": config["seed"]} | ({"paired": paired} if paired else {})
    facts["reach"] = [one.row() for one in reach]
    with ExitStack() as held, run.stop.listening():
        facts["data"] = ranks.by_first(lambda: _begin(held, config, run, module, facts))
        for one in reach:
            console.print(one.sentence(), highlight=False, markup=False, soft_wrap=True)
        if device.compile:
            compile_networks(module)
        return _train(run, trainer, module, start, facts)


def _begin(
    held: ExitStack, config: Mapping[str, Any], run: Run, module: CodecTraining, facts: dict[str, Any]
) -> dict[str, Any]:
    """Take possession of the run's folder, in the first process; gives what is known of the data."""
    held.enter_context(holding(run.folder / ".lock"))
    remove_remains(run.folder)
    data = bind_data(run.folder, run.data.manifest)
    with ranks.apart():
        _announce(config, run, module, facts | {"data": data})
    return data


def _train(run: Run, trainer: lightning.Trainer, module: CodecTraining, start: Start, facts: dict[str, Any]) -> bool:
    status = "failed"
    try:
        trainer.fit(module, datamodule=run.data, ckpt_path=start.checkpoint)
        over = _finish(run, trainer, module, start)
        status = "finished" if over else "interrupted"
    except (KeyboardInterrupt, SystemExit):  # Lightning turns the first into the second
        status = "interrupted"
        raise KeyboardInterrupt from None
    except (DivergedError, LostError) as error:
        status = "diverged" if isinstance(error, DivergedError) else status
        raise
    except InputError as error:  # one from a loading process comes wrapped in that process's traceback
        raise InputError(str(error).rpartition(f"{InputError.__module__}.InputError: ")[2]) from None
    except Exception as error:
        if not module.revived or isinstance(error, torch.OutOfMemoryError):
            raise
        why = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"  # a checkpoint may hold anything
        raise InputError(f"{start.checkpoint}: cannot be gone on from ({why}). {OLDER}") from error
    finally:
        with suppress(InputError):  # a full disk must not hide what went wrong before
            run.record.write("run.json", facts | _progress(run, trainer.global_step, status))
        with suppress(OSError):
            run.tensorboard.finalize(status)  # or its last events wait for the process to end
    if over and ranks.own() == 0:
        report(run, module.adversary.start)
    return over


def _finish(run: Run, trainer: lightning.Trainer, module: CodecTraining, start: Start) -> bool:
    """What comes behind the last step; whether it was the last."""
    module.to(trainer.strategy.root_device)  # Lightning has put it back on the CPU
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Validation) and trainer.global_step >= run.max_steps:
            callback.catch_up(trainer, module)  # a signal may have broken off the last one
    if trainer.global_step < run.max_steps or run.stop.heed(trainer):
        return False
    with as_written(module):
        summarise(run, module, trainer.global_step, start.overrides, start.shown)
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
    (run.folder / "summary.json").unlink(missing_ok=True)  # of an earlier, shorter end
    run.record.begin()
    run.record.write("run.json", facts | _progress(run, 0, "running"))
    run.tensorboard.experiment.add_text("config", f"```yaml\n{text}```")
    run.console.print(start_table(run, module.codec))


def _progress(run: Run, step: int, status: str) -> dict[str, Any]:
    hours = step * run.data.seconds_per_step / 3600
    epochs = {"epochs": step / run.data.steps_per_epoch, "steps_per_epoch": run.data.steps_per_epoch}
    return {"status": status, "steps": step, "audio_hours": hours, "seconds": run.record.seconds} | epochs
