"""Where a process stands among those that make one run: `telucodec`, torchrun or SLURM, which started it, say so."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

LED = "TELUCODEC_LED"  # set in processes that `telucodec train` has started: it keeps their meeting point
MET = "telucodec/met"  # at the meeting point that it keeps: set once they have met
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")  # what `telucodec train` sets too
SLURM = ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID")  # the first is set by srun alone


@dataclass(frozen=True)
class Place:
    """One of several processes."""

    rank: int  # among all, from 0
    count: int  # of all
    local_rank: int  # among those of this machine, from 0: the number of its device
    local_count: int  # of those of this machine, as many on each
    address: str  # of the machine where they meet
    port: int
    led: bool = False  # whether `telucodec train` has started it and keeps the meeting point

    @property
    def nodes(self) -> int:
        """How many machines there are."""
        return self.count // self.local_count


def find_place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """The place of this process; None where it is alone.

    >>> find_place({}), find_place({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"})  # as a batch script without srun has it
    (None, None)
    >>> torchrun = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"}
    >>> place = find_place(torchrun | {"MASTER_ADDR": "node1", "MASTER_PORT": "29500"})
    >>> place.rank, place.count, place.local_rank, place.nodes, place.address, place.port
    (3, 4, 1, 2, 'node1', 29500)
    """
    place = None
    if all(key in environment for key in TORCHRUN):
        place = _of_torchrun(environment)
    elif all(key in environment for key in SLURM):
        place = _of_slurm(environment)
    return place if place is not None and place.count > 1 else None


def _of_torchrun(environment: Mapping[str, str]) -> Place:
    rank, count, local = (int(environment[key]) for key in TORCHRUN[:3])
    local_count = int(environment.get("LOCAL_WORLD_SIZE", count))
    return Place(
        rank, count, local, local_count, environment["MASTER_ADDR"], int(environment["MASTER_PORT"]), LED in environment
    )


def _of_slurm(environment: Mapping[str, str]) -> Place:
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    count, rank, local = (int(environment[key]) for key in SLURM)
    nodes = int(environment.get("SLURM_STEP_NUM_NODES", environment.get("SLURM_NNODES", "1")))
    listed = environment.get("SLURM_STEP_NODELIST", environment.get("SLURM_NODELIST", "127.0.0.1"))
    address = environment.get("MASTER_ADDR", SLURMEnvironment.resolve_root_node_address(listed))
    # two jobs on one machine must not meet each other; two runs in one job need MASTER_PORT
    port = environment.get("MASTER_PORT", 15000 + int(environment.get("SLURM_JOB_ID", "0")) % 10000)
    return Place(rank, count, local, count // nodes, address, int(port))
