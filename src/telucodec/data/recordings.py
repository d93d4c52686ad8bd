"""Recordings before anything is decoded: the files under a folder, and who speaks in them."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from telucodec.audio.files import EXTENSIONS
from telucodec.errors import InputError

FOREIGN = (".m4a", ".mp4", ".aac", ".webm", ".mka", ".wma", ".amr", ".3gp", ".aif", ".aiff", ".au", ".caf", ".sph")


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording as its corpus names it; the file may turn out to be missing or bad."""

    path: Path  # below the corpus's root
    speaker: str | None = None  # None: unknown
    language: str | None = None  # ISO 639 code; None: unknown
    split: str | None = None  # the corpus's own train, valid or test; None: to be assigned
    group: str | None = None  # what two splits must not share when no speaker is known; None: the file itself


def audio_files(root: Path) -> tuple[list[Path], list[Path]]:
    """The audio files below a folder, sorted, hidden ones left out, symbolic links followed.

    Returns:
        Files whose extension can be decoded (`telucodec.audio.files.EXTENSIONS`), and files that are audio or video by
        their extension but need converting first.

    Raises:
        InputError: `root` is not a folder.
    """
    if not root.is_dir():
        raise InputError(f"{root}: no such folder. Give the folder that holds the recordings.")
    known: list[Path] = []
    foreign: list[Path] = []
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        seen.add(os.path.realpath(folder))  # a link may lead in a circle
        new = [name for name in folders if os.path.realpath(os.path.join(folder, name)) not in seen]
        folders[:] = sorted(name for name in new if not _hidden(name))
        for name in sorted(names):
            extension = os.path.splitext(name)[1].lower()
            if not _hidden(name) and extension in (*EXTENSIONS, *FOREIGN):
                (known if extension in EXTENSIONS else foreign).append(Path(folder, name))
    return sorted(known), sorted(foreign)


def find(root: Path, pattern: str, depth: int = 3) -> list[Path]:
    """Files that match a pattern in `root` or up to `depth` folders below it, sorted, hidden ones left out."""
    found = [path for level in range(depth + 1) for path in root.glob("*/" * level + pattern)]
    return sorted(path for path in found if not any(map(_hidden, path.relative_to(root).parts)))


def speaker_rule(rule: str | None) -> Callable[[str], str | None]:
    r"""How a speaker is read from a path relative to the corpus's root, with forward slashes.

    Args:
        rule: None (unknown), "parent" (the name of the folder that holds the file; none for files at the top) or a
            regular expression with one group, searched in the path.

    Raises:
        InputError: not a regular expression, or not one group.

    >>> speaker_rule("parent")("anu/book/1.wav"), speaker_rule("parent")("1.wav")
    ('book', None)
    >>> speaker_rule("^([^/]+)/")("anu/book/1.wav"), speaker_rule(r"(p\d+)_")("x/p225_001.wav")
    ('anu', 'p225')
    """
    if rule is None:
        return lambda path: None
    if rule == "parent":
        return lambda path: path.split("/")[-2] if "/" in path else None
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise InputError(f"speaker rule '{rule}': not a regular expression ({error}).") from None
    if pattern.groups != 1:
        raise InputError(f"speaker rule '{rule}': needs one group in parentheses, for example '^([^/]+)/'.")
    return lambda path: found[1] if (found := pattern.search(path)) else None


def relative(path: Path, root: Path) -> str:
    """The path below `root`, with forward slashes: the name of a recording everywhere."""
    return path.relative_to(root).as_posix()


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
