"""Several processes started by `torchrun`: each takes its share of the batches of every update."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist


@dataclass(frozen=True)
class World:
    """How many processes there are and which one this is."""

    size: int = 1
    rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this process writes files and talks."""
        return self.rank == 0


@contextmanager
def world(device: torch.device) -> Iterator[World]:
    """Joins the process group of `torchrun` (nccl on GPUs, gloo elsewhere); a world of one without it."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield World()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(dist.get_world_size(), dist.get_rank())
    finally:
        dist.destroy_process_group()


def share_object(value, world: World):
    """The leader's value, in every process."""
    if world.size == 1:
        return value
    box = [value]
    dist.broadcast_object_list(box)
    return box[0]


def add_up(value: torch.Tensor, world: World) -> torch.Tensor:
    """The sum of a tensor over all processes."""
    if world.size > 1:
        dist.all_reduce(value)
    return value
