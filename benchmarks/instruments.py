"""What the instruments cost: the same run with and without them, in pairs.

    python benchmarks/instruments.py --pairs 2

Each run is a process of its own on one thread. Compared is the processor time of the whole run, which a busy neighbour
disturbs less than wall time; which of a pair goes first alternates.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

OFF = ["probe=[]", "callback=[logging,validation,saving,progress]"]


def cost(folder: str, name: str, overrides: list[str]) -> tuple[float, float]:
    """Processor and wall seconds of one run."""
    words = [sys.executable, "-m", "telucodec.cli.main", "train", f"run_root={folder}", f"name={name}", *overrides]
    before, since = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return spent, time.monotonic() - since


def main() -> None:
    """Run the pairs and print their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2, help="how often both are run (default 2)")
    parser.add_argument("overrides", nargs="*", help="of the configuration that both train")
    options = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        for pair in range(options.pairs):
            arms = {"on": options.overrides, "off": [*options.overrides, *OFF]}
            names = list(arms) if pair % 2 == 0 else list(arms)[::-1]
            spent = {name: cost(folder, f"{name}_{pair}", arms[name]) for name in names}
            ratios.append(spent["on"][0] / spent["off"][0])
            told = ", ".join(f"{name} {cpu:.1f} s (wall {wall:.1f} s)" for name, (cpu, wall) in spent.items())
            sys.stdout.write(f"pair {pair + 1}: {told}, ratio {ratios[-1]:.4f}\n")
            sys.stdout.flush()
    sys.stdout.write(f"median ratio of processor time, on over off: {statistics.median(ratios):.4f}\n")


if __name__ == "__main__":
    main()
