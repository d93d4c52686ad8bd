"""What a claim may speak of: every key that a run logs, every preset and every switch."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, get_args

from telucodec.diagnosis.gradient_findings import Site
from telucodec.metrics.evaluation import POOLED
from telucodec.metrics.level import FIGURES
from telucodec.metrics.loudness_strata import FIGURES as BY_LOUDNESS
from telucodec.metrics.loudness_strata import STRATA

# keys that are spelt in the code which logs them; tests/study/test_claims_vocabulary.py holds a run's log against them
VALIDATION = ("mel_distance", "kbps", "noise_floor_dbfs", "utterances", "silent_utterances", "loss")
PERCEPTUAL = ("pesq_wb", "stoi", "visqol")
BAND = ("rho", "rms_ratio", "snr", "noise_share", "target_share")
CODEBOOK = ("usage", "perplexity", "error", "norm_ratio", "restarts", "survival_10", "survival_100")
SWEEP = ("best_gain", "best_rms_ratio", "curvature")
CHANGES = ("gain", "offset", "polarity", "shift")
GROUPS = {
    "codebook": ("usage_min", "perplexity_min", "bits_share", "survival_10", "survival_100"),
    "latent": ("rms", "offset", "spread", "error"),
    "train": ("loss", "output_scale", "audio_hours", "audio_seconds_per_second", "epoch", "steps_per_epoch"),
    "gap": (
        "batchnorm_rho", "batchnorm_snr", "batchnorm_rms_ratio",
        "training_rho", "training_snr", "trained_rho", "held_rho",
    ),
    "bypass": ("rho", "snr", "rms_ratio", "coded_rho", "coded_snr"),
    "oracle": ("encoded_rho", "latent_rho", "best_latent_snr"),
    "sweep": ("rho", "rms_ratio"),
    "gradient": ("seconds", "cost"),
    "run": ("seconds", "finished"),  # of the whole run: wall time in s, and 1 if it came to its end, else 0
}  # fmt: skip
PLAYERS = ("codec", "adversary")


class Vocabulary(NamedTuple):
    """Names that exist."""

    metrics: frozenset[str]  # with <k> for a number, <low>-<high> for the edges of a band
    presets: frozenset[str]  # files of conf/experiment
    switches: frozenset[str]  # files of conf/ablation

    def knows(self, metric: str) -> bool:
        """Whether a run logs this key.

        >>> Vocabulary(frozenset({"codebook/<k>/usage"}), frozenset(), frozenset()).knows("codebook/3/usage")
        True
        """
        numbered = re.sub(r"(?<=/)\d+(?=/)", "<k>", metric)
        return re.sub(r"(?<=/band/)\d+-\d+(?=/)", "<low>-<high>", numbered) in self.metrics


def vocabulary(conf: Path) -> Vocabulary:
    """All that can be named, from the code's own constants and a folder of configuration."""
    terms, discriminators = (sorted(set(_packages(conf / group))) for group in ("loss", "discriminator"))
    names = {*_validated(), *_of_terms(terms), *_of_discriminators(discriminators), *_of_players()}
    names |= {f"codebook/<k>/{name}" for name in CODEBOOK}
    names |= {f"{group}/{name}" for group, members in GROUPS.items() for name in members}
    presets, switches = (frozenset(p.stem for p in (conf / g).glob("*.yaml")) for g in ("experiment", "ablation"))
    return Vocabulary(frozenset(names), presets, switches)


def _packages(group: Path) -> Iterator[str]:
    """Under which name each file of a group that is picked from stands in a configuration."""
    for path in sorted(group.glob("*.yaml")):
        found = re.match(rf"# @package {group.name}\.(\w+)", path.read_text(encoding="utf-8"))
        assert found, path
        yield found[1]


def _validated() -> Iterator[str]:
    yield from (f"val/{name}" for name in (*FIGURES, *VALIDATION, *PERCEPTUAL))
    yield from (f"val/{name}_pooled" for name in (*POOLED, "snr_best_gain_per_file"))
    yield from (f"val/{stratum}/{name}" for stratum in STRATA for name in (*BY_LOUDNESS, "utterances"))
    yield from (f"val/band/<low>-<high>/{name}" for name in BAND)


def _of_terms(terms: list[str]) -> Iterator[str]:
    sites = (*get_args(Site), "output_scale")
    for term in terms:
        yield from (f"{group}/{term}" for group in ("loss", "weighted", "val/loss", "gradient_clip"))
        yield from (f"{group}/{site}/{term}" for group in ("gradient", "gradient_share") for site in sites)
        yield from (f"gradient_cosine/{site}/{term}~{other}" for site in sites for other in terms)
    yield from (f"sweep/{term}/{name}" for term in (*terms, "all") for name in SWEEP)


def _of_discriminators(discriminators: list[str]) -> Iterator[str]:
    answers = ("logit", *CHANGES, *(f"features_{change}" for change in CHANGES))
    yield from (f"adversary/{name}" for name in discriminators)
    yield from (f"response/{name}/{answer}" for name in discriminators for answer in answers)


def _of_players() -> Iterator[str]:
    for player in PLAYERS:
        yield from (f"{group}/{player}" for group in ("lr", "gradient_norm"))
        yield from (f"clip/{player}/{name}" for name in ("fraction", "factor"))
