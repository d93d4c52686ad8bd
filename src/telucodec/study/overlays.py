"""What configuration files say about themselves: the headers of ablations, and the sources of a preset's values."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from telucodec.errors import InputError

FIELDS = ("key", "fix", "source", "owner", "expect", "changes")


@dataclass(frozen=True)
class Overlay:
    """One file of conf/ablation: a fix turned off, or turned to the value that a document gave it."""

    name: str  # of the file
    keys: tuple[str, ...]  # rows of the list of switches, for example A1 or Q6
    fix: str  # what it is about
    source: str  # document and line, or paper
    owner: str  # the module that the switch lives in
    expect: str  # what should come of it
    changes: tuple[str, ...]  # configuration keys below which it changes something


def read_overlay(path: Path) -> Overlay:
    """Read the header of one overlay: comment lines `# field: text` before its first value.

    Raises:
        InputError: a field is missing; the message names file and field.
    """
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        told = re.fullmatch(r"# (\w+): (.+)", line)
        if told:
            found[told[1]] = told[2].strip()
        elif not line.startswith("#"):
            break
    missing = [field for field in FIELDS if field not in found]
    if missing:
        raise InputError(f"{path}: its header lacks '# {missing[0]}: ...' (an ablation needs {', '.join(FIELDS)}).")
    wrong = [key for key in re.split(r",\s*", found["key"]) if not re.fullmatch(r"([A-Za-z]+|[\d.]+\.)\d+", key)]
    if wrong:
        raise InputError(f"{path}: its key '{wrong[0]}' is none: a row is named like A1, Q6 or 3.5.1; yours like X1.")
    keys, changes = (tuple(re.split(r",\s*", found[field])) for field in ("key", "changes"))
    return Overlay(path.stem, keys, found["fix"], found["source"], found["owner"], found["expect"], changes)


def read_overlays(folder: Path) -> list[Overlay]:
    """All overlays of a folder, in the order of their keys (A1, A2, ... A10, ... T7, 3.5.1, ...)."""
    overlays = [read_overlay(path) for path in sorted(folder.glob("*.yaml"))]
    return sorted(overlays, key=lambda overlay: (sort_key(overlay.keys[0]), overlay.name))


def sort_key(key: str) -> tuple[int, str, int]:
    """Where a row of the list of switches stands.

    >>> sorted(["L1", "3.5.1", "A10", "A2"], key=sort_key)
    ['A2', 'A10', 'L1', '3.5.1']
    """
    letters, number = re.fullmatch(r"(.*?)(\d+)", key).groups()  # type: ignore[union-attr]
    return ("ALQDT".index(letters) if letters in tuple("ALQDT") else len("ALQDT"), letters, int(number))


def notes(preset: Path) -> dict[str, str]:
    """Where a preset's values come from: key (or group) -> the comment behind it.

    A preset that starts from another one (`defaults: [other]`) inherits what it does not say itself.

    Args:
        preset: a file of conf/experiment.
    """
    found: dict[str, str] = {}
    for key, given, comment in _commented(preset.read_text(encoding="utf-8")):
        if key.startswith("defaults.") and "/" not in key:
            found |= notes(preset.with_name(f"{key.removeprefix('defaults.')}.yaml"))
        elif comment or given:
            found[key.removeprefix("defaults.override /")] = comment
    return {key: comment for key, comment in found.items() if comment}


def note_for(key: str, found: Mapping[str, str]) -> str:
    """The note on a key, or on the nearest one above it."""
    while key:
        if key in found:
            return found[key]
        key = key.rpartition(".")[0]
    return ""


def _commented(text: str) -> Iterator[tuple[str, bool, str]]:
    """Each key of simple, indented YAML by its whole path, whether a value is on its line, and the comment there."""
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        content, _, comment = line.partition(" #")
        told = re.fullmatch(r"(\s*)(- )?([^#:]+?)(:.*)?", content.rstrip())
        if line.startswith("#") or not told:
            continue
        depth = len(told[1]) + (1 if told[2] else 0)
        path = [(at, key) for at, key in path if at < depth]
        path.append((depth, told[3].strip().strip('"')))
        yield ".".join(key for _, key in path), len(told[4] or "") > 1, comment.strip()
