import resource
import subprocess
import sys

import pytest

COUNT = """
import resource, torch
from telucodec.training.heap import keep_freed_memory
assert {keep} is False or keep_freed_memory() is True
def step(): return torch.ones(10_000_000).sum().item()
for _ in range(12): step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
assert sum(step() for _ in range(5)) == 50_000_000
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone")
def test_freed_memory_is_not_mapped_anew():
    faults = [
        int(
            subprocess.run(
                [sys.executable, "-c", COUNT.format(keep=keep)], capture_output=True, text=True, check=True
            ).stdout
        )
        for keep in (False, True)
    ]
    pages = 5 * 40_000_000 // resource.getpagesize()
    assert faults[0] > pages / 600  # or where pages are huge, one in 512
    assert faults[1] < faults[0] / 10
