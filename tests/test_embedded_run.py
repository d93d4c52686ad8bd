import json
import os
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_default_run_teaches_a_codec_to_speak(tmp_path):
    """The promise of `make train`, on the held-out voice and on the validation voice. Takes minutes."""
    pytest.importorskip("espeakng_loader")
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "telucodec.cli.main", "train", "trainer=cpu"]
    subprocess.run(command, cwd=tmp_path, env=env, check=True)
    (path,) = tmp_path.glob("runs/embedded_default/*/summary.json")
    summary = json.loads(path.read_text())
    for name, split in (("final", "val"), ("test", "test")):
        found = summary[name]
        rho, rms_ratio = found[f"{split}/rho"], found[f"{split}/rms_ratio"]
        assert found[f"{split}/snr"] >= 6.0, name
        assert rho >= 0.85, name
        assert 0.85 <= rms_ratio <= 1.10, name
        assert abs(rms_ratio - rho) <= 0.12, name
        assert found["codebook/perplexity_min"] >= 100, name
        assert found["codebook/usage_min"] >= 0.5, name
        assert found[f"{split}/kbps"] <= 5.0, name
    rows = [json.loads(line) for line in (path.parent / "metrics.jsonl").read_text().splitlines()]
    (before,) = [row for row in rows if "val/snr" in row and row["step"] == 2000]
    assert "loss/mel" not in next(row for row in rows if row["step"] == 2000 and "loss/l1" in row)
    assert {"loss/mel", "loss/adversarial", "adversary/stft"} <= set([row for row in rows if "loss/l1" in row][-1])
    assert summary["final"]["val/mel_distance"] < before["val/mel_distance"]
    assert summary["diagnosis"]["label"] == "healthy"
    assert {"plane.png", "gain_sweep.png", "gradients.png"} <= {p.name for p in (path.parent / "pictures").iterdir()}
