import os
import subprocess
import sys

import pytest

from conftest import ROOT, TOY


@pytest.mark.slow
def test_the_wheel_trains_two_steps_from_another_folder(tmp_path, speech_folder):
    """In an environment of its own, with nothing but what the wheel asks for."""
    python = tmp_path / "venv/bin/python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path / "dist", ROOT], check=True)
    (wheel,) = (tmp_path / "dist").glob("telucodec-*.whl")
    subprocess.run([*pip, "install", "--constraint", ROOT / "constraints.txt", wheel], check=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    data = ["data=folder", f"data.root={speech_folder}", "data.valid_fraction=0.2", "data.test_fraction=0.2"]
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    run = subprocess.run(
        [tmp_path / "venv/bin/telucodec", "train", *TOY, *data, "max_steps=2"],
        cwd=elsewhere,
        env=env,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert len(list(elsewhere.glob("runs/toy/*/summary.json"))) == 1
    without = subprocess.run(
        [tmp_path / "venv/bin/telucodec", "train", "max_steps=2"],
        cwd=elsewhere,
        env=env | {"TELUCODEC_CACHE": str(tmp_path / "none")},
        capture_output=True,
        text=True,
    )
    assert without.returncode == 2
    assert "telucodec[synth]" in without.stderr
