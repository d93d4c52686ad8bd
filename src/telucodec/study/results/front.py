"""The front of two figures that pull apart."""

from collections.abc import Mapping


def front(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """The names that no other beats in both figures, by the first one.

    Args:
        points: name -> (what should be low, what should be high), for example mel distance and SNR in dB. A point
            with NaN is on no front.

    >>> front({"a": (1.0, 2.0), "b": (2.0, 5.0), "c": (2.5, 4.0), "d": (1.0, 1.0), "e": (float("nan"), 9.0)})
    ['a', 'b']
    """
    known = {name: point for name, point in points.items() if point[0] == point[0] and point[1] == point[1]}
    kept = [name for name, (low, high) in known.items() if not any(_beats(each, low, high) for each in known.values())]
    return sorted(kept, key=lambda name: (known[name][0], -known[name][1]))


def _beats(point: tuple[float, float], low: float, high: float) -> bool:
    return point[0] <= low and point[1] >= high and point != (low, high)
