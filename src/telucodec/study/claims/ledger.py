"""The ledger: what documents state, read and held against what exists."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from telucodec.build import nearest
from telucodec.errors import InputError
from telucodec.reading import read_yaml
from telucodec.study.claims.arithmetic import evaluate, keys
from telucodec.study.claims.claim import Claim, Header
from telucodec.study.claims.strict import read
from telucodec.study.claims.values import Written
from telucodec.study.claims.vocabulary import Vocabulary


class _Loader(yaml.SafeLoader):
    """YAML whose numbers with a point keep their digits."""

    def written(self, node: yaml.ScalarNode) -> float:
        value = self.construct_yaml_float(node)
        text = node.value.replace("_", "")
        return Written(text) if math.isfinite(value) and ":" not in text else value  # 1:30.5 counts in sixties


_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.written)


@dataclass(frozen=True)
class Ledger:
    """Claims with what holds for all of them."""

    header: Header
    claims: Mapping[str, Claim]  # by id, in order


def read_ledger(path: Path, vocabulary: Vocabulary) -> Ledger:
    """Read a ledger and hold every name in it against what exists.

    Raises:
        InputError: it cannot be read, or a claim is not whole; the message names the claim and the key.
    """
    node = _load(path)
    header = read(Header, node["header"], f"{path}: header")
    entries: list[Any] = node["claims"]
    names = [str(e.get("id", n)) if isinstance(e, Mapping) else str(n) for n, e in enumerate(entries, 1)]
    claims = [read(Claim, entry, f"claim {name}") for name, entry in zip(names, entries, strict=True)]
    twice = [name for name, count in Counter(claim.id for claim in claims).items() if count > 1]
    if twice:
        raise InputError(f"claim {twice[0]}: there are two of this id. Give each its own.")
    ledger = Ledger(header, {claim.id: claim for claim in claims})
    for claim in claims:
        for check in CHECKS:
            for why in check(claim, ledger, vocabulary):
                raise InputError(f"claim {claim.id}, {why}")
    return ledger


def _load(path: Path) -> dict[str, Any]:
    node = read_yaml(path, _Loader, "Give the path of a ledger.")
    whole = isinstance(node, dict) and sorted(map(str, node)) == ["claims", "header"]
    if not whole or not isinstance(node["claims"], list) or not node["claims"]:
        raise InputError(f"{path}: must have the keys header and claims, a list, and no others.")
    return dict(node)


def _sources(claim: Claim, ledger: Ledger, vocabulary: Vocabulary) -> Iterator[str]:
    files = [document.file for document in ledger.header.documents.values()]
    if not claim.source:
        yield "source: is empty. Say where it is written."
    for source in claim.source:
        if source.file not in files:
            yield f"source: {source.file} is no document of the header. {nearest(source.file, files)}"
        for lines in source.lines or ("",):
            told = re.fullmatch(r"(\d+)(?:-(\d+))?", str(lines))
            if not told or int(told[1]) > int(told[2] or told[1]):
                yield f"source: '{lines}' is neither a line nor a range of lines like 23-39."


def _content(claim: Claim, ledger: Ledger, vocabulary: Vocabulary) -> Iterator[str]:
    said = ("predicts", "effects", "sign", "law", "arithmetic", "moments", "gain", "states", "checked")
    if not any(getattr(claim, key) for key in said):
        yield f"says: nothing in it can be checked. Give one of {', '.join(said)}."
    if (claim.kind == "citation") != (claim.checked is not None):
        yield "checked: citations have it, and no other kind has."


def _names(claim: Claim, ledger: Ledger, vocabulary: Vocabulary) -> Iterator[str]:
    presets = [claim.preset, *(prediction.preset for prediction in claim.predicts)]
    overlays = [name for effect in claim.effects for name in (*effect.switch, *(effect.against or ()))]
    asked = [("preset", name, vocabulary.presets) for name in presets if name is not None]
    asked += [("switch", name, vocabulary.switches) for name in overlays]
    asked += [("with", name, frozenset(ledger.claims) - {claim.id}) for name in claim.with_]
    for key, name, known in asked:
        if name not in known:
            yield f"{key}: there is no {name}. {nearest(name, sorted(known))}"


def _metrics(claim: Claim, ledger: Ledger, vocabulary: Vocabulary) -> Iterator[str]:
    metrics = [prediction.metric for prediction in claim.predicts] + [effect.metric for effect in claim.effects]
    metrics += [claim.sign.metric, claim.sign.of] if claim.sign else []
    for metric in metrics:
        named = keys(metric)
        for name in named or [metric]:
            if not vocabulary.knows(name):
                yield f"metric: nothing computes {name}. {_near(name, vocabulary.metrics)}"
        yield from _unreadable("metric", metric, {name: n + 0.5 for n, name in enumerate(named, 1)})


def _near(name: str, metrics: frozenset[str]) -> str:
    group = sorted(metric for metric in metrics if metric.partition("/")[0] == name.partition("/")[0])
    hint = nearest(name, sorted(metrics))
    if hint.startswith("Did") or group:
        return hint if hint.startswith("Did") else f"Choose from: {', '.join(group)}."
    return f"Keys begin with {', '.join(sorted({metric.partition('/')[0] + '/' for metric in metrics}))}."


def _arithmetic(claim: Claim, ledger: Ledger, vocabulary: Vocabulary) -> Iterator[str]:
    for equation in claim.arithmetic:
        yield from _unreadable("arithmetic", equation.expression, {})
        if not math.isfinite(equation.stated):
            yield f"arithmetic: stated must be a number, got {equation.stated}."


def _effects(claim: Claim, ledger: Ledger, vocabulary: Vocabulary) -> Iterator[str]:
    if any((effect.direction is None) == (effect.factor is None) for effect in claim.effects):
        yield "effects: give either a direction or a factor."


def _predictions(claim: Claim, ledger: Ledger, vocabulary: Vocabulary) -> Iterator[str]:
    for (metric, at, _), count in Counter((p.metric, p.at, p.preset) for p in claim.predicts).items():
        if count > 1:
            yield f"predicts: {metric} has two ranges at {at}."
    for prediction in claim.predicts:
        low, high = prediction.range
        if prediction.point is not None and not low <= prediction.point <= high:
            yield f"predicts: the point {prediction.point} lies outside the range {prediction.range}."
        if prediction.from_ is None:
            continue
        if not math.isfinite(prediction.from_):
            yield f"predicts: 'from' must be a number, got {prediction.from_}."
        if (prediction.preset or claim.preset) not in ledger.header.documents:
            yield "predicts: 'from' needs a preset that the header has a learning rate for."


def _unreadable(key: str, expression: str, figures: Mapping[str, float]) -> Iterator[str]:
    try:
        evaluate(expression, figures)
    except ValueError as error:
        yield f"{key}: {error}."


CHECKS: Sequence[Callable[[Claim, Ledger, Vocabulary], Iterator[str]]] = (
    _sources, _content, _names, _metrics, _arithmetic, _effects, _predictions,
)  # fmt: skip
