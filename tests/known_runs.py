"""Folders of runs that nobody trained: as `telucodec train --job` leaves them, with figures that are known."""

import json
import math
from pathlib import Path

import numpy as np
import yaml

from telucodec.study.design.study import Arm, Budget, Study

EVALUATOR = {"torch": "2.11.0", "bands": {"edges": [0, 500, 8000]}}
METRICS = ("val/snr", "val/rho", "val/rms_ratio", "val/mel_distance", "codebook/usage_min")


def run_folder(folder: Path, seed: int = 0, overrides: tuple[str, ...] = (), **told) -> Path:
    """A run's folder.

    Args:
        folder: where.
        seed: of the run.
        overrides: as typed; key=value is put into its configuration.
        told: shift (of every figure), files or utterances, steps, every (steps from one validation to the next),
            status, code, evaluator, keys (further keys of each validation), rows (between validations), config.
    """
    steps, every, shift = told.get("steps", 200), told.get("every", 100), told.get("shift", 0.0)
    status, evaluator = told.get("status", "finished"), told.get("evaluator", EVALUATOR)
    folder.mkdir(parents=True)
    files = told.get("files") or [f"valid/te-{number:02}.flac" for number in range(told.get("utterances", 3))]
    metrics, heard = [], []
    for step in range(0, steps + 1, every):
        rows = [_utterance(step, name, seed, number, shift) for number, name in enumerate(files)]
        heard += rows
        row = {f"val/{name}": float(np.mean([r[name] for r in rows])) for name in ("snr", "rho", "rms_ratio")}
        row |= {"val/mel_distance": 2 - step / 1000, "codebook/usage_min": 0.5 + shift / 10}
        metrics.append({"step": step, "seconds": step / 10} | row | dict.fromkeys(told.get("keys", ()), step / 3))
    between = np.linspace(1, max(1, steps - 1), told.get("rows", 1)).round().astype(int)
    metrics += [{"step": int(step), "loss/mel": 1.0, "train/loss": 2.0} for step in between]
    if status == "diverged":
        metrics.append({"step": steps, "val/snr": None})
    config = {"seed": seed, "name": folder.name, "max_steps": 200, "loader": {"seed": seed}}
    config |= {"training": {"players": {}}, "evaluator": {"silence_dbfs": -60.0}} | told.get("config", {})
    config |= {key: value for key, _, value in (override.partition("=") for override in overrides)}
    record = {"overrides": list(overrides), "status": status, "steps": steps, "seconds": steps / 10, "code": "c0de"}
    record |= {"audio_hours": steps / 1000, "steps_per_epoch": 50.5, "started": f"2026-11-20T00:00:{seed:02}+00:00"}
    record |= {"command": ["telucodec", "train"], "device": "a test"} | {k: told[k] for k in ("code",) if k in told}
    _lines(folder / "metrics.jsonl", metrics)
    _lines(folder / "utterances.jsonl", heard)
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    if status == "finished":
        summary = {"evaluator": evaluator, "diagnosis": {"label": "shape-not-learned"}}
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def study_of(folder: Path, *arms: Arm | str, **changes) -> Study:
    """A study whose base is called `base`, with further arms."""
    written = {arm.name: arm for arm in (a if isinstance(a, Arm) else Arm(a, ()) for a in ("base", *arms))}
    facts = {"name": "trial", "folder": folder, "question": "Which one?", "base": (), "base_name": "base"}
    facts |= {"arms": written, "seeds": (0, 1, 2), "budgets": {"full": Budget(200)}, "metrics": METRICS}
    facts |= {"primary": "val/snr", "higher_is_better": True, "claims": (), "hypotheses": {}}
    return Study(**facts | changes)


def _utterance(step, name, seed, number, shift):
    snr = step / 100 + 0.1 * seed + 0.01 * number + shift
    figures = {"snr": snr, "rho": math.tanh(snr / 5), "rms_ratio": 0.5 + shift / 100}
    return {"step": step, "file": name, "speaker": "te", "silent": False} | figures


def _lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
