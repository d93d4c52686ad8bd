"""From folders of runs to a collection, to files, and back."""

import json
import shutil
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from known_runs import EVALUATOR, METRICS, run_folder, study_of
from telucodec.errors import InputError
from telucodec.study.design.study import Arm, Budget
from telucodec.study.results.changed import changed_since
from telucodec.study.results.collected import collect
from telucodec.study.results.files import read_results, write_results
from telucodec.study.results.run import read_run
from telucodec.study.results.statistics import arm_interval, differences, values

ARMS = ("better", "odd", "late")


@pytest.fixture
def jobs(tmp_path):
    """Arms of three seeds; of `odd` one diverged, one failed, one cannot be read; of `late` none got far."""
    found = {}
    for seed in range(3):
        typed = ("loss.mel.weight=1", f"seed={seed}")
        found["base", seed] = run_folder(tmp_path / f"base{seed}", seed, (f"seed={seed}",))
        found["better", seed] = run_folder(tmp_path / f"better{seed}", seed, typed, shift=2 + 0.1 * seed)
    found["odd", 0] = run_folder(tmp_path / "odd0", 0, status="diverged", steps=150)
    found["odd", 1] = run_folder(tmp_path / "odd1", 1, status="failed", steps=100)
    (found["odd", 1] / "log.txt").write_text("== started now\nit was fine\nRuntimeError: out of memory\n")
    found["odd", 2] = run_folder(tmp_path / "odd2", 2)
    (found["odd", 2] / "config.yaml").write_text("a: [")
    found["late", 0] = run_folder(tmp_path / "late0", 0, status="interrupted", steps=100)
    found["late", 1] = tmp_path / "late1"
    found["late", 1].mkdir()
    (found["late", 1] / "log.txt").write_text("== started now\nImportError: no torch\n")
    found["late", 2] = tmp_path / "late2"
    return found


@pytest.fixture
def collected(jobs, tmp_path):
    return collect(study_of(tmp_path / "experiment", *ARMS), jobs, None)


def test_everything_that_was_wanted_is_somewhere(collected):
    assert [(run.arm, run.seed) for run in collected.runs] == [
        *(("base", seed) for seed in range(3)),
        *(("better", seed) for seed in range(3)),
        ("odd", 0),
        ("odd", 1),
    ]
    assert collected.missing == [("late", 2)]
    why = {(arm, seed): told for arm, seed, told in collected.failed}
    assert why["odd", 0] == "diverged at step 150"
    assert why["odd", 1] == "failed at step 100 (RuntimeError: out of memory)"
    assert "holds no run that can be read" in why["odd", 2]
    assert why["late", 0] == "interrupted at step 100"
    assert why["late", 1] == "failed before its first step (ImportError: no torch)"
    assert collected.arms == ("base", *ARMS)
    assert collected.notes == []


def test_a_run_has_figures_of_itself(collected):
    assert collected.runs[0].label == "shape-not-learned"
    assert values(collected.runs, "base", "run/finished")[1] == {"": 1.0}
    assert values(collected.runs, "odd", "run/finished")[0] == {"": 0.0}
    assert values(collected.runs, "odd", "run/seconds")[0] == {"": 15.0}
    assert arm_interval(values(collected.runs, "odd", "val/snr")).counted == 0


def test_other_code_is_left_out_and_said(jobs, tmp_path):
    shutil.rmtree(jobs["better", 1])
    run_folder(jobs["better", 1], 1, code="old")
    study = study_of(tmp_path, *ARMS)
    found = collect(study, jobs, "c0de")
    assert ("better", 1) not in [(run.arm, run.seed) for run in found.runs]
    assert ("better", 1) in found.missing
    assert found.notes == ["1 run of other code (old, wanted c0de) left out."]
    other = collect(study, jobs, "old")
    assert [(run.arm, run.seed) for run in other.runs] == [("better", 1)]
    assert "7 runs of other code (c0de, wanted old) left out." in other.notes


def test_what_makes_figures_unlike_is_said(jobs, tmp_path):
    for seed, change in ((1, {"evaluator": EVALUATOR | {"torch": "2.12.0"}}), (2, {"files": ["valid/other.flac"]})):
        shutil.rmtree(jobs["better", seed])
        run_folder(jobs["better", seed], seed, shift=2.0, **change)
    found = collect(study_of(tmp_path, *ARMS, metrics=(*METRICS, "val/pesq_wb")), jobs, None)
    told = " ".join(found.notes)
    assert "torch is 2.11.0 in" in told
    assert "better2 heard other utterances than" in told
    assert "No run logged val/pesq_wb." in told


def test_files_come_back_as_they_were(collected, tmp_path):
    paths = write_results(collected, tmp_path / "experiment")
    assert [path.name for path in paths] == ["results.parquet", "results.csv", "runs.csv"]
    again = read_results(collected.study)
    assert again.arms == collected.arms
    assert (again.missing, sorted(again.failed)) == (collected.missing, sorted(collected.failed))
    for key in ("val/snr", "val/mel_distance", "codebook/usage_min"):
        before, after = differences(collected, key), differences(again, key)
        assert list(before) == list(after)
        for arm, one in before.items():
            assert after[arm] == pytest.approx(one, rel=1e-4, abs=1e-5, nan_ok=True)
    one, other = collected.runs[3], again.runs[3]
    assert (other.status, other.steps, other.label, other.overrides) == (one.status, 200, one.label, one.overrides)
    assert dict(other.curve("val/snr")) == pytest.approx(dict(one.curve("val/snr")), rel=1e-5)
    assert other.config == {}
    assert len(other.heard) == 3, "of the last step only"


def test_what_was_read_back_can_be_written_again(collected, tmp_path):
    write_results(collected, tmp_path / "experiment")
    again = read_results(replace(collected.study))
    write_results(again, tmp_path / "second")
    for name in ("results.csv", "runs.csv"):
        assert (tmp_path / "second" / name).read_bytes() == (tmp_path / "experiment" / name).read_bytes()


def test_the_csv_is_long_sorted_and_short(collected, tmp_path):
    write_results(collected, tmp_path)
    lines = (tmp_path / "results.csv").read_text().splitlines()
    assert lines[:3] == [
        "arm,seed,step,utterance,metric,value",
        "base,0,0,,val/snr,0.01",
        "base,0,0,,val/rho,0.00199999",
    ]
    assert "better,2,200,valid/te-01.flac,val/snr,4.41" in lines
    assert not [line for line in lines if "loss/mel" in line], "no metric of the study"
    runs = (tmp_path / "runs.csv").read_text().splitlines()
    assert runs[0].startswith("arm,seed,status,label,steps,seconds")
    assert runs[4].startswith("better,0,finished,shape-not-learned,200,20,0.2,50.5,c0de,")
    assert runs[-1].startswith("late,2,missing,,,")
    assert any(line.startswith("odd,1,failed,,100") and "out of memory" in line for line in runs)


def test_parquet_has_everything(collected, tmp_path):
    write_results(collected, tmp_path)
    rows = pq.read_table(tmp_path / "results.parquet").to_pylist()
    keys = ("study", "arm", "seed", "step", "utterance", "metric")
    assert {*keys, "value"} == set(rows[0])
    found = {tuple(row[key] for key in keys): row["value"] for row in rows}
    assert len(found) == len(rows)
    assert found["trial", "better", 1, 100, "valid/te-00.flac", "val/snr"] == pytest.approx(3.2)
    assert found["trial", "odd", 0, 1, "", "loss/mel"] == 1.0


def test_an_unreadable_or_missing_file_is_named(collected, tmp_path):
    study = collected.study
    with pytest.raises(InputError, match=r"runs.csv: missing. `telucodec study collect trial` writes it"):
        read_results(study)
    write_results(collected, study.folder)
    (study.folder / "results.csv").write_text("arm,seed\n1,2,3\n")
    with pytest.raises(InputError, match=r"results.csv: line 2 does not have the columns arm, seed"):
        read_results(study)


def test_an_arm_that_the_study_lost_is_left_out_and_said(collected, tmp_path):
    write_results(collected, tmp_path / "experiment")
    again = read_results(study_of(tmp_path / "experiment", "better", "late"))
    assert "Arm odd has results and is not in study.yaml any more: left out." in again.notes
    assert "odd" not in again.arms


def test_a_base_that_changed_since_is_said(tmp_path):
    typed = ("subset.test_utterances=0", "loss=[l1]", "ablation=[tanh]", "name=trial", "max_steps=200", "seed=0")
    run = read_run(run_folder(tmp_path / "run", 0, typed), "base")
    base = ("loss=[l1]", "ablation=[tanh]")
    budgets = {"full": Budget(200), "tiny": Budget(4, ("subset.valid_utterances=3",))}
    assert changed_since(study_of(tmp_path, base=base, budgets=budgets), [run]) == []
    told = changed_since(study_of(tmp_path, base=("loss=[mse]", "ablation=[tanh]")), [run])
    assert told == ["Arm base was made before study.yaml was changed: +loss=[mse], -loss=[l1]. Run it again."]
    assert changed_since(study_of(tmp_path, base=(*base, "optimizer.betas=[0,1]")), [run])
    assert changed_since(study_of(tmp_path, base=("loss=[l1]",)), [run])
    assert changed_since(study_of(tmp_path, base=base, budgets={"full": Budget(300)}), [run])


def test_arms_with_overlays_rates_and_factors_are_known_again(tmp_path):
    study = study_of(
        tmp_path,
        Arm("more", ("ablation=[fsq]",), without=("tanh",), rate="1e-4"),
        Arm("x10", (), times=10.0),
        base=("loss=[l1]", "ablation=[tanh]", "loss.l1.weight=1"),
    )
    about = ("max_steps=200", "seed=0")
    more = ("loss=[l1]", "loss.l1.weight=1", "ablation=[fsq]", "optimizer.lr=0.0001", *about)
    ten = ("loss=[l1]", "ablation=[tanh]", "loss.l1.weight=10.0", "training.players.codec.clip_norm=10.0", *about)
    runs = [read_run(run_folder(tmp_path / name, 0, typed), name) for name, typed in (("more", more), ("x10", ten))]
    assert changed_since(study, runs) == []


def test_a_damaged_summary_is_named(tmp_path):
    folder = run_folder(tmp_path / "run")
    (folder / "summary.json").write_text("{")
    with pytest.raises(InputError, match="run: holds no run that can be read"):
        read_run(folder, "base")
    (folder / "summary.json").write_text(json.dumps({"diagnosis": None}))
    assert read_run(folder, "base").label == ""
