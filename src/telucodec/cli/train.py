"""`telucodec train`."""

import argparse
import shlex
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from telucodec.cli.checked import check_top, of_sweep
from telucodec.errors import InputError, LostError

DESCRIPTION = """\
Train a codec. Every default is in conf/train.yaml; overrides are Hydra's: a group is chosen (encoder=dac), a value set
(optimizer.lr=1e-4), a list picked ('loss=[l1,mse,commitment]', quoted for the shell).

examples:
  telucodec train                                           the embedded default: synthetic Telugu, minutes on a CPU
  telucodec train data=folder data.root=~/recordings        16 kHz mono WAV or FLAC files, used in place
  telucodec train data=manifest data.manifest=DEST/manifest.jsonl
  telucodec train experiment=dac_16k trainer=gpu           a published recipe (s003, s001, ...: a document's)
  telucodec train trainer=ddp loader.batch_size=64         all GPUs of this machine; docs/devices.md says how on several
  telucodec train experiment=dac_16k init_from=FOLDER      fine-tune DAC, EnCodec or Mimi as transformers saves them
  telucodec train quantizer.n_q=4 'output=[scale,tanh]' loss.mel.weight=3
  telucodec train 'ablation=[no_restart]'                   one fix turned off; `telucodec fixes` lists them
  telucodec train -m loss.mel.weight=1,15 seed=0,1          every combination, one process each
  telucodec train -m 'ablation=glob(*)' sweep.jobs=2        every fix turned off once, two runs at a time
  telucodec train -m sweeper=optuna 'optimizer.lr=tag(log,interval(1e-5,1e-2))'   a search that learns from its trials
  telucodec train resume=auto                               continue the newest unfinished run of this name
  telucodec train --cfg optimizer.lr=1e-4                   print the composed configuration and stop

A run's folder is runs/<name>/<date-time>: metrics.jsonl, summary.json, config.yaml, run.json, checkpoints/, audio/,
pictures/, tensorboard/. Ctrl-C saves and prints the command that resumes. With trainer.profile=5 it says where the time
of five steps goes, and writes profile/.

With -m each combination is a job: a process of its own in runs/<sweep.name>/jobs/<identity>, which depends on nothing
but its configuration and the code. The same command again skips what is finished, goes on with what was interrupted
and tries again what failed; a failed job is named at once with its log. How many run is in conf/sweep.yaml:
  sweep.name=weights        the sweep's folder is runs/weights
  sweep.jobs=4              runs at a time
  sweep.devices=[0,1]       devices to hand out; a run takes trainer.devices of them, or one
  sweep.fail_fast=true      the first failure stops the others
  launcher=local            or submitit (SLURM), or ray (a cluster that runs); see conf/launcher
  sweeper=grid              or optuna: a search that learns from its trials; see conf/sweeper
At the end: a table of all jobs, the same as sweep.csv, and one TensorBoard folder of all. Ctrl-C lets each run save.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command to argparse."""
    parser.description = DESCRIPTION
    parser.add_argument("overrides", nargs="*", metavar="OVERRIDE", help="group=choice or key=value")
    parser.add_argument("-m", "--multirun", action="store_true", help="run every combination of comma-separated values")
    parser.add_argument("--config-dir", type=Path, metavar="DIR", help="a folder with configuration groups of your own")
    parser.add_argument(
        "--job", type=Path, metavar="FOLDER", help="make the run that a sweep or study left in a folder"
    )
    parser.add_argument("--cfg", action="store_true", help="print the composed configuration and stop")
    parser.set_defaults(run=run, takes_rest=True)


def run(options: argparse.Namespace) -> int:
    """Compose, check, train."""
    from telucodec.cli.contradictions import compose_sensible

    unknown = [word for word in options.rest if word.startswith("-")]
    if unknown:
        raise InputError(f"{unknown[0]}: there is no such option. See telucodec train --help.")
    options.overrides = [*options.overrides, *options.rest]
    if options.job:
        from telucodec.cli.make import make

        return make(options.job, options.overrides)
    if options.multirun:
        from telucodec.cli.sweep import run_sweep

        return run_sweep(options.overrides, options.config_dir, options.cfg)
    if alien := list(filter(of_sweep, options.overrides)):
        raise InputError(f"{alien[0]}: is about a sweep. Add -m.")
    _, config = compose_sensible(options.overrides, options.config_dir)
    if options.cfg:
        sys.stdout.write(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
        return 0
    return _train(config, options)


def _train(config: dict[str, Any], options: argparse.Namespace) -> int:
    from telucodec.build import build
    from telucodec.cli.launch import bound, launch, several

    check_top(config)
    where = ["--config-dir", str(options.config_dir)] if options.config_dir else []
    if (count := several(config)) > 1:
        return launch(["train", *where, *options.overrides], count)
    bound()
    with build(config["trainer"], "trainer").joined():
        return _make_run(config, options, where)


def _make_run(config: dict[str, Any], options: argparse.Namespace, where: Sequence[str]) -> int:
    """In each process of a run; the first finds its place on the disk."""
    from telucodec import ranks
    from telucodec.cli.compose import own_names
    from telucodec.cli.contradictions import blame
    from telucodec.cli.launch import console_of_run
    from telucodec.training.fit import Start, fit
    from telucodec.training.report import command_prefix

    console = console_of_run()
    folder, checkpoint = ranks.by_first(lambda: _place(config, console))
    kept = [override for override in options.overrides if not override.startswith("resume=")]
    again = [f"{command_prefix()}telucodec", "train", *where, *kept]
    start = Start(folder, checkpoint, ["telucodec", *sys.argv[1:]], options.overrides)
    try:
        finished = fit(config, start, console)
    except LostError:
        raise
    except InputError as error:
        wrong = type(error)(own_names(str(error)))
        rows = folder / "metrics.jsonl"
        began = rows.exists() and rows.stat().st_size > 0
        first = ranks.own() == 0  # the others need not look for what is to blame
        raise (wrong if began or not first else blame(wrong, options.overrides, options.config_dir)) from None
    except KeyboardInterrupt:
        return _stopped(folder, again, console)
    finally:
        with suppress(OSError):  # the folder of a run that never began is empty: it goes
            folder.rmdir()
    code = 0 if finished else _stopped(folder, again, console)
    ranks.meet()  # or those that end before the first has written have srun or torchrun end it
    return code


def _stopped(folder: Path, again: Sequence[str], console: Console) -> int:
    """Say what is saved, and how to go on."""
    from telucodec import ranks
    from telucodec.training.checkpoint import newest_checkpoint

    saved = newest_checkpoint(folder)[0] if ranks.own() == 0 else None  # of several processes the first speaks
    if saved is None:
        console.print("\nstopped before anything was saved.", highlight=False)
    else:
        told = f"\nstopped; saved is {saved}. Continue with:\n  {shlex.join([*again, f'resume={folder}'])}"
        console.print(told, highlight=False, markup=False, soft_wrap=True)
    return 130


def _place(config: dict[str, Any], console: Console) -> tuple[Path, Path | None]:
    """The run's folder, and the checkpoint that it goes on from."""
    from telucodec.training.resume import resume_from, run_to_continue

    home = Path(config["run_root"]) / config["name"]
    found = run_to_continue(home, config, console)
    return (_fresh(home), None) if found is None else (found, resume_from(found, config, console))


def _fresh(home: Path) -> Path:
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    names: Sequence[str] = [stamp, *(f"{stamp}-{number}" for number in range(2, 100))]
    for name in names:
        try:
            (home / name).mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(f"{home / name}: cannot be made ({error.strerror}). Choose another run_root.") from None
        return home / name
    raise InputError(f"{home}: too many runs started in this second.")
