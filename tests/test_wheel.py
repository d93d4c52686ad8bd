import os
import subprocess
import sys
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from conftest import ROOT, TOY


def asked_for(own: Distribution) -> dict[str, Distribution]:
    """All that a distribution asks for without extras, and all that this asks for, as they are installed here."""
    found: dict[str, Distribution] = {}
    waiting = [(own, "")]
    while waiting:
        one, extra = waiting.pop()
        for wanted in map(Requirement, one.requires or []):
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                new = wanted.name not in found
                found[wanted.name] = distribution(wanted.name)
                waiting += [(found[wanted.name], each) for each in ({"", *wanted.extras} if new else wanted.extras)]
    return found


def link(site: Path, found: Distribution) -> None:
    """Put a distribution into another environment, by links: torch alone is gigabytes."""
    for top in {file.parts[0] for file in found.files or [] if file.parts[0] not in ("..", "__pycache__")}:
        if not (site / top).exists():
            (site / top).symlink_to(Path(str(found.locate_file(top))))


@pytest.mark.slow
def test_the_wheel_trains_two_steps_from_another_folder(tmp_path, speech_folder):
    """In an environment of its own, with nothing but what the wheel asks for."""
    python = tmp_path / "venv/bin/python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", tmp_path / "dist", ROOT], check=True)
    (wheel,) = (tmp_path / "dist").glob("telucodec-*.whl")
    subprocess.run([*pip, "install", "--no-deps", wheel], check=True)
    (site,) = (tmp_path / "venv/lib").glob("python*/site-packages")
    (own,) = distributions(name="telucodec", path=[str(site)])
    wanted = asked_for(own)
    assert "lightning" in wanted
    assert "pytest" not in wanted
    for found in wanted.values():
        link(site, found)
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
