"""One utterance on disk, and what its line in a manifest may hold."""

import unicodedata
from dataclasses import dataclass, fields

SPLITS = ("train", "valid", "test")
KINDS: dict[str, type | tuple[type, ...]] = {  # what a line must hold under the names that later code counts on
    **dict.fromkeys(("path", "split", "sha256", "source"), str),
    **dict.fromkeys(("samples", "sample_rate", "source_sample_rate", "bytes"), int),
    **dict.fromkeys(("rms_dbfs", "peak", "bandwidth_hz"), (int, float)),
    **dict.fromkeys(("speaker", "language"), (str, type(None))),
}
RANGES: dict[str, tuple[float, float]] = {  # both ends included
    "samples": (1, 2**40),
    **dict.fromkeys(("sample_rate", "source_sample_rate"), (1, 10**6)),
    "bytes": (0, 2**60),
    "rms_dbfs": (-1000, 1000),
    "peak": (0, 1e6),
    "bandwidth_hz": (0, 1e6),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One utterance on disk."""

    path: str  # relative to the manifest's folder, or absolute
    samples: int  # decoded length, per channel
    sample_rate: int  # of the file, Hz
    source_sample_rate: int  # of the recording it was made from, Hz
    speaker: str | None  # None: unknown
    language: str | None  # ISO 639 code, for example "te"
    split: str  # train, valid or test
    rms_dbfs: float
    peak: float  # largest absolute sample, full scale = 1
    bandwidth_hz: float  # where the spectrum ends, see telucodec.audio.level.bandwidth
    bytes: int  # size of the file
    sha256: str  # of the file's bytes
    source: str  # where it came from: the original file's path, or how it was made

    @property
    def seconds(self) -> float:
        return self.samples / self.sample_rate


FIELDS = tuple(field.name for field in fields(Entry))
NAMES = set(FIELDS)


def presentable(text: str) -> bool:
    r"""Whether a text can be stored and shown: Unicode without control characters, which a terminal would obey.

    >>> presentable("a\u2028తెలుగు.flac"), presentable("a\x1b[2J"), presentable("\udc80")
    (True, False, False)
    """
    return text.isprintable() or not any(unicodedata.category(character) in ("Cc", "Cs") for character in text)
