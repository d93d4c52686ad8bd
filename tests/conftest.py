"""The real configuration at toy size, and a little speech-like audio."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import quickly
from telucodec.audio.files import write
from telucodec.build import build
from telucodec.cli.compose import compose_config

ROOT = Path(__file__).parents[1]
quickly.switch(on=True)
TOY = (
    "encoder.strides=[4,2]",
    "encoder.channels=[4,8]",
    "encoder.dilations=[[1],[1]]",
    "encoder.dim=8",
    "quantizer.n_q=3",
    "quantizer.codebook.codebook_size=16",
    "discriminator=[scale,stft]",
    "discriminator.scale.scales=2",
    "discriminator.scale.channels=[4,8]",
    "discriminator.stft.n_ffts=[64,32]",
    "discriminator.stft.channels=4",
    "loss.mel.n_ffts=[64]",
    "loss.mel.n_mels=[8]",
    "adversary.start=0",
    "loss.mel.start=0",
    "max_steps=6",
    "loader.batch_size=4",
    "loader.segment_seconds=0.064",
    "loader.workers=0",
    "callback.logging.every=1",
    "callback.validation.every=3",
    "callback.validation.examples=0",
    "callback.saving.every=2",
    "probe=[]",  # PROBES asks them
    "trainer=cpu",
    "name=toy",
)

PROBES = "probe=[sweep,response,bypass,oracle_decoder,batchnorm_gap,training_gap]"  # as conf/train.yaml has them


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The test that takes longest comes first: begun last, it would keep one worker while the others idle."""
    items.sort(key=lambda item: item.path.name != "test_embedded_run.py")


@pytest.fixture(autouse=True)
def _one_thread_and_one_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)  # a test that passes, passes again


def config(*overrides: str) -> dict[str, Any]:
    """The composed configuration at toy size; choosing another member of a group drops the toy's values for it."""
    chosen = {o.partition("=")[0] for o in overrides if "." not in o.partition("=")[0]}
    toy = [o for o in TOY if o.partition("=")[0].split(".")[0] not in chosen or "." not in o.partition("=")[0]]
    return deepcopy(composed(*toy, *overrides))


@cache
def composed(*overrides: str) -> dict[str, Any]:
    """A configuration, composed once: not to be changed."""
    return compose_config(overrides, None)


def toy_module(*overrides: str, seed: int = 0) -> Any:
    """A training module at toy size, with the same weights at every call."""
    torch.manual_seed(seed)
    return build(config(*overrides)["training"], "training")


def voices(seed: int, seconds: float, sample_rate: int = 16000) -> np.ndarray:
    """A buzz of drifting pitch under a slow envelope, with a little noise: [1, T]."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    pitch = 120 + 60 * rng.random() + 20 * np.sin(2 * np.pi * 1.5 * t)
    phase = 2 * np.pi * np.cumsum(pitch) / sample_rate
    buzz = sum(np.sin(k * phase) / k for k in range(1, 12))
    envelope = 0.3 + 0.7 * np.abs(np.sin(2 * np.pi * 2 * t))
    return (0.1 * buzz * envelope + 0.003 * rng.standard_normal(len(t)))[None].astype(np.float32)


@pytest.fixture
def speech_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve short files of six speakers, 16 kHz mono FLAC, one folder a speaker."""
    monkeypatch.setenv("TELUCODEC_CACHE", str(tmp_path / "cache"))
    for number in range(12):
        write(
            tmp_path / "speech" / f"speaker_{number // 2}" / f"{number}.flac", voices(number, 0.4 + 0.1 * number), 16000
        )
    return tmp_path / "speech"


@pytest.fixture
def train(
    speech_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Callable[..., tuple[int, Path | None]]:
    """Run `telucodec train` at toy size in this process; gives the exit code and the newest run folder.

    Pictures take half of such a run's time: they are blank, but for tests that are marked with `pictures`.
    """
    from telucodec.cli.main import main

    monkeypatch.chdir(tmp_path)
    if not request.node.get_closest_marker("pictures"):
        monkeypatch.setattr("telucodec.training.context.pixels", lambda figure: np.zeros((8, 8, 4), np.uint8))

    def run(*overrides: str) -> tuple[int, Path | None]:
        data = ["data=folder", f"data.root={speech_folder}", "data.speaker_from=parent"]
        data += ["data.valid_fraction=0.2", "data.test_fraction=0.2"]
        code = main(["train", *TOY, *data, *overrides])
        runs = sorted((tmp_path / "runs").glob("*/*"), key=lambda folder: (folder / "run.json").stat().st_mtime)
        return code, runs[-1] if runs else None

    return run
