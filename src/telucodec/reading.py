"""Reading what others wrote: plain data of bounded size and depth, or a message; never code, never a crash.

A run, a codec or a study may come from anywhere. JSON and YAML can hurt without naming any code: a few lines of YAML
stand for more values than a memory holds, and brackets nested deeply enough end the process.
"""

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from telucodec.errors import InputError

LARGEST = 1 << 28  # bytes of a file
DEEPEST = 100  # containers inside each other: a configuration has about a dozen
DIGITS = 19  # of a whole number: as many as 64 bits have
WHOLE = "tag:yaml.org,2002:int"  # what YAML calls one
MOST = 1 << 20  # values in a YAML file, those that aliases repeat counted again
LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the first is ten times as fast
DENSEST = 8192  # samples that FLAC can put into one byte: a frame of 65535 equal ones is 14 bytes long
CURE = "Restore it, or make it again."
Kinds = Mapping[str, type | tuple[type, ...]]


def read_json(path: Path, cure: str = CURE) -> Any:
    """What a JSON file holds.

    Args:
        path: of the file.
        cure: what to do about one that cannot be read.

    Raises:
        InputError: it cannot be read, is no JSON, or is nested too deeply; the message names the file.
    """
    return from_json(read_text(path, cure), str(path), cure)


def read_yaml(path: Path, loader: type[yaml.SafeLoader] = LOADER, cure: str = CURE) -> Any:
    """What a YAML file holds.

    Args:
        path: of the file.
        loader: one that makes plain containers only.
        cure: what to do about one that cannot be read.

    Raises:
        InputError: it cannot be read, is no plain YAML, or stands for too much; the message names the file.
    """
    text = read_text(path, cure)
    try:
        _bound(text)
        return yaml.load(text, loader)  # a SafeLoader
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # PyYAML raises a dozen kinds for a value that its type cannot be
        why = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path}: is no YAML: {why}. {cure}") from None


def from_json(text: str, where: str, cure: str = CURE) -> Any:
    """What a JSON text holds.

    Args:
        text: of one value.
        where: it stands, to name in errors.
        cure: what to do about one that cannot be read.

    Raises:
        InputError: it is no JSON, or is nested too deeply; the message begins with `where`.

    >>> from_json('{"a": [1]}', "a.json")
    {'a': [1]}
    """
    try:
        found = json.loads(text, parse_int=_whole)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: is no JSON: {error}. {cure}") from None
    level, depth = [found], 0
    while level := [child for node in level for child in _children(node)]:
        if (depth := depth + 1) > DEEPEST:
            raise InputError(f"{where}: is nested more than {DEEPEST} deep. {cure}")
    return found


def read_text(path: Path, cure: str = CURE) -> str:
    """A UTF-8 text file.

    Args:
        path: of the file.
        cure: what to do about one that cannot be read.

    Raises:
        InputError: it cannot be read, is no regular file, too large or no UTF-8; the message names it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe would wait for its other end
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            whole = stat.S_ISREG(status.st_mode) and status.st_size <= LARGEST
            text = file.read().decode() if whole else None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). {cure}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: cannot be read (not UTF-8 text). {cure}") from None
    except ValueError as error:
        raise InputError(f"{str(path)!r}: is no path ({error}). {cure}") from None
    if text is None:
        raise InputError(f"{path}: is no file of at most {LARGEST >> 20} MiB. {cure}")
    return text


def holdable(samples: int, size: int) -> bool:
    """Whether a file of so many bytes can hold so many samples of a channel, in any format.

    >>> holdable(16000, 100), holdable(1 << 36, 1 << 20)
    (True, False)
    """
    return samples <= DENSEST * (size + 64)


def regular(path: Path, cure: str = CURE) -> Path:
    """The path of a file that others are to open, which would wait at a pipe for its other end; or of none.

    Raises:
        InputError: something that is no file stands there; the message names it.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{path}: is no file. {cure}")
    return path


def held(node: Any, kinds: Kinds, where: str) -> dict[str, Any]:
    """A mapping whose values are of certain kinds; it may hold more. A boolean is no number.

    Raises:
        InputError: it is no mapping, or a key is missing or of another kind; the message begins with `where`.

    >>> held({"steps": 5}, {"steps": int}, "run.json")
    {'steps': 5}
    """
    if not isinstance(node, Mapping):
        raise InputError(f"{where}: holds no mapping. {CURE}")
    for key, kind in kinds.items():
        if key not in node:
            raise InputError(f"{where}: lacks {key}. {CURE}")
        kinds_of_key = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(node[key], kinds_of_key) or (isinstance(node[key], bool) and bool not in kinds_of_key):
            raise InputError(f"{where}: {key} is {str(node[key])[:60]!r}. {CURE}")
    return dict(node)


def _whole(digits: str) -> int:
    _check_digits(digits)
    return int(digits)


def _check_digits(digits: str) -> None:
    if len(digits.lstrip("+-")) > DIGITS:
        raise ValueError(f"{digits[:20]}... is no number of at most {DIGITS} digits")


def _children(node: Any) -> Iterator[Any]:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return (child for child in children if isinstance(child, dict | list))


def _bound(text: str) -> None:
    """Refuse YAML that stands for more than a reader can hold, before any of it is made.

    Raises:
        InputError: it is nested too deeply, or its aliases repeat too much.
    """
    known: dict[str, _Node] = {}  # what an anchor stands for
    around = [_Node(None)]  # the containers around this place, the innermost last
    for event in yaml.parse(text, LOADER):
        _take(event, around, known)
        if len(around) + around[-1].height > DEEPEST:
            raise InputError(f"is nested more than {DEEPEST} deep. {CURE}")
        if sum(node.values for node in around) > MOST:
            raise InputError(f"stands for more than {MOST} values. Write what its aliases repeat only once.")


def _take(event: yaml.Event, around: "list[_Node]", known: "dict[str, _Node]") -> None:
    if isinstance(event, yaml.CollectionStartEvent):
        around.append(_Node(event.anchor))
    elif isinstance(event, yaml.CollectionEndEvent):
        node = around.pop()
        around[-1].add(node)
        if node.anchor is not None:
            known[node.anchor] = node
    elif isinstance(event, yaml.AliasEvent):
        if event.anchor in (node.anchor for node in around):
            raise InputError(f"the alias *{event.anchor} stands inside of what it names. Write it out.")
        around[-1].add(known.get(str(event.anchor), _Node(None)))
    elif isinstance(event, yaml.ScalarEvent):
        around[-1].values += 1
        if len(event.value) > DIGITS and _is_whole(event):
            _check_digits(event.value)


def _is_whole(event: yaml.ScalarEvent) -> bool:
    """Whether YAML makes a whole number of a scalar: decimal, hexadecimal, octal, binary or of base 60."""
    likely = LOADER.yaml_implicit_resolvers.get(event.value[:1], []) if event.implicit[0] else []
    return event.tag == WHOLE or any(tag == WHOLE and pattern.match(event.value) for tag, pattern in likely)


@dataclass
class _Node:
    """A container in YAML."""

    anchor: str | None
    values: int = 1  # that it stands for
    height: int = 0  # containers inside each other, below it

    def add(self, child: "_Node") -> None:
        self.values, self.height = self.values + child.values, max(self.height, child.height + 1)
