"""Level figures of the quiet, the medium and the loud third of the utterances."""

from collections.abc import Sequence

from telucodec.metrics.level import Moments, pooled

STRATA = ("quiet", "medium", "loud")
FIGURES = ("snr", "rho", "rms_ratio", "snr_ceiling", "shape_share", "gain_share", "dc_share")


def by_loudness(utterances: Sequence[tuple[str, Moments]]) -> dict[str, float]:
    """Figures over all samples of each third, as `<stratum>/<figure>`, and how many utterances it has.

    Utterances are sorted by the level of the target, those of one level by name; where three do not divide their
    number, the louder thirds have one more.

    Args:
        utterances: name and moments of each that is not silent; of fewer than three there are no thirds.

    >>> heard = [(str(i), Moments(1, 0, 0, i, 0, 0)) for i in range(4)]
    >>> [by_loudness(heard)[f"{name}/utterances"] for name in STRATA], by_loudness(heard[:2])
    ([1.0, 1.0, 2.0], {})
    """
    if len(utterances) < len(STRATA):
        return {}
    ranked = [moments for _, moments in sorted(utterances, key=lambda heard: (heard[1].target_dbfs, heard[0]))]
    found: dict[str, float] = {}
    for place, name in enumerate(STRATA):
        third = ranked[len(ranked) * place // 3 : len(ranked) * (place + 1) // 3]
        figures = pooled(third).figures()
        found |= {f"{name}/{figure}": figures[figure] for figure in FIGURES}
        found[f"{name}/utterances"] = float(len(third))
    return found
