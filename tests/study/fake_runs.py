"""Jobs that end when a test says so, in no process of their own."""

import json

from rich.console import Console

from telucodec.study.jobs.job import Job


class FakeLauncher:
    """Ends each job after as many looks as its config["looks"] says, with what config["ends"] says."""

    def __init__(self):
        self.handles, self.most, self.expected = [], 0, []

    def expect(self, count):
        self.expected.append(count)

    def start(self, job, devices):
        handle = FakeHandle(job, devices)
        self.handles.append(handle)
        self.most = max(self.most, sum(one.code is None for one in self.handles))
        return handle


class FakeHandle:
    def __init__(self, job, devices):
        self.job, self.devices, self.code, self.said = job, devices, None, []
        self.log, self.left = job.folder / "log.txt", job.config.get("looks", 1)
        self.log.write_text("== started 2026-11-21\nfirst\n\nthe reason\n")

    def poll(self):
        self.left -= 1
        if self.code is None and self.left <= 0:
            self.code = end(self.job, self.job.config.get("ends", "finished"))
        return self.code

    def stop(self):
        self.said.append("stop")
        self.code = end(self.job, "interrupted")

    def kill(self):
        self.said.append("kill")
        self.code = -9


def end(job, status, **figures):
    """Leave a run that ended."""
    job.folder.mkdir(parents=True, exist_ok=True)
    if status == "finished":
        final = {"final": {f"val/{key}": value for key, value in figures.items()}, "diagnosis": {"label": "healthy"}}
        (job.folder / "summary.json").write_text(json.dumps(final))
    (job.folder / "run.json").write_text(json.dumps({"status": status, "steps": 5, "seconds": 2.0}))
    return {"finished": 0, "interrupted": 130, "diverged": 2}.get(status, 1)


def job(root, label, **config):
    return Job(label, {"max_steps": 10, "name": "n", "word": label} | config, (f"word={label}",), root, ("word",))


def console(width=100):
    return Console(width=width, height=20, record=True, quiet=False, file=open("/dev/null", "w"))
