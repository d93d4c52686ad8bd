"""Small ledgers for tests."""

from functools import cache
from pathlib import Path

import yaml

from telucodec.cli.compose import conf_dir
from telucodec.study.claims.ledger import Ledger, read_ledger
from telucodec.study.claims.verdicts import Judged, judge
from telucodec.study.claims.vocabulary import Vocabulary, vocabulary

HEADER = {
    "documents": {"s001": {"file": "one.md", "lr": 1e-3, "line": 4}},
    "rate_bound": {"kbps": 8, "snr": 28, "why": "measured"},
    "target_rms": {"highest": 0.35, "why": "measured"},
    "steps_per_epoch": {"stated": 3, "granted": 100, "why": "a guess"},
    "betas": [0.0, 0.0],  # each step moves exactly lr, whatever the gradients: reach = lr x steps
    "n_q": 4,
}


@cache
def known() -> Vocabulary:
    return vocabulary(conf_dir())


def claim(name="A1", **fields):
    """One claim; whatever is not said has a harmless value."""
    whole = {"id": name, "says": "something", "source": [{"file": "one.md", "lines": [1]}], "kind": "prediction"}
    whole |= {key.rstrip("_"): value for key, value in fields.items()}
    return {key: value for key, value in whole.items() if value is not None}


def says(metric, *ends, at=5, **more):
    """A prediction: one value, or a range."""
    return {"metric": metric, "at": {"epoch": at}, "range": [ends[0], ends[-1]]} | {
        key.rstrip("_"): value for key, value in more.items()
    }


def write(folder: Path, *claims, **header) -> Path:
    path = folder / "ledger.yaml"
    path.write_text(yaml.safe_dump({"header": HEADER | header, "claims": list(claims)}))
    return path


def ledger(folder: Path, *claims, **header) -> Ledger:
    return read_ledger(write(folder, *claims, **header), known())


def verdicts(folder: Path, *claims, granted=100, **header) -> list[str]:
    return [each.verdict for each in judge(ledger(folder, *claims, **header), granted)]


def judged(folder: Path, *claims, granted=100, **header) -> Judged:
    """The first one."""
    return judge(ledger(folder, *claims, **header), granted)[0]
