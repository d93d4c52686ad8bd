"""A config node -> the object it describes, held against an allow-list of targets and each target's own signature.

A config is data: it may come with a downloaded codec, and must not be able to run any code it names.
"""

import difflib
import inspect
import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, get_type_hints

from telucodec.errors import InputError

ROOMS = ("nn", "quantization", "adversarial", "losses", "metrics", "data", "models", "diagnosis", "training")
PICKED = ("terms.terms", "discriminators", "stages", "metrics", "probes")  # where parts are picked from a group by name
ALLOWED = (*(f"telucodec.{room}." for room in ROOMS), "torch.optim.")


def build(node: Mapping[str, Any], path: str) -> Any:
    """Instantiate a node and everything below it.

    Args:
        node: plain, resolved containers with `_target_` keys.
        path: the node's place in the config, to name in errors.

    Raises:
        InputError: a target is not allowed, a key is unknown or missing, or a value is refused; the message names the
            key and what is allowed.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    check(node, path)
    try:
        return instantiate(dict(node), _convert_="all")
    except InstantiationException as error:
        below = re.search(r"full_key: (\S+)", str(error))
        raise InputError(f"{path}{'.' + below[1] if below else ''}: {error.__cause__ or error}") from error


def check(node: Any, path: str) -> None:
    """Hold every target, key and value below a node against the code that it names.

    Raises:
        InputError: as `build`.
    """
    if isinstance(node, Mapping) and "_target_" in node and path.endswith(PICKED):
        raise InputError(
            f"{path}: names a class where a list of named parts belongs. Begin the file with a line like "
            "`# @package loss.NAME` (or output, discriminator, metric, probe)."
        )
    if isinstance(node, Mapping) and "_target_" not in node and _has_target(node):
        for key, child in node.items():
            if isinstance(child, Mapping) and "_target_" not in child:
                raise InputError(
                    f"{path}.{key}: names no class. Choose '{key}' in the list of its group, or leave it out."
                )
    children = node.items() if isinstance(node, Mapping) else enumerate(node) if _is_list(node) else ()
    if isinstance(node, Mapping) and "_target_" in node:
        _check_call(node, path)
    for key, child in children:
        check(child, f"{path}.{key}")


def nearest(word: str, words: Sequence[str]) -> str:
    """A hint for a misspelt word: the closest of `words` if one is close, else all of them.

    >>> nearest("wieght", ["weight", "start"])
    "Did you mean 'weight'?"
    >>> nearest("x", ["weight", "start"])
    'Choose from: start, weight.'
    """
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else f"Choose from: {', '.join(sorted(words))}."


def _check_call(node: Mapping[str, Any], path: str) -> None:
    target = _load(str(node["_target_"]), path)
    parameters = {p.name: p for p in inspect.signature(target).parameters.values()}
    given = [key for key in node if not str(key).startswith("_")]
    for key in given:
        if key not in parameters:
            raise InputError(f"{path}.{key}: {node['_target_']} takes no '{key}'. {nearest(key, list(parameters))}")
    required = [n for n, p in parameters.items() if p.default is p.empty and p.kind is p.KEYWORD_ONLY]
    missing = [name for name in required if name not in node]
    if missing and not node.get("_partial_"):
        raise InputError(f"{path}: {node['_target_']} needs {', '.join(missing)}. Give {path}.{missing[0]} a value.")
    hints = get_type_hints(target.__init__ if inspect.isclass(target) else target)
    for key in given:
        if key in hints and not _has_target(node[key]):
            _check_value(node[key], hints[key], f"{path}.{key}")


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


def _load(target: str, path: str) -> Any:
    module, _, name = target.rpartition(".")
    if not target.startswith(ALLOWED):
        raise InputError(f"{path}: the target '{target}' is not allowed (only {', '.join(ALLOWED)}*).")
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

    return inspect.isclass(found) and issubclass(found, Optimizer)


def _has_target(value: Any) -> bool:
    if isinstance(value, Mapping):
        return "_target_" in value or any(_has_target(child) for child in value.values())
    return _is_list(value) and any(_has_target(child) for child in value)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
