"""What may be chosen about a report."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Claimed(NamedTuple):
    """What a claim came to, as the page tells it."""

    claim: str  # its id
    verdict: str  # confirmed, refuted, impossible, unreachable, inconclusive or untested
    text: str  # the figure, its interval and the runs


@dataclass(frozen=True, kw_only=True)
class ReportOptions:
    """How a report is made; the defaults are those of `telucodec study report`."""

    level_matched: bool = False  # whether the players begin at the target's loudness; the page can switch it
    utterances: int = 4  # most of them in the player grid
    megabytes: float = 20.0  # most that sounds and spectrograms may take, as they stand in the file
    price: float | None = None  # of an hour of computing
    currency: str = ""
    claims: Sequence[Claimed] = field(default_factory=tuple)  # what the study decides, if it was asked
