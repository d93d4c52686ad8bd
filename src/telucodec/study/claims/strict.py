"""Plain containers to records, with every key and type held against the record's own fields."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from typeguard import TypeCheckError, check_type

from telucodec.build import nearest
from telucodec.errors import InputError


def read(hint: Any, node: Any, where: str) -> Any:
    """A node as what a type hint names: a record, a tuple of something, a mapping to something, or a plain value.

    A class with a `parse(node, where)` reads itself. A field's trailing underscore is not part of its key.

    Args:
        hint: the type.
        node: what YAML gave.
        where: whose it is, to name in errors.

    Raises:
        InputError: a key is unknown or missing, or a value is of another type; the message names `where` and the key.
    """
    inner = [each for each in get_args(hint) if each is not type(None)]
    if type(None) in get_args(hint) and len(inner) == 1:
        return None if node is None else read(inner[0], node, where)
    found = node
    if hasattr(hint, "parse"):
        found = hint.parse(node, where)
    elif is_dataclass(hint):
        found = _record(hint, node, where)
    elif get_origin(hint) is tuple and isinstance(node, list):
        found = tuple(read(inner[0], item, f"{where}, entry {n}") for n, item in enumerate(node, 1))
    elif get_origin(hint) is Mapping and isinstance(node, Mapping):
        found = {str(key): read(inner[1], item, f"{where}.{key}") for key, item in node.items()}
    else:
        _check(hint, node, where)
    return found


def _record(cls: Any, node: Any, where: str) -> Any:
    hints = get_type_hints(cls)
    known: dict[str, Field[Any]] = {field.name.rstrip("_"): field for field in fields(cls)}
    if not isinstance(node, Mapping):
        raise InputError(f"{where}: must be a mapping with the keys {', '.join(known)}, got {node!r}.")
    for key in node:
        if key not in known:
            raise InputError(f"{where}: there is no key '{key}'. {nearest(str(key), list(known))}")
    for key, field in known.items():
        if key not in node and field.default is MISSING and field.default_factory is MISSING:
            raise InputError(f"{where}: the key '{key}' is missing.")
    given = {known[key].name: read(hints[known[key].name], value, f"{where}.{key}") for key, value in node.items()}
    try:
        return cls(**given)
    except ValueError as error:
        raise InputError(f"{where}: {error}.") from None


def _check(hint: Any, node: Any, where: str) -> None:
    try:
        check_type(node, hint)
    except TypeCheckError:
        wanted = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
        raise InputError(f"{where}: got {node!r}, but it must be of type {wanted}.") from None
