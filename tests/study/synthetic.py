"""Studies that nobody ran: figures along believable curves, at any size, for what reads results."""

import math
from pathlib import Path

import numpy as np

from conftest import voices
from telucodec.audio.files import write
from telucodec.study.design.study import Arm, Budget, Study
from telucodec.study.results.collected import Collected
from telucodec.study.results.run import Heard, Ran

STEPS, EVERY = 600, 50
TERMS = ("l1", "mse", "mel", "codebook", "commitment")


def study(folder: Path, arms: int, seeds: int = 3, **names: str) -> Study:
    """A base and arms that differ from it more and more; `names` replaces names, as arm_2="<b>"."""
    listed = ["base", *(names.get(f"arm_{n}", f"arm_{n}") for n in range(1, arms))]
    made = {
        name: Arm(name, () if not n else (f"loss.mel.weight={n}",), says="" if not n else f"mel times {n}")
        for n, name in enumerate(listed)
    }
    return Study(
        name=names.get("name", "synthetic"),
        folder=folder,
        question=names.get("question", "Does the weight of the mel term matter?"),
        base=("discriminator=[]",),
        base_name="base",
        arms=made,
        seeds=tuple(range(seeds)),
        budgets={"full": Budget(STEPS)},
        metrics=("val/snr", "val/rho", "val/rms_ratio", "val/mel_distance", "codebook/perplexity_min"),
        primary="val/snr",
        higher_is_better=True,
        claims=(),
        hypotheses={listed[-1]: "nothing happens"},
    )


def ran(of: Study, number: int, seed: int, utterances: int = 8, **other: object) -> Ran:
    """A run of the study's arm of this number, learning towards a correlation that falls with the number."""
    arm, rng = list(of.arms)[number], np.random.default_rng(1000 * number + seed)
    end = max(0.02, 0.8 - 0.05 * (number % 16) + 0.02 * rng.standard_normal())
    rows = {step: _row(step, end, rng) for step in range(0, STEPS + 1, EVERY // 2)}
    shifts = np.random.default_rng(7).standard_normal(utterances)  # an utterance is as hard for one arm as for another
    heard = [
        Heard(
            step,
            f"valid/{n}.flac",
            "te",
            {k[4:]: v + 0.3 * shifts[n] for k, v in rows[step].items() if k[:4] == "val/"},
        )
        for step in range(0, STEPS + 1, EVERY)
        for n in range(utterances)
    ]
    facts = {
        "arm": arm,
        "seed": seed,
        "folder": of.folder / "jobs" / f"{number}_{seed}",
        "config": {"seed": seed, "loss": {"mel": {"weight": number}}, "training": {"repeats": number}},
        "overrides": (*of.base, *of.arms[arm].overrides, f"seed={seed}"),
        "status": "finished",
        "steps": STEPS,
        "seconds": 60.0 + number,
        "audio_hours": 0.7,
        "steps_per_epoch": 232.6,
        "code": "a75303fbc7f6",
        "evaluator": {"sample_rate": 16000},
        "started": f"2026-11-21T0{seed}:00:00+00:00",
        "command": ("telucodec", "train"),
        "device": "AMD EPYC, 1 thread",
        "rows": rows,
        "heard": heard,
        "label": "healthy" if end > 0.5 else "shape-not-learned",
    }
    return Ran(**(facts | other))


def collected(folder: Path, arms: int = 4, seeds: int = 3, **names: str) -> Collected:
    """All runs finished, without folders."""
    of = study(folder, arms, seeds, **names)
    return Collected(of, [ran(of, n, seed) for n in range(arms) for seed in range(seeds)], [], [], [])


def with_sounds(runs: Collected, utterances: int, seconds: float, seeds: tuple[int, ...] = (0,)) -> None:
    """Put sounds into the folders of some seeds' runs: the target with noise, and quieter, the later the arm."""
    targets = [voices(n, seconds) for n in range(utterances)]
    for one in (one for one in runs.runs if one.seed in seeds):
        number = list(runs.study.arms).index(one.arm)
        noise = np.random.default_rng(number).standard_normal(targets[0].shape).astype(np.float32)
        for n, target in enumerate(targets):
            output = (1 - 0.05 * (number % 16)) * target + 0.002 * (number % 16) * noise
            write(one.folder / "audio" / f"utterance_{n}_target.wav", target, 16000)
            write(one.folder / "audio" / f"utterance_{n}_output.wav", output, 16000)


def _row(step: int, end: float, rng: np.random.Generator) -> dict[str, float]:
    share = 1 - math.exp(-4 * step / STEPS)
    rho = end * share + 0.01 * rng.standard_normal()
    r = 1.2 * (1 - share) + (end + 0.1) * share
    row = {
        "step": step,
        "seconds": 0.1 * step + (2 if step else 0),
        "val/snr": -10 * math.log10(1 - 2 * r * rho + r * r),
        "val/rho": rho,
        "val/rms_ratio": r,
        "val/rho_pooled": rho,
        "val/rms_ratio_pooled": r,
        "val/mel_distance": 2 - share * end,
        "codebook/perplexity_min": 1 + 200 * end * share,
    }
    row |= {f"loss/{term}": (n + 1) * (1.1 - share * end) for n, term in enumerate(TERMS)}
    row |= {f"codebook/{k}/usage": end * share / (k + 1) for k in range(8)}
    row |= {f"codebook/{k}/perplexity": 1 + 250 * end * share / (k + 1) for k in range(8)}
    if step == STEPS:
        row |= {
            f"gradient_share/{site}/{t}": (n + 1) / 15 for n, t in enumerate(TERMS) for site in ("audio", "encoded")
        }
    return row
