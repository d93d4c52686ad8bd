"""A config node -> the object it describes, held against an allow-list of targets and each target's own signature.

A config is data: it may come with a downloaded codec, and must not be able to run any code it names. What is built is
what was checked, word for word: nothing in it is resolved, looked up or called on the way.
"""

import difflib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from inspect import signature
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from telucodec.errors import InputError

ROOMS = ("nn", "quantization", "adversarial", "losses", "metrics", "data", "models", "diagnosis", "training")
PICKED = ("terms.terms", "discriminators", "stages", "metrics", "probes")  # where parts are picked from a group by name
ALLOWED = (*(f"telucodec.{room}." for room in ROOMS), "torch.optim.")
NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", re.ASCII)
TARGET, PARTIAL = "_target_", "_partial_"  # the only keys that are not arguments


def build(node: Any, path: str, kind: Any = object) -> Any:
    """Make what a node describes, and everything below it.

    Args:
        node: plain, resolved containers with `_target_` keys; `_partial_: true` makes a function of the rest.
        path: the node's place in the config, to name in errors.
        kind: the class that it must be of, or the protocol that it must follow.

    Raises:
        InputError: a target is not allowed, a key is unknown or missing, a value is refused, or it describes something
            else; the message names the key and what is allowed.
    """
    if not isinstance(node, Mapping):
        raise InputError(f"{path}: must be a mapping with a _target_, got {node!r}.")
    check(node, path)
    made = _made(node, path)
    if not _fills(type(made), kind):
        raise InputError(f"{path}: describes a {type(made).__name__}, where a {kind.__name__} belongs.")
    return made


def check(node: Any, path: str) -> None:
    """Hold every target, key and value below a node against the code that it names.

    Raises:
        InputError: as `build`.
    """
    if isinstance(node, Mapping) and TARGET in node and path.endswith(PICKED):
        raise InputError(
            f"{path}: names a class where a list of named parts belongs. Begin the file with a line like "
            "`# @package loss.NAME` (or output, discriminator, metric, probe)."
        )
    if isinstance(node, Mapping) and TARGET not in node and _has_target(node):
        for key, child in node.items():
            if isinstance(child, Mapping) and TARGET not in child:
                raise InputError(
                    f"{path}.{key}: names no class. Choose '{key}' in the list of its group, or leave it out."
                )
    children = node.items() if isinstance(node, Mapping) else enumerate(node) if _is_list(node) else ()
    if isinstance(node, Mapping) and TARGET in node:
        _check_call(node, path)
    for key, child in children:
        check(child, f"{path}.{key}")


def targets(node: Any) -> Iterator[Any]:
    """Every target of a node and of all below it, as it is written."""
    if isinstance(node, Mapping) and TARGET in node:
        yield node[TARGET]
    for child in node.values() if isinstance(node, Mapping) else node if _is_list(node) else ():
        yield from targets(child)


def nearest(word: str, words: Sequence[str]) -> str:
    """A hint for a misspelt word: the closest of `words` if one is close, else all of them.

    >>> nearest("wieght", ["weight", "start"])
    "Did you mean 'weight'?"
    >>> nearest("x", ["weight", "start"])
    'Choose from: start, weight.'
    """
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else f"Choose from: {', '.join(sorted(words))}."


def _made(node: Any, path: str) -> Any:
    if isinstance(node, Mapping):
        parts = {key: _made(node[key], f"{path}.{key}") for key in node if key not in (TARGET, PARTIAL)}
        return _called(node, parts, path) if TARGET in node else parts
    return [_made(child, f"{path}.{number}") for number, child in enumerate(node)] if _is_list(node) else node


def _called(node: Mapping[str, Any], parts: dict[str, Any], path: str) -> Any:
    target = _load(node[TARGET], path)
    if node.get(PARTIAL):
        return partial(target, **parts)
    try:
        return target(**parts)
    except Exception as error:  # a constructor's own refusal, or whatever it makes of a value that nobody thought of
        raise InputError(f"{path}: {str(error) or type(error).__name__}") from error


def _check_call(node: Mapping[str, Any], path: str) -> None:
    target = _load(node[TARGET], path)
    parameters = {p.name: p for p in signature(target).parameters.values()}
    given = [key for key in node if key not in (TARGET, PARTIAL)]
    for key in given:
        if key not in parameters:
            told = nearest(str(key), list(parameters))
            raise InputError(f"{path}.{key}: {node[TARGET]} takes no '{key}'. {told}")
    if not isinstance(node.get(PARTIAL, False), bool):
        raise InputError(f"{path}.{PARTIAL}: must be true or false, got {node[PARTIAL]!r}.")
    required = [n for n, p in parameters.items() if p.default is p.empty and p.kind is p.KEYWORD_ONLY]
    missing = [name for name in required if name not in node]
    if missing and not node.get(PARTIAL):
        raise InputError(f"{path}: {node[TARGET]} needs {', '.join(missing)}. Give {path}.{missing[0]} a value.")
    hints = _hints(target, path)
    for key in given:
        if key in hints and not _has_target(node[key]):
            _check_value(node[key], hints[key], f"{path}.{key}")
        elif key in hints:
            _check_part(node[key], hints[key], f"{path}.{key}")


def _hints(target: Any, path: str) -> dict[str, Any]:
    try:
        return get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except NameError:  # a record of results, whose kinds are known to type checkers alone
        name = f"{target.__module__}.{target.__qualname__}"
        raise InputError(f"{path}: the target '{name}' is nothing that a configuration describes.") from None


def _check_part(node: Any, hint: Any, path: str) -> None:
    """Hold the class of a part, or of each of several, against those that its place takes."""
    if not (isinstance(node, Mapping) and TARGET in node):
        inner = get_args(hint)[-1:] if get_origin(hint) in (Mapping, Sequence, dict, list) else ()
        children = node.items() if isinstance(node, Mapping) else enumerate(node) if _is_list(node) else ()
        for key, child in children if inner else ():
            _check_part(child, inner[0], f"{path}.{key}")
        return
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if not all(inspect.isclass(kind) for kind in kinds):
        return
    target = _load(node[TARGET], path)
    if node.get(PARTIAL) or not (inspect.isclass(target) and any(_fills(target, kind) for kind in kinds)):
        wanted = " or ".join(kind.__name__ for kind in kinds if kind is not type(None))
        raise InputError(f"{path}: describes {node[TARGET]}, where a {wanted} belongs.")


def _fills(cls: type, kind: Any) -> bool:
    """Whether a class is of a kind: below it, or with functions of as many arguments as those of a protocol."""
    if not getattr(kind, "_is_protocol", False):
        return issubclass(cls, kind)
    added = ("__init__", "__subclasshook__")  # by Python
    names = [name for name, member in vars(kind).items() if inspect.isfunction(member) and name not in added]
    pairs = ((getattr(cls, name, None), getattr(kind, name)) for name in names)
    return all(callable(a) and len(signature(a).parameters) == len(signature(b).parameters) for a, b in pairs)


def _check_value(value: Any, hint: Any, path: str) -> None:
    from typeguard import TypeCheckError, check_type

    if isinstance(value, Mapping) and not value:
        return
    try:
        check_type(tuple(value) if isinstance(value, list) and "tuple[" in str(hint) else value, hint)
    except TypeCheckError as error:
        wanted = getattr(hint, "__name__", None) if inspect.isclass(hint) else str(hint)
        wanted = str(wanted).replace("collections.abc.", "").replace("typing.", "")
        raise InputError(f"{path}: got {value!r}, but it must be of type {wanted} ({error}).") from None


def _load(target: Any, path: str) -> Any:
    if not (isinstance(target, str) and NAME.fullmatch(target) and target.startswith(ALLOWED)):
        raise InputError(f"{path}: the target {target!r} is not allowed (only {', '.join(ALLOWED)}*).")
    module, _, name = target.rpartition(".")
    try:
        found = getattr(import_module(module), name)
    except (ImportError, AttributeError):
        raise InputError(f"{path}: there is no '{target}'. Check the spelling of _target_.") from None
    if not (_is_optimizer(found) or _is_own(found, module)):
        raise InputError(f"{path}: the target '{target}' is not allowed (only classes that a configuration describes).")
    return found


def _is_own(found: Any, module: str) -> bool:
    """Whether a room defines it itself: what a module merely imports is no part of a configuration."""
    kind = inspect.isclass(found) or (inspect.isfunction(found) and module.startswith("telucodec.nn."))
    return kind and found.__module__ == module and module.startswith("telucodec.")


def _is_optimizer(found: Any) -> bool:
    from torch.optim import Optimizer

    return inspect.isclass(found) and issubclass(found, Optimizer) and found is not Optimizer


def _has_target(value: Any) -> bool:
    return any(True for _ in targets(value))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
