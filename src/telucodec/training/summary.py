"""What a finished run comes to: summary.json, and the row of TensorBoard's hparams."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from telucodec import ranks
from telucodec.models.assess import Assessment, keyed
from telucodec.models.stored import CONFIG
from telucodec.training.context import Run
from telucodec.training.module import CodecTraining
from telucodec.training.verdict import validations, verdict

FINAL = (
    "val/snr", "val/si_sdr", "val/rms_ratio", "val/rho", "val/shape_share", "val/gain_share", "val/dc_share",
    "val/snr_ceiling", "val/mel_distance", "val/kbps", "codebook/usage_min", "train/output_scale",
)  # fmt: skip


def summarise(run: Run, module: CodecTraining, step: int, overrides: Sequence[str], shown: Sequence[str]) -> None:
    """Write summary.json: the validation of the last step, and the test split, heard once and only now."""
    heard = _test(run, module)
    if ranks.own() == 0:
        with ranks.apart():
            _write(run, module, heard, step, _hparams(run.folder, overrides, shown))


def _test(run: Run, module: CodecTraining) -> Assessment | None:
    """The test split, which the processes of a run share out among them; None where there is none."""
    if not any(entry.split == "test" for entry in run.data.manifest.entries):
        return None
    assessment, utterances = Assessment(module.evaluated(), run.evaluator), run.data.utterances("test")
    for index in ranks.turns(len(utterances)):
        if index is not None:
            assessment.hear(utterances[index])
    assessment.gather()
    return assessment


def _write(run: Run, module: CodecTraining, heard: Assessment | None, step: int, shown: dict[str, Any]) -> None:
    row = run.record.row_at("val/snr", step)
    final = row if row.get("step") == step else {}
    rest = [key for key in final if key.startswith(("val/", "codebook/", "latent/"))]
    summary: dict[str, Any] = {"final": {key: final[key] for key in dict.fromkeys([*FINAL, *rest]) if key in final}}
    if heard is not None:
        summary["test"] = keyed(heard.summary(), "test")
    hours = step * run.data.seconds_per_step / 3600
    evaluator = run.evaluator.describe(module.codec.sample_rate)
    summary |= {"steps": step, "seconds": run.record.seconds, "audio_hours": hours}
    try:
        summary["diagnosis"] = verdict(validations(run.record.rows), step).plain()
    except ValueError as error:
        summary["diagnosis"] = {"label": None, "means": str(error)}
    run.record.write("summary.json", summary | {"data": str(run.data.manifest.path), "evaluator": evaluator})
    # every run has every figure, for TensorBoard takes its columns from any one of them
    metrics = {f"final/{key.split('/', 1)[1]}": final.get(key, math.nan) for key in FINAL}
    run.tensorboard.log_hyperparams(shown, metrics)


def _hparams(folder: Path, overrides: Sequence[str], shown: Sequence[str]) -> dict[str, Any]:
    """What is shown, or the configuration as scalars, what was switched first: TensorBoard has about 30 columns."""
    config = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
    if shown:
        return {key: _cell(config, key) for key in shown}
    flat = _flat({k: v for k, v in config.items() if k not in ("training", "evaluator", "codec")})  # they repeat groups
    switched = [override.lstrip("+~").partition("=")[0] for override in overrides]
    return {key: flat[key] for key in flat if any(key.startswith(name) for name in switched)} | flat


def _cell(config: Mapping[str, Any], key: str) -> Any:
    """A value, the names of what is in a container, or a dash where the configuration has no such key."""
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return "-"
        node = node[part]
    if isinstance(node, Mapping | list):
        return ", ".join(map(str, node)) or "none"
    return "none" if node is None else node


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif isinstance(value, bool | int | float | str) and key != "_partial_":
            flat[f"{prefix}{key}"] = value
    return flat
