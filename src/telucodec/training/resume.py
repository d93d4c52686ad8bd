"""Which run a start goes on with."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from telucodec.errors import InputError
from telucodec.models.stored import read_config
from telucodec.training.checkpoint import newest_checkpoint

FREE = ("resume", "run_root", "max_steps")  # may differ between a run and what continues it


def find_run(home: Path, config: Mapping[str, Any]) -> Path | None:
    """The newest run of this configuration below a folder that has not reached its last step."""
    for folder in sorted((path for path in home.glob("*") if path.is_dir()), reverse=True):
        if (folder / "summary.json").exists():
            continue
        try:
            if not differences(read_config(folder), config):
                return folder
        except InputError:
            continue
    return None


def resume_from(folder: Path, config: Mapping[str, Any], console: Console) -> Path | None:
    """The checkpoint to go on from; says which damaged ones it passes over.

    Raises:
        InputError: the folder is no run, or of another configuration, or all its checkpoints are damaged.
    """
    other = differences(read_config(folder), config)
    if other:
        raise InputError(
            f"{folder}: was trained with another configuration: {'; '.join(other[:5])}. "
            "Give the same overrides as then (run.json has them), or start a new run with resume=never."
        )
    path, skipped = newest_checkpoint(folder)
    for message in skipped:
        console.print(f"skipped: {message}", highlight=False, soft_wrap=True)
    if path is None and skipped:
        raise InputError(f"{folder}: no checkpoint of it can be read. Start a new run with resume=never.")
    if path is None:
        console.print(f"{folder}: has no checkpoint yet; it starts from the first step.", highlight=False)
    else:
        console.print(f"continuing {folder} from {path.name}", highlight=False)
    return path


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What two configurations disagree about, as `key: old -> new`.

    >>> differences({"a": {"b": 1}, "max_steps": 5}, {"a": {"b": 2}, "max_steps": 9})
    ['a.b: 1 -> 2']
    """
    found = []
    for key in dict.fromkeys([*old, *new]):
        if not prefix and key in FREE:
            continue
        before, after = old.get(key), new.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append(f"{prefix}{key}: {before} -> {after}")
    return found
