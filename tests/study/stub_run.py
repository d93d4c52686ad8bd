"""A run to those who start it, without training: `python stub_run.py FOLDER` instead of `telucodec train --job FOLDER`.

It takes over the real command's lock and its way to stop. Each step takes config["pace"] seconds and is saved.
"""

import json
import sys
import time
from pathlib import Path

from telucodec.cli import make
from telucodec.disk import holding, write_text


def train(job, folder, console):
    steps = job.config["max_steps"]
    if job.config.get("fails"):
        raise ValueError("this one always fails")
    with holding(folder / ".lock"):
        record(folder, "running", done := saved(folder))
        with (folder / "begun").open("a") as file:
            file.write(f"at {done}\n")
        try:
            while done < steps:
                time.sleep(job.config["pace"])
                done += 1
                write_text(folder / "saved", str(done))
        except KeyboardInterrupt:
            record(folder, "interrupted", done)
            return 130
        write_text(folder / "summary.json", "{}")
        record(folder, "finished", done)
    return 0


def saved(folder):
    path = folder / "saved"
    return int(path.read_text()) if path.exists() else 0


def record(folder, status, steps):
    write_text(folder / "run.json", json.dumps({"status": status, "steps": steps, "seconds": 0.0}))


if __name__ == "__main__":
    make._train = train
    sys.exit(make.make(Path(sys.argv[1]), []))
