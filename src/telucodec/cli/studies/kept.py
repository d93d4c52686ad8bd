"""Composed arms, kept beside a study's runs: composing takes a quarter of a second each, and status is asked often."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from telucodec.cli.compose import conf_dir
from telucodec.disk import write_text
from telucodec.errors import InputError
from telucodec.reading import held, read_json
from telucodec.training.version import code_version

FILE = "composed.json"
DECIDES = ("studies/arms.py", "compose.py", "contradictions.py")  # the code that composes


class Kept:
    """What was composed before, as long as neither the configuration nor the code has changed.

    Args:
        path: the file that it is in; None: nothing is kept.
        config_dir: the user's own groups.
    """

    def __init__(self, path: Path | None, config_dir: Path | None) -> None:
        self.path, self.of = path, _digest(config_dir)
        self.before: dict[str, Any] = {}
        self.now: dict[str, Any] = {}
        try:
            told = held(read_json(path), {"of": str, "arms": dict}, FILE) if path else {}
            self.before = told["arms"] if told.get("of") == self.of else {}
        except InputError:
            pass  # composing again is all that it costs

    def find(self, what: Sequence[Any]) -> Mapping[str, Any] | None:
        """What was kept of this."""
        key = json.dumps(what)
        if key in self.before:
            self.now[key] = self.before[key]
        return self.now.get(key)

    def keep(self, what: Sequence[Any], made: Mapping[str, Any]) -> None:
        """Keep something of this."""
        self.now[json.dumps(what)] = made

    def write(self) -> None:
        """Put what was found or kept into the file, if there is anything new."""
        if self.path and not self.now.keys() <= self.before.keys():
            write_text(self.path, json.dumps({"of": self.of, "arms": self.before | self.now}) + "\n")


def _digest(config_dir: Path | None) -> str:
    here = Path(__file__).parents[1]
    homes = [conf_dir(), *([config_dir] if config_dir else [])]
    paths = [path for home in homes for path in sorted(home.rglob("*.yaml"))]
    digest = hashlib.sha256(code_version().encode())
    for path in (*paths, *(here / name for name in DECIDES)):
        digest.update(f"{path}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]
