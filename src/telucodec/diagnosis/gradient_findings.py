"""What the gradients of all terms come to: norms, shares, cosines, and the part of each in what a clip cuts."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from math import isfinite
from typing import Literal

import torch
from torch import Tensor

Site = Literal["audio", "gain", "encoded", "weights"]


@dataclass(frozen=True)
class GradientFindings:
    """Gradients of unweighted terms, as their inner products: everything that is logged follows from these.

    A term that does not reach a site has the norm 0 there, and no cosine.
    """

    index: int  # generator updates made before the step whose terms these are
    weights: Mapping[str, float]  # term -> factor on its gradient, see `Combine.in_force`; NaN: not known yet
    products: Mapping[Site, Tensor]  # site -> inner products of the terms' gradients, [terms, terms] in float64
    louder: Mapping[str, float]  # term -> d value / d ln(gain): below 0, the term falls as the output gets louder
    output_scale: Mapping[str, float]  # term -> d value / d output_scale; empty where no scale is learned

    def norms(self, site: Site) -> dict[str, float]:
        """Norm of each term's gradient at a site, unweighted."""
        return self._by_term(self.products[site].diagonal().sqrt())

    def shares(self, site: Site) -> dict[str, float]:
        """Weighted norm of each term over the sum of all; empty where that is 0 or a weight is not known yet."""
        pulls = self._weights() * self.products[site].diagonal().sqrt()
        return self._by_term(pulls / pulls.sum()) if pulls.sum() > 0 else {}

    def cosines(self, site: Site) -> dict[tuple[str, str], float]:
        """Cosine of the angle between two terms' gradients, for pairs that both reach the site."""
        norms, products = self.norms(site), self.products[site].tolist()
        pairs = combinations(enumerate(norms), 2)
        return {(a, b): products[i][j] / (norms[a] * norms[b]) for (i, a), (j, b) in pairs if norms[a] > 0 < norms[b]}

    def clip_parts(self) -> dict[str, float]:
        """<w g, G> / |G|^2 with G = sum of w g over the weights: the part of each term in what a clip cuts.

        The parts sum to 1; a part below 0 is of a term that the others work against.
        """
        if "weights" not in self.products:
            return {}
        weights = self._weights()
        parts = weights * (self.products["weights"] @ weights)
        return self._by_term(parts / parts.sum()) if parts.sum() > 0 else {}

    def figures(self) -> dict[str, float]:
        """Key of the log -> value; what is undefined is absent."""
        found: dict[str, float] = {}
        for site in self.products:
            signed = self.louder if site == "gain" else self.norms(site)
            found |= {f"gradient/{site}/{name}": value for name, value in signed.items()}
            found |= {f"gradient_share/{site}/{name}": value for name, value in self.shares(site).items()}
            if site != "gain":
                found |= {f"gradient_cosine/{site}/{a}~{b}": value for (a, b), value in self.cosines(site).items()}
        found |= {f"gradient/output_scale/{name}": value for name, value in self.output_scale.items()}
        found |= {f"gradient_clip/{name}": value for name, value in self.clip_parts().items()}
        return {key: value for key, value in found.items() if isfinite(value)}

    def _weights(self) -> Tensor:
        return torch.tensor(list(self.weights.values()), dtype=torch.float64)

    def _by_term(self, values: Tensor) -> dict[str, float]:
        return dict(zip(self.weights, values.tolist(), strict=True))
