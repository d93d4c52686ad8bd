"""Where a search keeps its trials: search.db in the sweep's folder, held against what is searched now."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial

from telucodec.errors import InputError
from telucodec.study.search.settings import Settings, pruner_for
from telucodec.study.search.space import Parameter, describe, differences

STORAGE, NAME = "search.db", "search"
ABOUT, DIGEST = "about", "files of conf/ or code"  # of the study: what is searched, and what stands for the rest
CRASHED, AGAIN = "crashed", "again"  # of a trial: a process of it died; the number of the trial that it repeats


def open_study(
    folder: Path, settings: Settings, space: Sequence[Parameter], fixed: Sequence[str], digest: str
) -> Study:
    """The trials made so far in a folder; those of which a process died wait to be made once more.

    Args:
        folder: of the sweep.
        settings: how the search goes about it.
        space: what it may choose.
        fixed: the overrides that all trials share.
        digest: stands for what files and code make of them.

    Raises:
        InputError: trials of another search are there; the message says what differs.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    storage = f"sqlite:///{(folder / STORAGE).resolve()}"
    told = {key: getattr(settings, key) for key in ("metric", "direction", "seeds")}
    split = dict(override.partition("=")[::2] for override in fixed)
    about = json.loads(json.dumps({"parameters": describe(space), "fixed": split} | told | {DIGEST: digest}))
    study = _loaded(storage, about, folder) or optuna.create_study(
        storage=storage, study_name=NAME, direction=settings.direction
    )
    study.set_user_attr(ABOUT, about)
    study.pruner = pruner_for(settings)
    requeue(study)
    return study


def requeue(study: Study) -> None:
    """Let trials of which a process died wait to be made once more, with the same values."""
    done = repeated(study.get_trials(deepcopy=False))
    for trial in study.get_trials(deepcopy=False):
        if trial.number not in done and CRASHED in trial.user_attrs and AGAIN not in trial.user_attrs:
            study.enqueue_trial(trial.params, {AGAIN: trial.number})


def repeated(trials: Sequence[FrozenTrial]) -> set[int]:
    """Numbers of the trials in whose place another stands."""
    return {trial.user_attrs[AGAIN] for trial in trials if AGAIN in trial.user_attrs}


def counted(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials; of one that was repeated, the repetition."""
    gone = repeated(trials)
    return [trial for trial in trials if trial.number not in gone]


def _loaded(storage: str, about: dict[str, Any], folder: Path) -> Study | None:
    """The study in a storage, unless there is none, or one of something else in which no trial ended."""
    if NAME not in optuna.get_all_study_names(storage):
        return None
    study = optuna.load_study(study_name=NAME, storage=storage)
    changed = differences(study.user_attrs.get(ABOUT, about), about)
    if not changed:
        return study
    if any(trial.state.is_finished() for trial in study.get_trials(deepcopy=False)):
        named = [line for line in changed if not line.startswith(DIGEST)] or changed
        told = "\n  ".join([f"{folder}: holds the trials of another search:", *named])
        raise InputError(f"{told}\nGive this one a folder of its own (sweep.name=...), or put back what was changed.")
    optuna.delete_study(study_name=NAME, storage=storage)
    return None
