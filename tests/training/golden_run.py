"""Twenty steps with every term on, printed to the last bit. Run by test_golden.py in a process of its own.

`python tests/training/golden_run.py > tests/training/golden.json` renews the pinned values after an intended change.
"""

import json
import os
import platform
import sys
from pathlib import Path

# The plainest code paths of torch's libraries, so that processors of one architecture agree to the last bit
PORTABLE = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_CBWR": "COMPATIBLE",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OMP_NUM_THREADS": "1",
}


def main(seed: int) -> None:
    """Train and print."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    import torch
    from test_step import Watch, run

    from conftest import toy_module

    torch.backends.mkldnn.enabled = False
    torch.use_deterministic_algorithms(True)
    watch = Watch()
    plain = ("optimizer.fused=false", "adversary_optimizer.fused=false")
    run(toy_module("adversary.start=10", "max_steps=20", *plain, seed=seed), 20, watch)
    pinned = ("loss/", "adversary/", "gradient")
    losses = [{k: v.hex() for k, v in figures.items() if k.startswith(pinned)} for figures in watch.figures]
    made = {"torch": torch.__version__.split("+")[0], "machine": platform.machine()}
    sys.stdout.write(json.dumps({"made": made, "steps": losses}, indent=1) + "\n")


if __name__ == "__main__":
    if any(os.environ.get(key) != value for key, value in PORTABLE.items()):  # read when torch loads: start again
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | PORTABLE)
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
