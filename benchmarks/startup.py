"""How long it takes until something happens: the first training step, and commands that train nothing.

Each command runs in a process of its own, in turns; its processor time and wall time are the system's figures. The
first training step of `telucodec train` stands beside that of a bare script of Lightning and Hydra with networks,
losses, crops of FLAC files and a TensorBoard log of the same size; both end as soon as that step and its callbacks are
over.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from pairs import parser, ratio, say, write

TOY = (
    *("encoder.strides=[4,2]", "encoder.channels=[4,8]", "encoder.dilations=[[1],[1]]", "encoder.dim=8"),
    *("quantizer.n_q=3", "quantizer.codebook.codebook_size=16", "discriminator=[scale,stft]"),
    *("discriminator.scale.scales=2", "discriminator.scale.channels=[4,8]", "discriminator.stft.n_ffts=[64,32]"),
    *("discriminator.stft.channels=4", "loss.mel.n_ffts=[64]", "loss.mel.n_mels=[8]", "adversary.start=0"),
    *("loader.batch_size=4", "loader.segment_seconds=0.064", "loader.workers=0", "callback.logging.every=1"),
    *("max_steps=100", "callback.validation.every=100", "callback.validation.examples=0"),
    *("probe=[]", "trainer=cpu", "name=toy"),
)
OURS = """
import os, sys
from telucodec.cli import checked
from telucodec.cli.main import main

load = checked.load


def load_and_end_early(name):
    load(name)
    from telucodec.training.module import CodecTraining

    CodecTraining.on_train_batch_end = lambda *_: os._exit(0)  # the last thing that a step does


checked.load = load_and_end_early
sys.exit(main(sys.argv[1:]))
"""
CONFIG = """
hydra: {run: {dir: .}, output_subdir: null, mode: RUN}
defaults: [_self_, {override hydra/hydra_logging: disabled}, {override hydra/job_logging: disabled}]
optimizer: {_target_: torch.optim.AdamW, _partial_: true, lr: 1.0e-4}
folder: ???
batch: 4
samples: 1024
max_steps: 100
"""
BARE = """
import os
from pathlib import Path

import hydra
import lightning
import numpy as np
import soundfile
import torch
from lightning.pytorch.loggers import TensorBoardLogger
from torch import nn
from torch.nn.functional import l1_loss, mse_loss, one_hot


class Crops(torch.utils.data.Dataset):
    def __init__(self, folder, samples):
        self.files = [(path, soundfile.info(path).frames) for path in sorted(Path(folder).rglob("*.flac"))]
        self.samples = samples

    def __len__(self):
        return 1_000_000

    def __getitem__(self, index):
        path, length = self.files[index % len(self.files)]
        start = np.random.default_rng(index).integers(0, length - self.samples)
        audio, _ = soundfile.read(path, frames=self.samples, start=start, dtype="float32", always_2d=True)
        return torch.from_numpy(audio.T.copy())


class Codec(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv1d(1, 4, 7, padding=3), nn.ELU(), nn.Conv1d(4, 8, 8, 4, 2), nn.ELU(), nn.Conv1d(8, 8, 4, 2, 1)
        )
        self.books = nn.Parameter(torch.randn(3, 16, 8), requires_grad=False)
        self.decoder = nn.Sequential(
            nn.ConvTranspose1d(8, 8, 4, 2, 1), nn.ELU(), nn.ConvTranspose1d(8, 4, 8, 4, 2), nn.ELU(),
            nn.Conv1d(4, 1, 7, padding=3),
        )

    def forward(self, audio):
        encoded = self.encoder(audio)
        rest = encoded.transpose(1, 2)
        chosen = torch.zeros_like(rest)
        for book in self.books:
            codes = torch.cdist(rest - chosen, book).argmin(-1)
            chosen = chosen + book[codes]
            one_hot(codes, 16).sum((0, 1))
        latent = chosen.transpose(1, 2)
        return self.decoder(encoded + (latent - encoded).detach()), mse_loss(encoded, latent.detach())


class Discriminators(nn.Module):
    def __init__(self):
        super().__init__()
        norm = nn.utils.parametrizations.weight_norm
        self.scales = nn.ModuleList(
            nn.Sequential(norm(nn.Conv1d(1, 4, 15, 1, 7)), nn.LeakyReLU(0.2), norm(nn.Conv1d(4, 8, 41, 4, 20)),
                          nn.LeakyReLU(0.2), norm(nn.Conv1d(8, 1, 3, 1, 1))) for _ in range(2)
        )
        self.spectra = nn.ModuleList(
            nn.Sequential(norm(nn.Conv2d(2, 4, (3, 9), padding=(1, 4))), nn.LeakyReLU(0.2),
                          norm(nn.Conv2d(4, 1, 3, padding=1))) for _ in range(2)
        )

    def forward(self, audio):
        found = []
        for k, scale in enumerate(self.scales):
            heard = nn.functional.avg_pool1d(audio, 2**k) if k else audio
            for layer in scale:
                heard = layer(heard)
                found.append(heard)
        for n_fft, network in zip((64, 32), self.spectra):
            heard = torch.view_as_real(spectrum(audio, n_fft)).movedim(-1, 1)
            for layer in network:
                heard = layer(heard)
                found.append(heard)
        return found


def spectrum(audio, n_fft):
    return torch.stft(audio[:, 0], n_fft, n_fft // 4, window=torch.hann_window(n_fft), return_complex=True)


class Training(lightning.LightningModule):
    def __init__(self, optimizer):
        super().__init__()
        self.automatic_optimization = False
        self.codec, self.discriminators, self.make = Codec(), Discriminators(), optimizer
        self.register_buffer("mel", torch.rand(33, 8))

    def training_step(self, target, _):
        generator, discriminator = self.optimizers()
        audio, commitment = self.codec(target)
        fake, real = self.discriminators(audio.detach()), self.discriminators(target)
        loss = sum((1 + f[-1]).relu().mean() + (1 - r[-1]).relu().mean() for f, r in zip(fake, real))
        discriminator.zero_grad()
        self.manual_backward(loss)
        discriminator.step()
        fake, real = self.discriminators(audio), self.discriminators(target)
        mels = [(spectrum(x, 64).abs().transpose(1, 2) @ self.mel).clamp(min=1e-5).log() for x in (audio, target)]
        losses = {
            "l1": l1_loss(audio, target), "mse": mse_loss(audio, target), "mel": l1_loss(*mels),
            "adversarial": sum(-f[-1].mean() for f in fake), "commitment": commitment,
            "feature": sum(l1_loss(f, r.detach()) for f, r in zip(fake, real)),
        }
        generator.zero_grad()
        self.manual_backward(sum(losses.values()))
        generator.step()
        self.log_dict(losses)

    def on_train_batch_end(self, *_):
        os._exit(0)

    def configure_optimizers(self):
        return [self.make(self.codec.parameters()), self.make(self.discriminators.parameters())]


@hydra.main(config_path=".", config_name="bare", version_base="1.3")
def main(config):
    lightning.seed_everything(0, verbose=False)
    torch.set_num_threads(1)
    loader = torch.utils.data.DataLoader(Crops(config.folder, config.samples), config.batch)
    trainer = lightning.Trainer(
        accelerator="cpu", max_steps=config.max_steps, logger=TensorBoardLogger("logs"), log_every_n_steps=1,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )
    trainer.fit(Training(hydra.utils.instantiate(config.optimizer)), loader)


main()
"""


def main() -> None:
    """Measure and write."""
    options = parser(__doc__ or "", 7)
    options.add_argument("--only", choices=["step", "commands"], help="leave the rest out")
    chosen = options.parse_args()
    rows: list[Mapping[str, Any]] = []
    with tempfile.TemporaryDirectory() as home:
        where = Path(home)
        _prepare(where)
        if chosen.only != "commands":
            rows += _step(where, chosen.rounds)
        if chosen.only != "step":
            rows += _commands(where, chosen.rounds)
    write("startup", rows)


def _prepare(where: Path) -> None:
    """A dozen FLAC files of about a second, and the bare script."""
    rng = np.random.default_rng(0)
    for number in range(12):
        file = where / "speech" / f"speaker_{number // 2}" / f"{number}.flac"
        file.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(file, 0.1 * rng.standard_normal(12000 + 1600 * number), 16000)
    (where / "ours.py").write_text(OURS)
    (where / "bare.py").write_text(BARE)
    (where / "bare.yaml").write_text(CONFIG)


def _step(where: Path, rounds: int) -> list[Mapping[str, Any]]:
    data = ["data=folder", f"data.root={where / 'speech'}", "data.speaker_from=parent"]
    data += ["data.valid_fraction=0.2", "data.test_fraction=0.2"]
    ways = {
        "bare script": [sys.executable, "bare.py", f"folder={where / 'speech'}"],
        "telucodec train": [sys.executable, "ours.py", "train", *TOY, *data],
    }
    return _compare("first training step", ways, where, rounds)


def _commands(where: Path, rounds: int) -> list[Mapping[str, Any]]:
    ours = [sys.executable, "-m", "telucodec.cli.main"]
    train = [*ours, "train", *TOY, "data=folder", f"data.root={where / 'speech'}", "data.speaker_from=parent"]
    train += ["data.valid_fraction=0.2", "data.test_fraction=0.2", "max_steps=1", "name=coded"]
    _fresh(train, where)
    (run,) = (where / "runs/coded").iterdir()
    speech = next((where / "speech").rglob("*.flac"))
    ways = {
        "import lightning": [sys.executable, "-c", "import lightning"],
        "import torch": [sys.executable, "-c", "import torch"],
        "telucodec --help": [*ours, "--help"],
        "telucodec train --cfg": [*ours, "train", "--cfg"],
        "telucodec fixes": [*ours, "fixes"],
        "telucodec diff s001 s002": [*ours, "diff", "s001", "s002"],
        "telucodec data info": [*ours, "data", "info", str(where / "speech")],
        "telucodec reconstruct": [*ours, "reconstruct", str(run), str(speech), str(where / "out.wav")],
    }
    return _compare("command", ways, where, rounds)


def _compare(what: str, ways: Mapping[str, Sequence[str]], where: Path, rounds: int) -> list[Mapping[str, Any]]:
    """Each way against the first one."""
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    wall: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(-1, rounds):  # the first one fills caches, and is not counted
        for name, command in ways.items():
            seconds = _fresh(command, where)
            if turn >= 0:
                cpu[name].append(seconds[0])
                wall[name].append(seconds[1])
    base = next(iter(ways))
    rows: list[Mapping[str, Any]] = []
    for name in ways:
        row = {"what": what, "way": name, "cpu_seconds": min(cpu[name]), "wall_seconds": min(wall[name]), "base": base}
        row |= {"cpu": ratio(cpu[base], cpu[name]), "wall": ratio(wall[base], wall[name])}
        rows.append(row)
        say(f"{what}: {name}: {row['cpu_seconds']:.2f} s CPU, {row['cpu']} times as fast as {base}; wall {row['wall']}")
    return rows


def _fresh(command: Sequence[str], where: Path) -> tuple[float, float]:
    """Processor seconds and wall seconds of a command in a process of its own."""
    environment = os.environ | {"TELUCODEC_CACHE": str(where / "cache"), "OMP_NUM_THREADS": "1"}
    before, since = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - since, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


if __name__ == "__main__":
    main()
