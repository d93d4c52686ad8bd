"""docs/extending.md is performed: its classes and files are put into a copy of the repository, built and trained.

The copy is a process of its own: this file run as a program there, which writes what it found as JSON.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path

import pytest
import torch
import yaml

ROOT = Path(__file__).parents[1]
SPEAKERS = ("anu", "bala", "chitra", "devi", "esha")
NEW = "huber or lookup or no_emphasis or data-mine or discriminator-mel or adversarial/mel or adversarial.mel"
WHOLE = "state_their_shapes or tested_by_name or booleans or rows_of_the_list or two_members"


def blocks(language, text):
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def files(text):
    """What the page adds: path -> content, from blocks that begin with a comment that is a path."""
    found = [block.partition("\n") for language in ("python", "yaml") for block in blocks(language, text)]
    return {first.removeprefix("# "): content for first, _, content in found}


def commands(text):
    """The command lines of the page."""
    return [line for block in blocks("sh", text) for line in block.splitlines()]


def page():
    return (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


def run(command):
    """What a command of the page prints; a training prints its configuration and stops."""
    from telucodec.cli.main import main

    program, *arguments = [os.path.expanduser(word) for word in shlex.split(command)]
    assert program == "telucodec"
    told = StringIO()
    with redirect_stdout(told):
        assert main([*arguments, *(["--cfg"] if arguments[0] == "train" else [])]) == 0, command
    return told.getvalue()


class Passed:
    """Names of the tests that passed."""

    def __init__(self):
        self.names = []

    def pytest_runtest_logreport(self, report):
        if report.when == "call" and report.passed:
            self.names.append(report.nodeid)


def own_tests():
    """The tests that should find the additions by themselves."""
    passed = Passed()
    tests = [f"tests/{name}.py" for name in ("test_configs", "test_arms", "test_house")]
    with redirect_stdout(sys.stderr):
        code = pytest.main(["-q", "-p", "no:cacheprovider", "-k", f"{NEW} or {WHOLE}", *tests], plugins=[passed])
    return int(code), passed.names


def huber(node):
    from telucodec.build import build
    from telucodec.records import Quantized, Step

    term, audio = build(node, "loss.huber"), torch.full((2, 1, 64), 0.005)
    audio[1] = -0.04  # the first item is in the curved part, the second in the straight one
    encoded = torch.zeros(1, 2, 3)
    quantized = Quantized(encoded, encoded[:, :0].long())
    return [float(term(Step(0, audio[k] * 0, audio[k], encoded, quantized, lambda x: None))) for k in range(2)]


def lookup_free(node):
    from telucodec.build import build
    from telucodec.losses.quantizer import Commitment
    from telucodec.records import Step

    small = build({**node["inner"], "bits": 2, "n_q": 2}, "quantizer.inner")
    encoded = torch.tensor([[[0.3, -1.0], [-2.0, 5.0], [-0.1, 2.0], [0.0, 0.1]]], requires_grad=True)
    quantized = small(encoded)
    (quantized.latent * torch.arange(8).view(1, 4, 2)).sum().backward()
    audio = torch.zeros(1, 1, 2)
    step = Step(0, audio, audio, encoded, quantized, lambda x: None)
    return {
        "bits_per_frame": build(node, "quantizer").bits_per_frame,
        "codes": quantized.codes.tolist(),
        "latent": quantized.latent.tolist(),
        "decoded": small.decode(quantized.codes).tolist(),
        "prefix": small.decode(quantized.codes[:, :1]).tolist(),
        "gradient": encoded.grad.tolist(),
        "commitment": Commitment(weight=1.0, start=0, reduce="mean")(step).item(),
    }


def mel(discriminator):
    verdict = discriminator(torch.zeros(2, 1, 1024))
    return {
        "logits": [list(logits.shape) for logits in verdict.logits],
        "features": [[list(feature.shape) for feature in features] for features in verdict.features],
        "parameters": sum(p.numel() for p in discriminator.parameters()),
    }


def recordings(node):
    from telucodec.build import build

    return [[Path(e.path).name, e.speaker, e.split] for e in build(node, "loader.source")().entries]


def perform(text):
    """Everything the page says, in the copy that is the working directory."""
    import_module("lightning")  # its log goes to where stderr is now, not to what pytest puts there for a while
    code, passed = own_tests()
    from telucodec.cli.checked import check_top
    from telucodec.cli.compose import conf_dir
    from test_arms import assert_it_learned, train_two_steps

    torch.set_num_threads(1)
    assert conf_dir() == Path.cwd() / "conf"
    *inside, outside = commands(text)
    told = {command: run(command) for command in inside}
    configs = {c: list(yaml.safe_load_all(t)) for c, t in told.items() if c.startswith("telucodec train")}
    trained, made = {}, {}
    for command, (config, *_) in configs.items():
        check_top(config)
        overrides = shlex.split(command)[2:]
        if overrides[0].startswith(("loss=", "quantizer=", "discriminator=")):  # test_arms.py trains the fix
            trained[command], before = train_two_steps(overrides)
            assert_it_learned(trained[command], before)
    first = {key: next(c for c in configs if key in c) for key in ("huber", "lookup_free", "mel", "emphasis", "mine")}
    made["tests"], made["exit"] = passed, code
    made["jobs"] = {command: len(found) for command, found in configs.items()}
    made["figures"] = {command: sorted(module.figures) for command, module in trained.items()}
    made["huber"] = huber(configs[first["huber"]][0]["loss"]["huber"])
    made["lookup_free"] = lookup_free(configs[first["lookup_free"]][0]["quantizer"])
    made["mel"] = mel(trained[first["mel"]].adversary.discriminators["mel"])
    made["emphasis"] = configs[first["emphasis"]][0]["loss"]["l1_emphasis"]
    made["fixes"] = [row for row in json.loads(told["telucodec fixes --json"]) if row["overlay"] == "no_emphasis"]
    made["inside"] = recordings(configs[first["mine"]][0]["loader"]["source"])
    away, here = Path("~/my_conf/data/mine.yaml").expanduser(), Path("conf/data/mine.yaml")
    away.parent.mkdir(parents=True)
    away.write_text(here.read_text().replace("seed: 0", "seed: 5"))
    here.unlink()
    made["seeds"] = [yaml.safe_load(run(outside))["data"]["seed"]]
    return made


def copy_with_additions(folder):
    """A copy of what training and its tests need, with the page's files added."""
    for name in ("src", "conf", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / "page.md").write_text(page(), encoding="utf-8")
    for path, content in files(page()).items():
        assert not (folder / path).exists(), f"{path} is there already: take another example"
        (folder / path).write_text(content, encoding="utf-8")
    return folder


def test_every_block_of_the_page_is_a_new_file_or_a_command():
    assert sorted(files(page())) == [
        "conf/ablation/no_emphasis.yaml",
        "conf/data/mine.yaml",
        "conf/discriminator/mel.yaml",
        "conf/loss/huber.yaml",
        "conf/quantizer/lookup_free.yaml",
        "src/telucodec/adversarial/mel.py",
        "src/telucodec/losses/huber.py",
        "src/telucodec/quantization/lookup_free.py",
    ]
    assert page().count("```") == 2 * (8 + len(blocks("sh", page())))
    assert all(command.startswith("telucodec ") for command in commands(page()))
    assert commands(page())[-1] == "telucodec train --config-dir ~/my_conf data=mine"


@pytest.mark.slow
def test_the_page_can_be_performed(tmp_path):
    from conftest import voices
    from telucodec.audio.files import write

    copy = copy_with_additions(tmp_path / "copy")
    style = [sys.executable, "-m", "ruff", "check", "--no-cache", *(p for p in files(page()) if p.endswith(".py"))]
    assert subprocess.run(style, cwd=copy, check=False).returncode == 0
    names = [f"{speaker}_{number:03}.wav" for speaker in SPEAKERS for number in range(2)]
    for number, name in enumerate(names):
        write(tmp_path / "home" / "recordings" / "2024" / name, voices(number, 0.5), 16000)
    place = {"HOME": tmp_path / "home", "TELUCODEC_CACHE": tmp_path / "cache", "PYTHONPATH": copy / "src"}
    env = {**os.environ, **{key: str(value) for key, value in place.items()}, "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "tests/test_extending.py", "made.json"], cwd=copy, env=env, check=True)
    made = json.loads((copy / "made.json").read_text())

    assert made["exit"] == 0
    found = "\n".join(made["tests"])
    for name in ("loss-huber", "quantizer-lookup_free", "discriminator-mel", "data-mine"):
        assert f"test_member[{name}]" in found
    assert "test_an_ablation_trains[no_emphasis]" in found
    for name in ("losses.huber.Huber", "quantization.lookup_free.LookupFree", "adversarial.mel.MelDiscriminator"):
        assert f"test_yaml_is_the_only_source_of_defaults[telucodec.{name}]" in found
        assert f"test_configured_constructors_are_documented[telucodec.{name}]" in found

    # half the square of 0.005; 0.01 times (0.04 less half of 0.01)
    assert made["huber"] == pytest.approx([0.005**2 / 2, 0.01 * (0.04 - 0.01 / 2)])
    signs = [[1.0, -1.0], [-1.0, 1.0], [-1.0, 1.0], [-1.0, 1.0]]
    squares = 0.7**2 + 1 + 0 + 4**2 + 0.9**2 + 1 + 1 + 0.9**2
    assert made["lookup_free"] == {
        "bits_per_frame": 80,
        "codes": [[[1, 2], [0, 3]]],
        "latent": [signs],
        "decoded": [signs],
        "prefix": [[*signs[:2], [0.0, 0.0], [0.0, 0.0]]],
        "gradient": [[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]],
        "commitment": pytest.approx(squares / 8),
    }
    # 1024 samples are 9 frames of hop 128; each layer halves bands and frames; weight norm adds a length a channel
    assert made["mel"] == {
        "logits": [[2, 1, 10, 3]],
        "features": [[[2, 8, 20, 5], [2, 16, 10, 3]]],
        "parameters": 8 * (9 + 2) + 16 * (8 * 9 + 2) + (16 * 9 + 2),
    }
    assert made["emphasis"]["emphasis"] == 0
    (row,) = made["fixes"]
    assert (row["key"], row["owner"]) == ("L1", "telucodec.losses.waveform")

    by_command = made["figures"]
    assert {"loss/huber", "loss/commitment"} <= set(by_command["telucodec train 'loss=[huber,commitment]'"])
    assert "adversary/mel" in by_command["telucodec train 'discriminator=[scale,stft,mel]'"]
    assert sorted(set(made["jobs"].values())) == [1, 4], made["jobs"]

    assert sorted(name for name, _, _ in made["inside"]) == names
    assert all(name.startswith(f"{speaker}_") for name, speaker, _ in made["inside"])
    divided = {speaker: {split for _, own, split in made["inside"] if own == speaker} for speaker in SPEAKERS}
    assert sorted(len(splits) for splits in divided.values()) == [1] * 5
    assert set.union(*divided.values()) == {"train", "valid", "test"}
    assert made["seeds"] == [5], "the folder outside is found"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(perform(Path("page.md").read_text(encoding="utf-8"))))
