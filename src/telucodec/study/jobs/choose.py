"""From conf/launcher to what starts jobs."""

from collections.abc import Mapping
from typing import Any

from telucodec.errors import InputError
from telucodec.study.claims.strict import read
from telucodec.study.jobs.launcher import Launcher


def choose_launcher(settings: Mapping[str, Any]) -> Launcher:
    """The launcher that settings describe; what it needs is imported only now.

    Args:
        settings: a file of conf/launcher with the user's changes.

    Raises:
        InputError: the kind is unknown, a setting is of the wrong type, or what it needs is not there.
    """
    rest = {key: value for key, value in settings.items() if key != "kind"}
    if settings["kind"] == "local":
        from telucodec.study.jobs.local import Local, LocalSettings

        return Local(read(LocalSettings, rest, "launcher"))
    if settings["kind"] == "submitit":
        from telucodec.study.jobs.submit import Submitit, SubmititSettings

        return Submitit(read(SubmititSettings, rest, "launcher"))
    if settings["kind"] == "ray":
        from telucodec.study.jobs.cluster import RaySettings, RayTasks

        return RayTasks(read(RaySettings, rest, "launcher"))
    raise InputError(f"launcher.kind: must be local, submitit or ray, got {settings['kind']!r}.")
