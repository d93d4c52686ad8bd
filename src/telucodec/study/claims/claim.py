"""One claim, and what holds for all of them: the fields of a ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from telucodec.errors import above, at_least
from telucodec.study.claims.values import Names, Range, When

Kind = Literal["observation", "prediction", "causal", "citation"]
Direction = Literal["up", "down", "none"]


@dataclass(frozen=True)
class Document:
    """One document and the learning rate that it trains with."""

    file: str
    lr: float
    line: int  # where it says so

    def __post_init__(self) -> None:
        above(0, lr=self.lr)


@dataclass(frozen=True)
class RateBound:
    """The SNR in dB that a bitrate can carry at most."""

    kbps: float
    snr: float
    why: str

    def __post_init__(self) -> None:
        above(0, kbps=self.kbps, snr=self.snr)


@dataclass(frozen=True)
class TargetRMS:
    """The largest RMS that recordings which peak at full scale are granted."""

    highest: float
    why: str

    def __post_init__(self) -> None:
        above(0, highest=self.highest)


@dataclass(frozen=True)
class StepsPerEpoch:
    """Optimizer steps in an epoch: as stated, and as many as are granted before something is called unreachable."""

    stated: int
    granted: int
    why: str

    def __post_init__(self) -> None:
        at_least(1, stated=self.stated, granted=self.granted)


@dataclass(frozen=True)
class Header:
    """What holds for all claims."""

    documents: Mapping[str, Document]  # preset -> document, in the order in which they were written
    rate_bound: RateBound
    target_rms: TargetRMS
    steps_per_epoch: StepsPerEpoch
    betas: tuple[float, ...]  # of Adam
    n_q: int  # codebooks

    def __post_init__(self) -> None:
        at_least(1, n_q=self.n_q)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(f"betas must be two numbers in [0, 1), got {list(self.betas)}")


@dataclass(frozen=True)
class Source:
    """Lines of one document."""

    file: str
    lines: tuple[int | str, ...]  # 37 or 23-39


@dataclass(frozen=True)
class Prediction:
    """A figure, when, and the values that are stated for it."""

    metric: str  # key of the log, or a sum of keys
    at: When
    range: Range
    point: float | None = None  # one value inside the range that the document names by itself
    from_: float | None = None  # where a parameter starts that is said to move there
    preset: str | None = None  # if it is not the claim's
    over: Literal["all", "each utterance"] = "all"  # whether the mean is meant, or every single one


@dataclass(frozen=True)
class Effect:
    """What a switch is said to do to a figure."""

    switch: Names  # overlays of conf/ablation, together
    metric: str
    direction: Direction | None = None
    factor: Range | None = None  # the figure with the switch over the figure without
    against: Names | None = None  # overlays of the other arm; none: the configuration as it is

    def __str__(self) -> str:
        """As it is read aloud."""
        against = f" against {' + '.join(self.against)}" if self.against else ""
        how = f"by the factor {self.factor}" if self.factor else {"none": "not at all"}.get(str(self.direction))
        return f"{' + '.join(self.switch)}{against} moves {self.metric} {how or self.direction}"


@dataclass(frozen=True)
class Sign:
    """One figure that is said to tell what another is."""

    metric: str
    range: Range  # where it stands
    of: str  # the other metric
    is_: Range  # where that must be then


@dataclass(frozen=True)
class Law:
    """One side of a question that has only one answer."""

    name: str
    direction: Literal["up", "down", "with", "without"]


@dataclass(frozen=True)
class Equation:
    """Arithmetic, and what the document says that it comes to."""

    expression: str
    stated: int | float  # with as many digits as the document gives


@dataclass(frozen=True)
class Moments:
    """RMS and mean of one signal, full scale = 1."""

    rms: float | None = None
    mean: float | None = None


@dataclass(frozen=True)
class Gain:
    """A factor on a signal, and its RMS (or range, or ratio) before and after."""

    factor: float
    before: float
    after: Range


@dataclass(frozen=True)
class Said:
    """What one line says of something."""

    line: int
    value: int | float | str


@dataclass(frozen=True)
class States:
    """One thing, and every value that the document gives it."""

    what: str
    values: tuple[Said, ...]


@dataclass(frozen=True)
class Checked:
    """A statement about other people's work, held against that work."""

    by: str  # what was read
    finding: bool | Literal["partly"]
    why: str


@dataclass(frozen=True)
class Claim:
    """One statement of a document, in our words."""

    id: str
    says: str
    source: tuple[Source, ...]
    kind: Kind
    preset: str | None = None
    predicts: tuple[Prediction, ...] = ()
    effects: tuple[Effect, ...] = ()
    sign: Sign | None = None
    with_: tuple[str, ...] = ()  # claims made of the same moment, or that this one must agree with
    law: Law | None = None
    arithmetic: tuple[Equation, ...] = ()
    moments: Moments | None = None
    gain: Gain | None = None
    states: States | None = None
    checked: Checked | None = None
