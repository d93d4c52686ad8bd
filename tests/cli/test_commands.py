import os
import subprocess
import sys

import pytest
import yaml

from telucodec.cli.compose import compose_config, conf_dir, sweep
from telucodec.cli.main import main
from telucodec.errors import InputError


def said(*overrides):
    with pytest.raises(InputError) as error:
        compose_config(list(overrides), None)
    return str(error.value)


def test_a_misspelt_key_names_the_nearest():
    assert said("loss.mell.weight=3") == "loss.mell.weight: there is no such key. Did you mean 'loss.mel.weight'?"
    assert "Did you mean 'max_steps'?" in said("max_step=3")


def test_a_key_of_a_member_that_is_not_chosen_is_said_to_be_missing():
    message = said("quantizer=none", "quantizer.n_q=4")
    assert "quantizer.n_q: there is no such key" in message
    assert "Did you mean 'quantizer.n_q'" not in message


def test_a_misspelt_choice_names_the_nearest():
    assert "encoder=seanett: there is no such choice. Did you mean 'seanet'?" in said("encoder=seanett")
    assert "Choose from:" in said("quantizer=zzz")


def test_what_cannot_be_parsed_is_quoted():
    assert "cannot be parsed" in said("loss=[l1")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.lr=fast", "error: optimizer.lr: got 'fast'"),
        ("quantizer.n_q=2.5", "quantizer.n_q"),
        ("quantizer.codebook.decay=2", r"decay must be in [0, 1), got 2"),
        ("trainer.precision=fp8", "must be of type Literal['32-true', 'bf16-mixed', '16-mixed']"),
        ("loader.batch_size=0", "batch_size must be >= 1, got 0"),
        ("max_steps=0", "max_steps: must be a whole number >= 1, got 0"),
        ("loss.l1.weight=-1", "error: loss.l1: weight must be >= 0, got -1"),
        ("encoder.strides=[8,4]", "error: encoder: strides, channels and dilations need one entry a stage"),
        ("+foo.bar=3", "foo: nothing reads this key"),
        ("+loss.mell.weight=3", "names no class"),
        ("encoder.dim=0", "dim must be >= 1, got 0"),
        ("discriminator.scale.channels=[]", "channels must not be empty"),
        ("discriminator.stft.n_ffts=[0]", "n_ffts must be >= 16, got [0]"),
        ("loss.l1.weight=nan", "weight must be >= 0, got nan"),
        ("loader.segment_seconds=nan", "segment_seconds must be"),
        ("subset.valid_utterances=0", "valid_utterances must be >= 1, got 0"),
        ("evaluator.silence_dbfs=nan", "silence_dbfs must be in"),
        ("trainer.precision=16-mixed", "needs a GPU"),
        ("name=../escape", "name: must be a word"),
        ("discriminator=[]", "read discriminators"),
        ("loss.l1.start=5 loss=[l1]", "cannot be parsed"),
        ("output.scale.initial=0", "initial must be > 0, got 0"),
        ("data=manifest", "data.manifest=PREPARED/manifest.jsonl"),
        ("data=folder", "give the folder: data.root=PATH"),
        ("loss=[]", "no loss is selected"),
        ("+optimizer.beta=[0.1,0.2]", "takes no 'beta'. Did you mean 'betas'?"),
        ("trainer=gpu", "no CUDA device is visible"),
    ],
)
def test_a_wrong_value_says_what_is_allowed_without_a_traceback(tmp_path, monkeypatch, capsys, override, message):
    import torch

    if override == "trainer=gpu" and torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    monkeypatch.chdir(tmp_path)
    code = main(["train", "trainer=cpu", override])
    err = " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert not list(tmp_path.glob("runs/*/*")), "a run that never began leaves no folder"
    assert " ".join(message.split()) in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("callback.validation.every=0", "callback.validation: every must be >= 1, got 0"),
        ("optimizer.lr=-1.0", "optimizer: Invalid learning rate: -1.0"),
    ],
)
def test_a_wrong_value_found_late_is_named_too(train, capsys, override, message):
    code, _ = train(override)
    err = " ".join(capsys.readouterr().err.split())
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_unknown_options_are_refused(train, capsys):
    assert train("--fast")[0] == 2
    assert "--fast: there is no such option" in capsys.readouterr().err


def test_cfg_prints_the_composed_configuration(capsys):
    assert main(["train", "--cfg", "optimizer.lr=0.5"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["optimizer"]["lr"] == 0.5


def test_users_add_groups_with_config_dir(tmp_path, capsys):
    (tmp_path / "loss").mkdir()
    mine = "# @package loss.mine\n_target_: telucodec.losses.waveform.MSE\nweight: 7.0\nstart: 0\nemphasis: 0.5\n"
    (tmp_path / "loss" / "mine.yaml").write_text(mine)
    assert main(["train", "--cfg", "--config-dir", str(tmp_path), "loss=[mine]"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["loss"]["mine"]["weight"] == 7.0
    assert main(["train", "--cfg", "--config-dir", str(tmp_path / "no")]) == 2
    assert "no such folder" in capsys.readouterr().err


def test_sweeps_expand_to_every_combination():
    assert list(sweep(["loss.mel.weight=1,15", "seed=0,1", "name=a"], None)) == [
        ["loss.mel.weight=1", "seed=0", "name=a"],
        ["loss.mel.weight=1", "seed=1", "name=a"],
        ["loss.mel.weight=15", "seed=0", "name=a"],
        ["loss.mel.weight=15", "seed=1", "name=a"],
    ]
    assert list(sweep(["loss=[l1,mse]"], None)) == [["loss=[l1,mse]"]], "a list is one value"
    globbed = [job[0] for job in sweep(["quantizer=glob(*)"], None)]
    assert globbed == [f"quantizer={path.stem}" for path in sorted((conf_dir() / "quantizer").glob("*.yaml"))]


@pytest.mark.parametrize(
    ("override", "message"),
    [("ablation=glob(zzz*)", "matches no file"), ("seed=interval(0,2)", "an interval has no list")],
)
def test_a_sweep_over_nothing_is_refused(capsys, override, message):
    assert main(["train", "-m", override]) == 2
    assert message in capsys.readouterr().err


def quick(tmp_path, *words):
    env = os.environ | {"TELUCODEC_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "telucodec.cli.main", *words], cwd=tmp_path, env=env, capture_output=True, text=True
    )


def test_help_is_quick_and_imports_no_torch(tmp_path):
    code = "import sys; from telucodec.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print([m for m in ('torch', 'lightning', 'hydra', 'numpy') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert "evaluate" in out
    assert out.strip().endswith("[]")


@pytest.mark.parametrize("command", ["train", "evaluate", "reconstruct", "data"])
def test_each_help_shows_examples(tmp_path, command):
    out = quick(tmp_path, command, "--help")
    assert out.returncode == 0
    assert f"telucodec {command}" in out.stdout
    assert "example" in out.stdout


@pytest.mark.parametrize("words", [["evaluate", "nowhere"], ["reconstruct", "nowhere", "a.wav", "b.wav"]])
def test_a_folder_that_is_no_run_is_named_without_lightning(tmp_path, words):
    out = quick(tmp_path, *words)
    assert out.returncode == 2
    assert "nowhere: is no run folder" in out.stderr
    assert "Traceback" not in out.stderr


def test_decoding_needs_no_lightning(tmp_path):
    code = "import sys; import telucodec.models.stored, telucodec.models.assess, telucodec.cli.reconstruct\n"
    code += "print('lightning' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    assert out.strip() == "False"


def test_a_folder_of_ones_own_is_listed_and_must_not_repeat_our_names(tmp_path, capsys):
    (tmp_path / "my, conf=1" / "ablation").mkdir(parents=True)
    home = tmp_path / "my, conf=1"
    header = "# key: X1\n# fix: f\n# source: s\n# owner: telucodec.build\n# expect: e\n# changes: seed\n"
    (home / "ablation" / "another_seed.yaml").write_text(f"# @package _global_\n{header}seed: 7\n")
    assert main(["train", "--cfg", "--config-dir", str(home), "ablation=[another_seed]"]) == 0
    assert "\nseed: 7\n" in capsys.readouterr().out
    assert main(["fixes", "--json", "--config-dir", str(home)]) == 0
    assert '"overlay": "another_seed"' in capsys.readouterr().out
    (home / "ablation" / "tanh.yaml").write_text(f"# @package _global_\n{header}seed: 7\n")
    assert main(["train", "--cfg", "--config-dir", str(home), "ablation=[another_seed]", "name=new"]) == 2
    assert "there is a ablation/tanh" in capsys.readouterr().err
    (home / "ablation" / "tanh.yaml").unlink()
    (home / "ablation" / "another_seed.yaml").write_text(header.replace("X1", "own"))
    assert main(["fixes", "--config-dir", str(home)]) == 2
    assert "its key 'own' is none" in capsys.readouterr().err


def test_a_part_without_a_package_line_is_told_so(tmp_path, capsys):
    (tmp_path / "loss").mkdir()
    (tmp_path / "loss" / "bare.yaml").write_text(
        "_target_: telucodec.losses.waveform.L1\nweight: 1\nstart: 0\nemphasis: 0\n"
    )
    code = main(["train", "--config-dir", str(tmp_path), "loss=[bare,commitment]", f"run_root={tmp_path}"])
    assert code == 2
    assert "# @package loss.NAME" in capsys.readouterr().err
