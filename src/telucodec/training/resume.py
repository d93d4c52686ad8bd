"""Which run a start goes on with."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from telucodec.data.manifest import Manifest, read_manifest, write_manifest
from telucodec.disk import is_held, no_links, remove_partial
from telucodec.errors import InputError
from telucodec.models.stored import read_config
from telucodec.training.checkpoint import newest_checkpoint

FREE = ("resume", "run_root", "max_steps")  # may differ between a run and what continues it
# and so may these: one device or many make the same run, and so does each answer to what goes wrong, until it does
ELASTIC = (
    *("trainer.devices", "trainer.strategy", "callback.nonfinite", "callback.broken"),
    *("callback.health", "callback.requeue", "trainer.profile"),  # these move nothing
)
ADDED = {"trainer.benchmark": False, "trainer.compile": False}  # what older versions did, which had no such keys
LISTED = 5  # runs that an error names
PLACES = ("checkpoints", "audio", "pictures", "tensorboard", "profile")  # folders that a training writes into
DATA = "data.jsonl"  # the utterances that a run was started with, in its folder


def run_to_continue(home: Path, config: Mapping[str, Any], console: Console) -> Path | None:
    """The folder of the run that `resume` asks for; None where a new one is to be started, which is said.

    Args:
        home: where runs of this name lie.
        config: the whole configuration; `resume` is never, auto, must, or a run's folder.
        console: to say so.

    Raises:
        InputError: resume=must, and there is no such run; the message names what was looked at.
    """
    resume = str(config["resume"])
    if resume == "never":
        return None
    if resume not in ("auto", "must"):
        return Path(resume)
    found, passed = find_run(home, config)
    if found is not None:
        return found
    looked = f"resume={resume}: no unfinished run of this configuration under {home}"
    if resume == "must":
        told = "".join(f"\n  {line}" for line in passed[:LISTED])
        more = f"\n  and {len(passed) - LISTED} older ones" if len(passed) > LISTED else ""
        raise InputError(f"{looked}.{told}{more}\nresume=auto starts a new one.")
    console.print(f"{looked}; starting a new one.", highlight=False, markup=False)
    return None


def find_run(home: Path, config: Mapping[str, Any]) -> tuple[Path | None, list[str]]:
    """The newest run of this configuration below a folder that has not reached its last step and is not at work.

    Returns:
        Its folder, if there is one, and why each newer one was passed over.
    """
    passed: list[str] = []
    for folder in sorted((path for path in home.glob("*") if path.is_dir()), reverse=True):
        why = _why_not(folder, config)
        if why is None:
            return folder, passed
        passed.append(f"{folder.name}: {why}")
    return None, passed


def _why_not(folder: Path, config: Mapping[str, Any]) -> str | None:
    try:
        old = read_config(folder)
    except InputError as error:
        return str(error)
    if (folder / "summary.json").exists() and old["max_steps"] >= config["max_steps"]:
        return "is finished"
    if is_held(folder / ".lock"):
        return "another process is at work there"
    other = differences(old, config)
    return f"has another configuration ({'; '.join(other[:3])})" if other else None


def bind_data(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """Keep a run's utterances in its folder, or hold today's against those that it was started with.

    Returns:
        Where they came from, how many there are, and the sha256 of the list: for the record.

    Raises:
        InputError: files or splits are others than at the start.
    """
    entries, kept = manifest.absolute(), folder / DATA
    if not kept.exists():
        write_manifest(kept, entries)
    elif (old := read_manifest(kept).entries) != entries:
        before, now = ({entry.path: entry for entry in listed} for listed in (old, entries))
        other = sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
        if other:
            raise InputError(
                f"{folder}: its data are not what they were: {len(other)} utterances came, went or changed "
                f"(first: {other[0]}). Put them back, or start a new run with resume=never."
            )
    with kept.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"manifest": str(manifest.path), "utterances": len(entries), "sha256": digest}


def remove_remains(folder: Path) -> None:
    """Remove the half-written files that a killed process left in a run's folder; nobody else may be at work there.

    Raises:
        InputError: a folder in it is a link, which would lead all that is removed and written out of it.
    """
    no_links(folder, PLACES)
    for place in (folder, *(folder / name for name in PLACES)):
        remove_partial(place)


def resume_from(folder: Path, config: Mapping[str, Any], console: Console) -> Path | None:
    """The checkpoint to go on from; says which damaged ones it passes over.

    Raises:
        InputError: the folder is no run, or of another configuration, or all its checkpoints are damaged, or it has
            none and resume=must.
    """
    other = differences(read_config(folder), config)
    if other:
        raise InputError(
            f"{folder}: was trained with another configuration: {'; '.join(other[:5])}. "
            "Give the same overrides as then (run.json has them), or start a new run with resume=never."
        )
    if (steps := read_config(folder)["max_steps"]) != config["max_steps"]:
        console.print(f"max_steps {steps} -> {config['max_steps']}: what follows it changes too.", highlight=False)
    path, skipped = newest_checkpoint(folder)
    for message in skipped:
        console.print(f"skipped: {message}", highlight=False, markup=False, soft_wrap=True)
    if path is None and skipped:
        raise InputError(f"{folder}: no checkpoint of it can be read. Start a new run with resume=never.")
    if path is None and config["resume"] == "must":
        raise InputError(f"{folder}: has no checkpoint yet. resume=auto starts it from the first step.")
    if path is None:
        console.print(f"{folder}: has no checkpoint yet; it starts from the first step.", highlight=False, markup=False)
    else:
        console.print(f"continuing {folder} from {path.name}", highlight=False, markup=False)
    return path


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What two configurations disagree about, as `key: old -> new`.

    `max_steps` may differ, and with it what follows it, such as the length of a schedule; so may the devices. A key
    that the old one lacks is no difference where its value is what older versions did.

    >>> differences({"a": {"b": 1, "c": 5}, "max_steps": 5}, {"a": {"b": 2, "c": 9}, "max_steps": 9})
    ['a.b: 1 -> 2']
    """
    following = (old.get("max_steps"), new.get("max_steps"))
    rest = [{k: v for k, v in config.items() if k not in FREE} for config in (old, new)]
    other = [each for each in _unlike(rest[0], rest[1]) if not each[0].startswith(ELASTIC)]
    other = [(key, a, b) for key, a, b in other if not (a is None and key in ADDED and b == ADDED[key])]
    return [f"{key}: {a} -> {b}" for key, a, b in other if (a, b) != following]


def _unlike(old: Any, new: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in dict.fromkeys([*old, *new]):
            yield from _unlike(old.get(name), new.get(name), f"{key}.{name}" if key else str(name))
    elif old != new:
        yield key, old, new
