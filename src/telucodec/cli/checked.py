"""What is checked of a run's words and values before any of its parts is built."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from telucodec.cli.loading import load
from telucodec.errors import InputError


def of_sweep(override: str) -> bool:
    """Whether an override belongs to conf/sweep.yaml.

    >>> of_sweep("sweep.jobs=2"), of_sweep("launcher=ray"), of_sweep("seed=0,1")
    (True, True, False)
    """
    return bool(re.match(r"[+~]*(launcher|sweeper|sweep)([.=@]|$)", override))


def check_top(config: dict[str, Any]) -> None:
    """Check the values that no class owns, and that this code reads such a configuration.

    Raises:
        InputError: one is out of range; the message names it.
    """
    check_values(config)
    load("telucodec.training.fit")  # from here on all of it is needed
    from telucodec.models.stored import check_version

    check_version(config, Path("conf/train.yaml"))


def check_values(config: Mapping[str, Any]) -> None:
    """Check the values that no class owns.

    Raises:
        InputError: one is out of range; the message names it.
    """
    for key, least in (("max_steps", 1), ("sample_rate", 1), ("seed", 0)):
        if not isinstance(config[key], int) or isinstance(config[key], bool) or config[key] < least:
            raise InputError(f"{key}: must be a whole number >= {least}, got {config[key]!r}.")
    if not re.fullmatch(r"[\w][\w.+-]*", str(config["name"])):
        raise InputError(f"name: must be a word of letters, digits and ._+-, got {config['name']!r}.")
