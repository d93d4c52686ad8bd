"""Half of the time of composing, saved: the tests compose more than a thousand configurations of sixty files each.

Hydra parses each file anew for each configuration, and makes for each a map of all choices, which only interpolations
in defaults lists read. There are none in conf/: with one, composing fails here.
"""

from functools import cache
from types import SimpleNamespace
from typing import Any, TextIO

import yaml
from hydra._internal import defaults_list
from hydra._internal.core_plugins import file_config_source
from omegaconf import OmegaConf
from omegaconf._utils import get_yaml_loader

AS_HYDRA_HAS_IT = (defaults_list._create_interpolation_map, file_config_source.OmegaConf)


@cache
def parsed(text: str) -> Any:
    return yaml.load(text, Loader=get_yaml_loader())


def load(file: TextIO) -> Any:
    """As OmegaConf.load, for the files of Hydra's groups: a mapping or nothing."""
    return OmegaConf.create(parsed(file.read()) or {})


def switch(on: bool) -> None:
    """Compose quickly, or as Hydra does."""
    quick = (lambda *_: None, SimpleNamespace(load=load))
    defaults_list._create_interpolation_map, file_config_source.OmegaConf = quick if on else AS_HYDRA_HAS_IT
