"""What changes when torchrun starts more than one process.

A function that passes something between processes is called by all of them, in the same order; one process gets back
what it gave. The first process alone reads the command line, writes files, and speaks.
"""

import os
import re
from collections.abc import Callable, Iterator, Sequence
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


class Lost(Exception):  # noqa: N818  # whatever went wrong did so elsewhere
    """Another process of the run has ended, or cannot be reached."""


def launched() -> bool:
    """Whether torchrun started this process and others beside it."""
    return dist.is_available() and dist.is_torchelastic_launched() and int(os.environ["WORLD_SIZE"]) > 1


@contextmanager
def joined() -> Iterator[None]:
    """Meets the other processes, where torchrun started several, and parts from them where all went well."""
    if not launched():
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
        raise Lost(f"another process of this run has ended or is out of reach ({why})") from error


def processes() -> int:
    """How many there are."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this one, from 0."""
    return dist.get_rank() if processes() > 1 else 0


def rank_here() -> tuple[int, int]:
    """The number of this process among those on its machine, from 0, and how many these are."""
    return (int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])) if processes() > 1 else (0, 1)


def first() -> bool:
    """Whether this process is the one that reads and writes for all."""
    return rank() == 0


def launcher() -> str:
    """What stands in the place of `python` where a person starts as many processes again."""
    _, here = rank_here()
    return ("python" if here == 1 else f"torchrun --nproc_per_node={here}") if here == processes() else "torchrun ..."


def first_to_tell() -> bool:
    """Whether no other process has told yet why the run ends: those that end of it after that one are silent."""
    if not launched():
        return True
    try:
        return _store().add("told", 1) == 1
    except RuntimeError:  # torchrun has ended too
        return False


@contextmanager
def in_turn() -> Iterator[None]:
    """The first process of each machine alone, and then the others, which find what it made."""
    here, _ = rank_here()
    if here > 0:
        summed([0])
    yield
    if here == 0:
        summed([0])


def once(work: Callable[[], Result]) -> Result:
    """Done by the first process; all have the result, which must be one that can be pickled."""
    if processes() == 1:
        return work()
    found: list[Any] = [work() if first() else None]
    with _all_there():
        dist.broadcast_object_list(found)
    result: Result = found[0]
    return result


def shared(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """What comes of each item, in order: each process does its part, and all have the results of all."""
    own = [work(item) for item in items[rank() :: processes()]]
    parts = gathered(own)
    return [parts[i % len(parts)][i // len(parts)] for i in range(len(items))]


def gathered(value: Result) -> list[Result]:
    """Each process's value, by rank."""
    found: list[Any] = [value] * processes()
    if processes() > 1:
        with _all_there():
            dist.all_gather_object(found, value)
    return found


def summed(numbers: Sequence[int]) -> list[int]:
    """Each number's sum over all processes."""
    return _reduced(numbers, dist.ReduceOp.SUM) if processes() > 1 else list(numbers)


def greatest(number: int) -> int:
    """The greatest that any process gives."""
    return _reduced([number], dist.ReduceOp.MAX)[0] if processes() > 1 else number


def _reduced(numbers: Sequence[int], operation: dist.ReduceOp.RedOpType) -> list[int]:
    """On the CPU, so that no device is waited for."""
    tensor = torch.tensor(numbers)
    with _all_there():
        dist.all_reduce(tensor, operation)
    return tensor.tolist()


def add_up(tensors: Sequence[Tensor]) -> None:
    """Makes each tensor its sum over all processes, in place and in one message; the same to the bit in all of them."""
    if processes() == 1:
        return
    message = torch.cat([tensor.flatten() for tensor in tensors])
    with _all_there():
        dist.all_reduce(message)
    for tensor, part in zip(tensors, message.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def start_alike(tensors: Sequence[Tensor]) -> None:
    """Makes each tensor what it is in the first process, in place."""
    if processes() > 1:
        for tensor in tensors:
            with _all_there():
                dist.broadcast(tensor, 0)


def stacked(tensor: Tensor) -> Tensor:
    """Each process's, along a new first dimension; one process's own is as it was. `own` takes one out again."""
    return torch.stack(gathered(tensor)) if processes() > 1 else tensor


def own(tensor: Tensor) -> Tensor:
    """This process's part of what `stacked` gave."""
    if processes() == 1 or tensor.shape[:1] != (processes(),):
        return tensor
    return tensor[rank()].clone()  # a generator's state is read from where its memory begins, whatever part is given
