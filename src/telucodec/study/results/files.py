"""Results on disk: Parquet with everything, and CSV that is small enough to be committed and compared line by line."""

import csv
import hashlib
import io
import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from telucodec.disk import replacing, write_text
from telucodec.errors import InputError
from telucodec.study.design.committed import RESULTS, RUNS
from telucodec.study.design.study import Study
from telucodec.study.results.changed import changed_since
from telucodec.study.results.collected import Collected
from telucodec.study.results.run import Heard, Ran

PARQUET = "results.parquet"
KEYS = ("arm", "seed", "step", "utterance", "metric")  # one row each, and its value
FACTS = (
    "arm", "seed", "status", "label", "steps", "seconds", "audio_hours", "steps_per_epoch", "code", "evaluator",
    "device", "started", "overrides", "why",
)  # fmt: skip
NUMBERS = ("seconds", "audio_hours", "steps_per_epoch")
TEXT = pa.dictionary(pa.int32(), pa.string())
SCHEMA = pa.schema(
    {"study": TEXT, "arm": TEXT, "seed": pa.int64(), "step": pa.int64(), "utterance": TEXT, "metric": TEXT}
    | {"value": pa.float64()}
)
Row = tuple[str, int, int, str, str, float]  # KEYS and value


def write_results(collected: Collected, folder: Path) -> list[Path]:
    """Write results.parquet, results.csv and runs.csv.

    results.parquet has every figure of every step (wall `seconds` too) and utterance, and a column with the study's
    name. results.csv has the study's metrics only: of the whole set at each validation and at the end, of utterances
    at the last step; six significant digits, in the order of arms, seeds, steps, utterances and metrics. runs.csv has
    one row a wanted run.

    Args:
        collected: of a study.
        folder: where to.

    Returns:
        The paths that were written.

    Raises:
        InputError: they cannot be written; the message names the path.
    """
    assert collected.study is not None
    study = collected.study
    with replacing(folder / PARQUET) as partial:
        tables = [_table(run, study.name) for run in collected.runs] or [SCHEMA.empty_table()]
        parquet.write_table(pa.concat_tables(tables).unify_dictionaries(), partial, compression="zstd")
    chosen = (row for run in collected.runs for row in _chosen(run, study.metrics))
    _write_csv(folder / RESULTS, (*KEYS, "value"), ((*keys, _number(value)) for *keys, value in chosen))
    facts = sorted(_facts(collected), key=lambda row: (collected.arms.index(row["arm"]), row["seed"]))
    _write_csv(folder / RUNS, FACTS, ([row.get(name, "") for name in FACTS] for row in facts))
    return [folder / name for name in (PARQUET, RESULTS, RUNS)]


def read_results(study: Study) -> Collected:
    """Read the committed results of a study back: without configurations, commands and what was not written.

    Raises:
        InputError: there are none, or they cannot be read; the message names the file.
    """
    facts = _read_csv(study.folder / RUNS, FACTS, study)
    figures = _read_csv(study.folder / RESULTS, (*KEYS, "value"), study)
    try:
        return _collected(study, facts, figures)
    except (ValueError, OverflowError) as error:  # a cell that is no number, a command whose quotes do not close
        cure = f"`telucodec study collect {study.name}` writes them."
        raise InputError(f"{study.folder}: {RUNS} or {RESULTS} cannot be read ({error}). {cure}") from None


def _collected(study: Study, facts: list[dict[str, str]], figures: Sequence[Mapping[str, str]]) -> Collected:
    by_run: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in figures:
        by_run.setdefault((row["arm"], int(row["seed"])), []).append(row)
    gone = sorted({row["arm"] for row in facts} - set(study.arms))
    facts = [row for row in facts if row["arm"] in study.arms]
    runs = [_run(row, by_run.get((row["arm"], int(row["seed"])), []), study) for row in facts if row["steps"]]
    missing = [(row["arm"], int(row["seed"])) for row in facts if row["status"] == "missing"]
    failed = [(row["arm"], int(row["seed"]), row["why"]) for row in facts if row["why"]]
    notes = [f"Arm {arm} has results and is not in study.yaml any more: left out." for arm in gone]
    return Collected(study, runs, missing, failed, [*notes, *changed_since(study, runs)])


def _chosen(run: Ran, metrics: Sequence[str]) -> Iterator[Row]:
    """Figures of a run that are worth committing."""
    ends = {metric: max((step for step, row in run.rows.items() if metric in row), default=-1) for metric in metrics}
    validations = set(run.validations)
    for step, row in run.rows.items():
        wanted = (m for m in metrics if m in row and (step in validations or step == ends[m]))
        yield from ((run.arm, run.seed, step, "", metric, row[metric]) for metric in wanted)
    last = max(validations, default=-1)
    for heard in sorted((heard for heard in run.heard if heard.step == last), key=lambda heard: heard.file):
        told = {f"val/{name}": value for name, value in heard.figures.items()}
        yield from ((run.arm, run.seed, last, heard.file, m, told[m]) for m in metrics if m in told)


def _table(run: Ran, name: str) -> pa.Table:
    """Every figure of a run, by columns: a million of rows would be slow."""
    rows = [(step, "", row, "") for step, row in run.rows.items()]
    rows += [(heard.step, heard.file, heard.figures, "val/") for heard in run.heard]
    counts = [len(row) for _, _, row, _ in rows]
    columns = {"study": _repeated([name], [sum(counts)]), "arm": _repeated([run.arm], [sum(counts)])}
    columns["seed"] = pa.array(np.full(sum(counts), run.seed), pa.int64())
    columns["step"] = pa.array(np.repeat([step for step, *_ in rows], counts), pa.int64())
    columns["utterance"] = _repeated([file for _, file, _, _ in rows], counts)
    columns["metric"] = pa.array([prefix + key for *_, row, prefix in rows for key in row]).dictionary_encode()
    columns["value"] = pa.array([float(value) for _, _, row, _ in rows for value in row.values()], pa.float64())
    return pa.table(columns, SCHEMA)


def _repeated(texts: Sequence[str], counts: Sequence[int]) -> pa.DictionaryArray:
    """Each text as often as its count says, kept once."""
    encoded = pa.array(texts, pa.string()).dictionary_encode()
    return pa.DictionaryArray.from_arrays(np.repeat(encoded.indices.to_numpy(), counts), encoded.dictionary)


def _facts(collected: Collected) -> Iterator[dict[str, Any]]:
    """One row of runs.csv for each run that was wanted."""
    why = {(arm, seed): told for arm, seed, told in collected.failed}
    for run in collected.runs:
        row = {name: getattr(run, name) for name in FACTS if hasattr(run, name)}
        row |= {name: _number(row[name]) for name in NUMBERS}
        row |= {"evaluator": _digest(run.evaluator), "overrides": shlex.join(run.overrides)}
        yield row | {"why": why.pop((run.arm, run.seed), "")}
    for (arm, seed), told in why.items():
        yield {"arm": arm, "seed": seed, "status": told.partition(" ")[0], "why": told}
    for arm, seed in collected.missing:
        yield {"arm": arm, "seed": seed, "status": "missing"}


def _run(facts: Mapping[str, str], figures: Sequence[Mapping[str, str]], study: Study) -> Ran:
    rows: dict[int, dict[str, float]] = {}
    heard: dict[tuple[int, str], dict[str, float]] = {}
    for row in figures:
        step, value = int(row["step"]), float(row["value"])
        if row["utterance"]:
            heard.setdefault((step, row["utterance"]), {})[row["metric"].removeprefix("val/")] = value
        else:
            rows.setdefault(step, {})[row["metric"]] = value
    seconds, hours, steps_per_epoch = (float(facts[name]) for name in NUMBERS)
    return Ran(
        arm=facts["arm"],
        seed=int(facts["seed"]),
        folder=study.folder,
        config={},
        overrides=tuple(shlex.split(facts["overrides"])),
        status=facts["status"],
        steps=int(facts["steps"]),
        seconds=seconds,
        audio_hours=hours,
        steps_per_epoch=steps_per_epoch,
        code=facts["code"],
        evaluator={"digest": facts["evaluator"]} if facts["evaluator"] else {},
        started=facts["started"],
        command=(),
        device=facts["device"],
        rows=rows,
        heard=[Heard(step, file, None, told) for (step, file), told in heard.items()],
        label=facts["label"],
    )


def _digest(evaluator: Mapping[str, Any]) -> str:
    """What stands for an evaluator in a table; empty for none."""
    if set(evaluator) == {"digest"}:
        return str(evaluator["digest"])
    return hashlib.sha256(json.dumps(evaluator, sort_keys=True).encode()).hexdigest()[:12] if evaluator else ""


def _number(value: float) -> str:
    """Six significant digits.

    >>> _number(-10.042692314331918), _number(float("nan"))
    ('-10.0427', 'nan')
    """
    return f"{value:.6g}"


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _read_csv(path: Path, columns: Sequence[str], study: Study) -> list[dict[str, str]]:
    cure = f"`telucodec study collect {study.name}` writes it."
    try:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")), strict=True))
    except FileNotFoundError:
        raise InputError(f"{path}: missing. {cure}") from None
    except (OSError, ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}). {cure}") from None
    wrong = next((n for n, row in enumerate(rows, 2) if set(row) != set(columns) or None in row.values()), None)
    if wrong is not None:
        raise InputError(f"{path}: line {wrong} does not have the columns {', '.join(columns)}. {cure}")
    return rows
