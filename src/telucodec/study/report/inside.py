"""What pulls at the encoder and how the codebooks are used, at the end of each arm's runs."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from telucodec.study.report.series import short
from telucodec.study.results.run import Ran

SITES = {
    "encoded": "at the encoder's output",
    "audio": "at the decoder's output",
    "gain": "on the gain of the output",
    "weights": "at the codec's weights",
}
SHARE = re.compile(r"gradient_share/(\w+)/(.+)")
LAYER = re.compile(r"codebook/(\d+)/(usage|perplexity)")


def gradient_shares(by_arm: Mapping[str, Sequence[Ran]]) -> dict[str, Any]:
    """Site -> its name, its terms, and number of the arm -> each term's share of the weighted gradients.

    Means over the seeds' last rows that hold them; a term that an arm lacks has 0.
    """
    found: dict[str, dict[int, dict[str, float]]] = {}
    for number, runs in enumerate(by_arm.values()):
        for key, value in _last(runs, "gradient_share/").items():
            told = SHARE.fullmatch(key)
            if told:
                found.setdefault(told[1], {}).setdefault(number, {})[told[2]] = value
    return {
        site: {"label": SITES.get(site, site)} | _aligned(found[site])
        for site in sorted(found, key=lambda name: [*SITES, name].index(name))
    }


def codebook_use(by_arm: Mapping[str, Sequence[Ran]]) -> dict[str, dict[int, list[float | None]]]:
    """Usage and perplexity -> number of the arm -> one value a layer, mean over seeds at their last validation."""
    found: dict[str, dict[int, list[float | None]]] = {"usage": {}, "perplexity": {}}
    for number, runs in enumerate(by_arm.values()):
        layers: dict[str, dict[int, float]] = {"usage": {}, "perplexity": {}}
        for key, value in _last(runs, "codebook/").items():
            told = LAYER.fullmatch(key)
            if told:
                layers[told[2]][int(told[1])] = value
        for name, values in layers.items():
            if values:
                found[name][number] = [short(values.get(layer)) for layer in range(max(values) + 1)]
    return {name: values for name, values in found.items() if values}


def _aligned(by_arm: Mapping[int, Mapping[str, float]]) -> dict[str, Any]:
    terms = list(dict.fromkeys(term for shares in by_arm.values() for term in shares))
    return {"terms": terms, "arms": {n: [short(shares.get(t, 0.0)) for t in terms] for n, shares in by_arm.items()}}


def _last(runs: Sequence[Ran], prefix: str) -> dict[str, float]:
    """Key -> mean over runs of its last finite value in each."""
    values: dict[str, list[float]] = {}
    for ran in runs:
        newest = {k: v for row in ran.rows.values() for k, v in row.items() if k.startswith(prefix) and v == v}
        for key, value in newest.items():
            values.setdefault(key, []).append(value)
    return {key: sum(each) / len(each) for key, each in values.items()}
