"""Hydra without its launcher: overrides in, a plain configuration or a helpful error out."""

import re
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

import telucodec
from telucodec.build import nearest
from telucodec.errors import InputError

TRAIN = "train"  # conf/train.yaml: what a run is made of
OPEN = ("ceilings", "parameter_groups", "targets")  # what is below them has names of the user's own


def conf_dir() -> Path:
    """The configuration folder: inside an installed package, or beside src/ in a checkout."""
    package = Path(telucodec.__file__).parent
    return next(path for path in (package / "conf", package.parents[1] / "conf") if path.is_dir())


def compose_config(overrides: Sequence[str], config_dir: Path | None, root: str = TRAIN) -> dict[str, Any]:
    """Compose train.yaml with overrides into plain, resolved containers.

    Args:
        overrides: as on the command line: group=choice, key=value, +new=value, ~gone.
        config_dir: a folder of the user's own groups, searched beside ours.
        root: the file to begin with: "train" or "sweep".

    Raises:
        InputError: an override names no key or no choice, or its value cannot be parsed; the nearest is named.
    """
    try:
        plain: Any = OmegaConf.to_container(compose_checked(overrides, config_dir, root), resolve=True)
    except OmegaConfBaseException as error:
        raise InputError(_first_lines(error)) from None
    return {str(k): v for k, v in plain.items()}


def compose_checked(overrides: Sequence[str], config_dir: Path | None, root: str = TRAIN) -> DictConfig:
    """As `compose_config`, with interpolations as they are written.

    Raises:
        InputError: as `compose_config`.
    """
    if config_dir is not None and not config_dir.is_dir():
        raise InputError(f"--config-dir {config_dir}: no such folder.")
    if config_dir is not None:
        _refuse_shadows(config_dir)
    try:
        cfg = _compose(overrides, root, config_dir)
        if config_dir is not None or any(map(_adds, overrides)):  # our own files bring none, and composing takes long
            _refuse_unread(cfg, root)
    except OverrideParseException as error:
        raise InputError(
            f"{error.override}: cannot be parsed. Write key=value; quote values that hold , = or spaces."
        ) from None
    except MissingConfigException as error:
        raise InputError(_unknown_choice(error)) from None
    except ConfigCompositionException as error:
        raise InputError(_unknown_key(error, overrides, root, config_dir)) from None
    except (OmegaConfBaseException, HydraException) as error:
        raise InputError(_first_lines(error)) from None
    return cfg


def own_names(message: str) -> str:
    """A message with the keys that a user types: `encoder`, not its repetition as `training.codec.encoder`.

    >>> own_names("training.codec.encoder: strides ... and loader.source.source: ...")
    'encoder: strides ... and data: ...'
    """
    repeated = {
        path: value[2:-1]
        for path, value in leaves(OmegaConf.to_container(_default(TRAIN), resolve=False))
        if isinstance(value, str) and re.fullmatch(r"\$\{[\w.]+\}", value)
    }
    before = ""
    while before != message:
        before = message
        for path, name in repeated.items():
            message = re.sub(rf"(?<![\w.]){re.escape(path)}(?![\w])", name, message)
    return message


def sweep(overrides: Sequence[str], config_dir: Path | None) -> Iterator[list[str]]:
    """Expand `key=a,b` and `group=glob(*)` into one list of overrides a job, the last one varying fastest.

    Raises:
        InputError: an override cannot be parsed or swept over, or matches nothing.
    """
    parser = OverridesParser.create()
    try:
        parsed = parser.parse_overrides(list(overrides))
        choices = [_choices(override, config_dir) for override in parsed]
    except OverrideParseException as error:
        raise InputError(f"{error.override}: cannot be parsed. Write key=a,b,c to sweep over values.") from None
    except HydraException as error:
        raise InputError(f"{_first_lines(error)} Write key=a,b,c to sweep over values.") from None
    for combination in product(*choices):
        yield list(combination)


def _choices(override: Override, config_dir: Path | None) -> list[str]:
    if not override.is_sweep_override():
        return [override.input_line or ""]
    chosen: Any = override.value()
    if override.is_interval_sweep():
        told = f"{override.input_line}: an interval has no list of values; only a search takes it (sweeper=optuna)."
        raise InputError(f"{told} Write {override.get_key_element()}=a,b,c to make every combination.")
    if not isinstance(chosen, Glob):
        return [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
    group = override.key_or_group
    names = chosen.filter(members(group, config_dir))
    if not names:
        raise InputError(f"{override.input_line}: matches no file of conf/{group}.")
    return [f"{group}={name}" for name in names]


def _compose(overrides: Sequence[str], root: str, config_dir: Path | None = None) -> DictConfig:
    """As Hydra composes: what the choices of groups come to first, which takes long and is kept; then single values."""
    parsed = OverridesParser.create().parse_overrides(list(overrides))
    values = [each for each in parsed if _is_value(each, config_dir)]
    cfg = deepcopy(_chosen(tuple(str(each.input_line) for each in parsed if each not in values), root, config_dir))
    ConfigLoaderImpl._apply_overrides_to_config(values, cfg)
    return cfg


def _is_value(override: Override, config_dir: Path | None) -> bool:
    """Whether it only sets a value, and changes nothing about which files are read: Hydra's own rule."""
    if override.is_hydra_override() or override.is_sweep_override():  # these are for Hydra to refuse
        return False
    return isinstance(override.value(), dict) or not any(map(Path.is_dir, _homes(override.key_or_group, config_dir)))


@lru_cache(maxsize=32)  # some megabytes each
def _chosen(choices: tuple[str, ...], root: str, config_dir: Path | None) -> DictConfig:
    GlobalHydra.instance().clear()
    search = [f"hydra.searchpath=['file://{config_dir.resolve()}']"] if config_dir else []
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose(root, overrides=[*search, *choices])


def _homes(group: str, config_dir: Path | None) -> list[Path]:
    return [home / group for home in (conf_dir(), config_dir) if home]


def _refuse_shadows(config_dir: Path) -> None:
    """Hydra would read ours instead."""
    for path in sorted(config_dir.glob("*/*.yaml")):
        if (conf_dir() / path.relative_to(config_dir)).exists():
            raise InputError(
                f"{path}: there is a {path.parent.name}/{path.stem} in our own folder too. Give yours another name."
            )


def _default(root: str) -> DictConfig:
    return _chosen((), root, None)


def _adds(override: str) -> bool:
    return override.lstrip().startswith("+")


def _refuse_unread(cfg: DictConfig, root: str) -> None:
    known = [str(key) for key in _default(root)]
    unread = [str(key) for key in cfg if key not in known]
    if unread:
        raise InputError(f"{unread[0]}: nothing reads this key. {_nearest_key(unread[0], known)}")


def members(group: str, config_dir: Path | None = None) -> list[str]:
    """The choices of a config group, ours and the user's own."""
    return sorted({path.stem for home in _homes(group.split("@")[0], config_dir) for path in home.glob("*.yaml")})


def _unknown_choice(error: MissingConfigException) -> str:
    text = str(error)
    found = re.search(r"Could not find '([^']+)'", text)
    choice = found[1] if found else (error.missing_cfg_file or "")
    group, _, name = choice.rpartition("/")
    options = [str(option) for option in error.options or members(group)]
    return f"{group}={name}: there is no such choice. {nearest(name, options)}"


def _unknown_key(
    error: ConfigCompositionException, overrides: Sequence[str], root: str, config_dir: Path | None
) -> str:
    found = re.search(r"Could not (?:override|delete[^']*|append[^']*) '([^']+)'", str(error))
    if not found:
        return _first_lines(error)
    key = found[1].lstrip("/")
    choices = [o for o in overrides if any(map(Path.is_dir, _homes(re.split("[=@]", o)[0], config_dir)))]
    try:
        chosen = _compose(choices, root, config_dir)
    except (OmegaConfBaseException, HydraException):  # one of the choices is wrong too: the plain keys must do
        chosen = _default(root)
    keys = [path for path, _ in leaves(OmegaConf.to_container(chosen, resolve=False))]
    if key in keys:
        return f"{key}: what is in the braces is not there yet. Write +{key}={{...}}, in quotes for the shell."
    home = key.partition(".")[0]
    if home in OPEN and not any(known.startswith(f"{home}.") for known in keys):
        return f"{key}: is not there yet. Write +{key}=..., in quotes for the shell."
    return f"{key}: there is no such key. {_nearest_key(key, keys)}"


def _nearest_key(key: str, keys: Sequence[str]) -> str:
    import difflib

    close = difflib.get_close_matches(key, keys, n=1, cutoff=0.6)
    if close:
        return f"Did you mean '{close[0]}'?"
    same = [k for k in keys if k.rpartition(".")[2] == key.rpartition(".")[2]]
    hint = f"Did you mean '{same[0]}'? " if same else ""
    return f"{hint}`telucodec train --cfg` prints all keys; +{key}=... adds a new one."


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key below a node by its whole path, with its value; containers before what is in them."""
    for key, value in node.items():
        yield f"{prefix}{key}", value
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")


def _first_lines(error: Exception) -> str:
    return " ".join(line.strip() for line in str(error).splitlines()[:3] if line.strip())
