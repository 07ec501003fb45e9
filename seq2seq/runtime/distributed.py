"""What changes when torchrun starts more than one process.

A function that passes something between processes is called by all of them, in the same order; one process gets back
what it gave. The first process alone reads the command line, writes files, and speaks.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

TIMEOUT = timedelta(hours=2)
"""The last resort: a process that ends is missed at once, and a large text, for which others wait, may take long."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class PeerLost(Exception):  # noqa: N818  # whatever went wrong did so elsewhere
    """Another process of the run has ended, or cannot be reached."""


def is_launched() -> bool:
    """Whether torchrun started this process and others beside it."""
    return dist.is_available() and dist.is_torchelastic_launched() and int(os.environ["WORLD_SIZE"]) > 1


@contextmanager
def process_group() -> Iterator[None]:
    """Meets the other processes, where torchrun started several, and parts from them where all went well."""
    if not is_launched():
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    number, several = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    with _all_there():
        dist.init_process_group(backend, store=_store(), timeout=TIMEOUT, rank=number, world_size=several)
    yield
    dist.destroy_process_group()


@cache
def _store() -> Any:
    """What torchrun keeps for all processes, whichever of them end."""
    return next(rendezvous("env://"))[0]


@contextmanager
def _all_there() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        why = re.sub(r"^\[[^ ]*\] ", "", str(error)).split(". ")[0].splitlines()[0]  # without gloo's own line of code
        raise PeerLost(f"another process of this run has ended or is out of reach ({why})") from error


def world_size() -> int:
    """How many there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this one, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def local_rank() -> tuple[int, int]:
    """The number of this process among those on its machine, from 0, and how many these are."""
    return (int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])) if world_size() > 1 else (0, 1)


def is_rank0() -> bool:
    """Whether this process is the one that reads and writes for all."""
    return rank() == 0


def launch_command() -> str:
    """What stands in the place of `python` where a person starts as many processes again."""
    _, here = local_rank()
    return ("python" if here == 1 else f"torchrun --nproc_per_node={here}") if here == world_size() else "torchrun ..."


def claim_error_report() -> bool:
    """Whether no other process has told yet why the run ends: those that end of it after that one are silent."""
    if not is_launched():
        return True
    try:
        return _store().add("told", 1) == 1
    except RuntimeError:  # torchrun has ended too
        return False


@contextmanager
def rank0_of_machine_first() -> Iterator[None]:
    """The first process of each machine alone, and then the others, which find what it made."""
    here, _ = local_rank()
    if here > 0:
        all_reduce_sum([0])
    yield
    if here == 0:
        all_reduce_sum([0])


def run_on_rank0_and_broadcast(work: Callable[[], Result]) -> Result:
    """Done by the first process; all have the result, which must be one that can be pickled."""
    if world_size() == 1:
        return work()
    found: list[Any] = [work() if is_rank0() else None]
    with _all_there():
        dist.broadcast_object_list(found)
    result: Result = found[0]
    return result


def map_across_ranks(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    own: Callable[[Callable[[Item], Result], Sequence[Item]], Iterable[Result]] = map,
) -> list[Result]:
    """What comes of each item, in order: each process does its part, with `own`, and all have the results of all."""
    parts = all_gather(list(own(work, items[rank() :: world_size()])))
    return [parts[i % len(parts)][i // len(parts)] for i in range(len(items))]


def all_gather(value: Result) -> list[Result]:
    """Each process's value, by rank."""
    found: list[Any] = [value] * world_size()
    if world_size() > 1:
        with _all_there():
            dist.all_gather_object(found, value)
    return found


def all_reduce_sum(numbers: Sequence[int]) -> list[int]:
    """Each number's sum over all processes."""
    return _reduced(numbers, dist.ReduceOp.SUM) if world_size() > 1 else list(numbers)


def all_reduce_max(number: int) -> int:
    """The greatest that any process gives."""
    return _reduced([number], dist.ReduceOp.MAX)[0] if world_size() > 1 else number


def _reduced(numbers: Sequence[int], operation: dist.ReduceOp.RedOpType) -> list[int]:
    """On the CPU, so that no device is waited for."""
    tensor = torch.tensor(numbers)
    with _all_there():
        dist.all_reduce(tensor, operation)
    return tensor.tolist()


def all_reduce_(tensors: Sequence[Tensor]) -> None:
    """Makes each tensor its sum over all processes, in place and in one message; the same to the bit in all of them."""
    if world_size() == 1:
        return
    message = torch.cat([tensor.flatten() for tensor in tensors])
    with _all_there():
        dist.all_reduce(message)
    for tensor, part in zip(tensors, message.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def broadcast_(tensors: Sequence[Tensor]) -> None:
    """Makes each tensor what it is in the first process, in place."""
    if world_size() > 1:
        for tensor in tensors:
            with _all_there():
                dist.broadcast(tensor, 0)


def gather_stacked(tensor: Tensor) -> Tensor:
    """Each process's, along a new first dimension; one process's own is as it was. `select_own` takes one out again."""
    return torch.stack(all_gather(tensor)) if world_size() > 1 else tensor


def select_own(tensor: Tensor) -> Tensor:
    """This process's part of what `gather_stacked` gave."""
    if world_size() == 1 or tensor.shape[:1] != (world_size(),):
        return tensor
    return tensor[rank()].clone()  # a generator's state is read from where its memory begins, whatever part is given
