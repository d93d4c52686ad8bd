import logging

import pytest
import torch
import yaml
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.io_wrapper import GetLogdirSubdirectories
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import plugin_data_pb2
from torch.utils.tensorboard import SummaryWriter

from telucodec.study.tensorboard import charts, gather_arms, link_arms, sorting, write_layout
from telucodec.training.summary import _hparams

SHOWN = ["loss.l1.weight", "loss.mel.weight", "output", "seed"]


@pytest.fixture
def runs(tmp_path, caplog):
    """Two arms of a study, two seeds each, as training leaves them."""
    caplog.set_level(logging.ERROR)  # the directory walker tells of every folder
    made = []
    for arm, losses in (("base", {"l1": {"weight": 1.0}}), ("a fix", {"l1": {"weight": 5}, "mel": {"weight": 15}})):
        for seed in (0, 1):
            folder = tmp_path / "jobs" / f"{arm[0]}{seed}"
            logger = TensorBoardLogger(str(folder), "", "tensorboard", purge_step=0)
            for step in (0, 100):
                logger.log_metrics({"val/snr": step / 100 + seed, "val/snr_ceiling": 3.0, "loss/l1": 0.1}, step)
                logger.experiment.add_audio("utterance_0/output", torch.zeros(1, 8), step, 16000)
            config = {"seed": seed, "loss": losses, "output": {}, "max_steps": 100}
            (folder / "config.yaml").write_text(yaml.safe_dump(config))
            logger.log_hyperparams(_hparams(folder, ["loss.l1.weight=5"], SHOWN), {"final/snr": 1.0 + seed})
            logger.finalize("finished")
            (folder / "metrics.jsonl").write_text('{"step": 100, "val/snr": 1.0, "loss/l1": 0.1}\n')
            made.append((f"{arm}/seed {seed}", folder))
    return made


def events(folder):
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def layout(home):
    found = events(home)
    content = found.SummaryMetadata("custom_scalars__config__").plugin_data.plugin_name
    text = found.Tensors("custom_scalars__config__")[0].tensor_proto.string_val[0]
    return content, layout_pb2.Layout.FromString(text)


def test_tensorboard_finds_all_runs_through_their_links_in_the_order_given(tmp_path, runs):
    home = link_arms(tmp_path, runs)
    found = sorted(path.removeprefix(f"{home}/") for path in GetLogdirSubdirectories(str(home)))
    assert found == ["1_base/seed_0", "1_base/seed_1", "2_a_fix/seed_0", "2_a_fix/seed_1"]
    one = events(home / "2_a_fix/seed_1")
    assert [(event.step, event.value) for event in one.Scalars("val/snr")] == [(0, 1.0), (100, 2.0)]
    assert {tuple(events(home / name).Tags()["audio"]) for name in found} == {("utterance_0/output",)}


def test_links_survive_a_move_of_the_whole_folder(tmp_path, runs):
    (tmp_path / "inner").mkdir()
    (tmp_path / "jobs").rename(tmp_path / "inner/jobs")
    link_arms(tmp_path / "inner", [(label, tmp_path / "inner/jobs" / run.name) for label, run in runs])
    (tmp_path / "inner").rename(tmp_path / "moved")
    assert events(tmp_path / "moved/tensorboard/1_base/seed_0").Scalars("val/snr")


def test_a_run_that_has_not_begun_is_found_once_it_has(tmp_path):
    home = link_arms(tmp_path, [("base", tmp_path / "jobs/later")])
    assert list(GetLogdirSubdirectories(str(home))) == []
    with SummaryWriter(str(tmp_path / "jobs/later/tensorboard")) as writer:
        writer.add_scalar("val/snr", 1.0, 0)
    assert list(GetLogdirSubdirectories(str(home))) == [str(home / "1_base")]


def test_links_of_runs_that_are_gone_go_and_nothing_else(tmp_path, runs):
    home = link_arms(tmp_path, runs)
    write_layout(tmp_path, ["val/snr"])
    (home / "notes.txt").write_text("mine")
    link_arms(tmp_path, [("a fix", runs[2][1])])
    assert [path.name for path in home.iterdir() if path.is_dir()] == ["1_a_fix"]
    assert (home / "1_a_fix").is_symlink()
    link_arms(tmp_path, [("a fix/0", runs[2][1]), ("base/0", runs[0][1])])
    assert sorted(str(p.relative_to(home)) for p in home.glob("*/*") if p.is_symlink()) == ["1_a_fix/0", "2_base/0"]
    assert (home / "notes.txt").exists()
    assert layout(home)[0] == "custom_scalars"
    assert all(run.exists() for _, run in runs)
    assert events(runs[3][1] / "tensorboard").Scalars("val/snr"), "what was linked is untouched"


def test_names_sort_as_given_past_nine_arms_and_keep_off_paths():
    names = sorting([f"arm {n} of a/b" for n in (10, 9, 2)] + [f"x{n}" for n in range(8)])
    assert names == sorted(names)
    assert names[:2] == ["01_arm_10_of_a/b", "02_arm_9_of_a/b"]
    assert sorting(["loss=[l1,mel] ../x"]) == ["1_loss=_l1,mel_../x"]
    assert sorting([]) == []


def test_the_layout_draws_all_arms_with_one_figure_a_chart(tmp_path, runs):
    home = gather_arms(tmp_path, runs)
    plugin, found = layout(home)
    assert plugin == "custom_scalars"
    shown = {(group.title, chart.title): list(chart.multiline.tag) for group in found.category for chart in group.chart}
    assert shown == {("level", "SNR (dB)"): ["val/snr$"], ("losses", "l1"): ["loss/l1$"]}
    before = sorted(path.name for path in home.glob("events*"))
    gather_arms(tmp_path, runs)
    assert sorted(path.name for path in home.glob("events*")) == before, "an equal layout is not written again"
    write_layout(tmp_path, ["val/rho"])
    (only,) = home.glob("events*")
    assert only.name != before[0]
    assert [chart.title for group in layout(home)[1].category for chart in group.chart] == ["rho"]


def test_every_group_has_its_charts():
    keys = [
        "val/snr",
        "val/snr_ceiling",
        "val/rms_ratio",
        "val/rho",
        "loss/l1",
        "codebook/usage_min",
        "codebook/3/usage",
    ]
    keys += ["gradient_share/encoded/l1", "gradient_share/decoded/mel", "step", "val/quiet/snr"]
    made = charts(keys)
    assert list(made) == ["level", "losses", "codebook", "gradient shares"]
    assert list(made["level"]) == ["SNR (dB)", "RMS ratio", "rho", "SNR's ceiling at this rho (dB)"]
    assert list(made["codebook"]) == ["usage, the least used", "usage of codebook 3"]
    assert made["gradient shares"]["mel at decoded"] == ["Multiline", ["gradient_share/decoded/mel$"]]


def test_hparams_hold_exactly_what_is_shown_and_the_final_metrics(tmp_path, runs):
    home = link_arms(tmp_path, runs)
    told = {}
    for name in ("1_base/seed_0", "2_a_fix/seed_1"):
        found = events(home / name)
        start = plugin(found, "_hparams_/session_start_info").session_start_info
        told[name] = {key: value.number_value or value.string_value or 0.0 for key, value in start.hparams.items()}
        experiment = plugin(found, "_hparams_/experiment").experiment
        assert [info.name for info in experiment.hparam_infos] == SHOWN
        assert [info.name.tag for info in experiment.metric_infos] == ["final/snr"]
    assert told["1_base/seed_0"] == {"loss.l1.weight": 1.0, "loss.mel.weight": "-", "output": "none", "seed": 0.0}
    assert told["2_a_fix/seed_1"] == {"loss.l1.weight": 5.0, "loss.mel.weight": 15.0, "output": "none", "seed": 1.0}


def plugin(found, tag):
    return plugin_data_pb2.HParamsPluginData.FromString(found.SummaryMetadata(tag).plugin_data.content)
