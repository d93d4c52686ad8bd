"""What is measured of a recording, and what makes it unusable."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from telucodec.audio.level import bandwidth, dbfs, rms
from telucodec.errors import InputError

SILENT_DBFS = -60.0  # RMS below which a recording holds nothing to learn from


@dataclass(frozen=True, slots=True)
class Rules:
    """What a recording must satisfy and how it is decoded; changing any of it means measuring again."""

    sample_rate: int = 16000  # wanted, Hz
    min_seconds: float = 0.3  # shorter ones are refused, >= 0
    min_bandwidth_hz: float | None = None  # narrower ones are refused (telephone: under about 4000 Hz); None: keep all
    trim_db: float | None = None  # silence at both ends that far below the loudest part is cut; None: keep it

    def __post_init__(self) -> None:
        if not 1000 <= self.sample_rate <= 192000:
            raise InputError(f"sample rate {self.sample_rate} Hz: must be between 1000 and 192000.")
        if not (self.min_seconds >= 0 and (self.min_bandwidth_hz or 0) >= 0):
            raise InputError("the least duration and bandwidth of a recording must be 0 or more.")
        if self.trim_db is not None and not self.trim_db > 0:
            raise InputError(f"trimming at {self.trim_db:g} dB: must be above 0; 40 suits clean speech.")


@dataclass(frozen=True, slots=True)
class Measured:
    """One usable recording, as it lies on disk."""

    samples: int  # decoded length
    source_sample_rate: int  # Hz
    rms_dbfs: float
    peak: float  # full scale = 1
    bandwidth_hz: float
    bytes: int
    sha256: str  # of the file
    gain_db: float = 0.0  # below 0 where the decoded peak was beyond full scale


@dataclass(frozen=True, slots=True)
class Refused:
    """One recording that cannot be used."""

    path: str  # relative to the source folder
    kind: str  # a word or two to count by, for example "too short"
    reason: str  # in numbers
    cure: str

    def __str__(self) -> str:
        return f"{self.path}: {self.kind} ({self.reason}); {self.cure}"


def judge(name: str, audio: NDArray[np.float32], sample_rate: int, rules: Rules) -> Refused | None:
    """Why decoded audio cannot be used; None when it can.

    Args:
        name: of the recording.
        audio: shape [1, T], after mixing, resampling and trimming.
        sample_rate: of `audio`, Hz.
        rules: what it must satisfy.

    >>> judge("a.wav", np.zeros((1, 100), np.float32), 16000, Rules()).reason
    '0.006 s, under 0.3 s'
    >>> judge("a.wav", np.zeros((1, 16000), np.float32), 16000, Rules()).kind
    'silent'
    """
    seconds = audio.shape[1] / sample_rate
    if audio.shape[1] == 0:
        return Refused(name, "empty", "holds no samples", "remove it or copy it again")
    if not np.isfinite(audio).all():
        return Refused(name, "non-finite", "holds NaN or infinite samples", "remove it or export it again")
    if seconds < rules.min_seconds:
        return Refused(
            name,
            "too short",
            f"{seconds:.3f} s, under {rules.min_seconds:g} s",
            "join it to others, or lower the minimum",
        )
    return _judge_sound(name, audio, sample_rate, rules)


def measure(audio: NDArray[np.float32], sample_rate: int, source_sample_rate: int, file: Path) -> Measured:
    """Length, level, peak and bandwidth of audio [1, T], size and hash of the file that holds it."""
    return Measured(
        samples=audio.shape[1],
        source_sample_rate=source_sample_rate,
        rms_dbfs=round(dbfs(rms(audio)), 2),
        peak=round(float(np.abs(audio).max()), 6),
        bandwidth_hz=round(bandwidth(audio[0], sample_rate), 1),
        bytes=file.stat().st_size,
        sha256=file_sha256(file),
    )


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _judge_sound(name: str, audio: NDArray[np.float32], sample_rate: int, rules: Rules) -> Refused | None:
    if (level := dbfs(rms(audio))) < SILENT_DBFS:
        reason = f"RMS {level:.1f} dBFS, under {SILENT_DBFS:g} dBFS"
        return Refused(name, "silent", reason, "remove it, or record it louder")
    if rules.min_bandwidth_hz is not None and (found := bandwidth(audio[0], sample_rate)) < rules.min_bandwidth_hz:
        reason = f"spectrum ends at {found:.0f} Hz, under {rules.min_bandwidth_hz:g} Hz"
        return Refused(name, "telephone band", reason, "use a wide-band recording, or lower --min-bandwidth")
    return None
