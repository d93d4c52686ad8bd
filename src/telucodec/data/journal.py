"""Results kept line by line while a long command runs, so that a second start goes on where the first was stopped."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from telucodec.data.measure import Measured, Refused
from telucodec.disk import write_text

Outcome = Measured | Refused


class Journal:
    """A file of finished jobs by key, appended to as they finish.

    A line cut short by a kill is dropped at the next start, and its job done again.

    Args:
        path: of the file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: dict[str, Outcome] = {}
        self.outputs: dict[str, str] = {}  # key -> the file that was made, relative to the journal's folder
        if path.exists():
            for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
                self._load(line)

    def __enter__(self) -> "Journal":
        write_text(self.path, "".join(self._line(key) for key in self.outcomes))  # whole lines only
        self.file = self.path.open("a", encoding="utf-8", buffering=1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.file.close()

    def add(self, key: str, outcome: Outcome, output: str = "") -> None:
        """Keep one outcome; it is with the operating system when this returns."""
        self.outcomes[key] = outcome
        self.outputs[key] = output
        self.file.write(self._line(key))

    def keep_only(self, keys: Iterable[str]) -> set[str]:
        """Forget all other outcomes, on disk too.

        Returns:
            The outputs of the forgotten that no kept outcome has.
        """
        kept = sorted(set(keys) & self.outcomes.keys())
        stale = set(self.outputs.values()) - {self.outputs[key] for key in kept} - {""}
        self.outcomes = {key: self.outcomes[key] for key in kept}
        self.outputs = {key: self.outputs[key] for key in kept}
        write_text(self.path, "".join(self._line(key) for key in kept))
        return stale

    def _line(self, key: str) -> str:
        outcome = self.outcomes[key]
        row = {"key": key, "output": self.outputs[key], type(outcome).__name__.lower(): asdict(outcome)}
        return json.dumps(row) + "\n"

    def _load(self, line: str) -> None:
        try:
            row: dict[str, Any] = json.loads(line)
            outcome = Measured(**row["measured"]) if "measured" in row else Refused(**row["refused"])
            output = row["output"]
            if ".." not in Path(output).parts and not Path(output).is_absolute():  # what is stale will be deleted
                self.outcomes[row["key"]], self.outputs[row["key"]] = outcome, output
        except (ValueError, KeyError, TypeError, RecursionError):
            return


def journal_key(path: Path, name: str, *rules: object) -> str:
    """What tells a finished job from one to be done again: name, size and time of the file, and the rules.

    Raises:
        OSError: the file is not there.
    """
    status = path.stat()
    told = [name, status.st_size, status.st_mtime_ns, *map(repr, rules)]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]
