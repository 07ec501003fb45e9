"""Communication between the processes of a run that torchrun started.

All processes must call a collective function, and in the same order. With one process it returns its argument. Only
the first process (rank 0) reads the command line, writes files and prints.
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

from seq2seq.runtime.program_name import program

TIMEOUT = timedelta(hours=2)
"""Long, since the other processes wait while one prepares a large text. The end of a process is noticed at once."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class PeerLost(Exception):  # noqa: N818  # the error itself is in another process
    """Another process of the run has ended, or cannot be reached."""


def is_launched() -> bool:
    """Whether torchrun started this process together with others."""
    return dist.is_available() and dist.is_torchelastic_launched() and int(os.environ["WORLD_SIZE"]) > 1


@contextmanager
def process_group() -> Iterator[None]:
    """Joins the process group of the run; leaves it at the end, unless there was an error. Nothing with one process."""
    if not is_launched():
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    number, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    with _peer_errors():
        dist.init_process_group(backend, store=_store(), timeout=TIMEOUT, rank=number, world_size=size)
    yield
    dist.destroy_process_group()


@cache
def _store() -> Any:
    """The key-value store of torchrun, which exists even after a process has ended."""
    return next(rendezvous("env://"))[0]


@contextmanager
def _peer_errors() -> Iterator[None]:
    """Raises PeerLost in place of the errors of a failed communication."""
    try:
        yield
    except RuntimeError as error:
        reason = re.sub(r"^\[[^ ]*\] ", "", str(error))  # gloo begins with its file and line of code
        reason = reason.split(". ")[0].splitlines()[0]
        raise PeerLost(f"another process of this run has ended or cannot be reached ({reason})") from error


def world_size() -> int:
    """The number of processes."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if world_size() > 1 else 0


def local_rank() -> tuple[int, int]:
    """The number of this process among those on its machine, from 0, and the number of processes there."""
    return (int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])) if world_size() > 1 else (0, 1)


def is_rank0() -> bool:
    """Whether this is the first process, which reads and writes for all."""
    return rank() == 0


def train_command() -> str:
    """The command that trains with the same number of processes."""
    _, local_size = local_rank()
    return program("train", processes=local_size) if local_size == world_size() else "torchrun ... train.py"


def claim_error_report() -> bool:
    """Whether this process may report the error that ends the run: True for the first process that asks."""
    if not is_launched():
        return True
    try:
        return _store().add("error_reports", 1) == 1
    except RuntimeError:  # torchrun has ended, too
        return False


@contextmanager
def rank0_of_machine_first() -> Iterator[None]:
    """Runs the block in the first process of each machine, then in the others, which can use the files it made."""
    number, _ = local_rank()
    if number > 0:
        all_reduce_sum([0])
    yield
    if number == 0:
        all_reduce_sum([0])


def run_on_rank0_and_broadcast(work: Callable[[], Result]) -> Result:
    """The result of `work`, which only the first process calls. The result must be picklable."""
    if world_size() == 1:
        return work()
    message: list[Any] = [work() if is_rank0() else None]
    with _peer_errors():
        dist.broadcast_object_list(message)
    result: Result = message[0]
    return result


def map_across_ranks(
    work: Callable[[Item], Result],
    items: Sequence[Item],
    *,
    own: Callable[[Callable[[Item], Result], Sequence[Item]], Iterable[Result]] = map,
) -> list[Result]:
    """`work` of each item, in order. Each process does its share of the items, with `own`, and gets all results."""
    parts = all_gather(list(own(work, items[rank() :: world_size()])))
    return [parts[i % len(parts)][i // len(parts)] for i in range(len(items))]


def all_gather(value: Result) -> list[Result]:
    """The values of all processes, by rank."""
    values: list[Any] = [value] * world_size()
    if world_size() > 1:
        with _peer_errors():
            dist.all_gather_object(values, value)
    return values


def all_reduce_sum(numbers: Sequence[int]) -> list[int]:
    """The sum of each number over all processes."""
    return _reduced(numbers, dist.ReduceOp.SUM) if world_size() > 1 else list(numbers)


def all_reduce_max(number: int) -> int:
    """The maximum over all processes."""
    return _reduced([number], dist.ReduceOp.MAX)[0] if world_size() > 1 else number


def _reduced(numbers: Sequence[int], operation: dist.ReduceOp.RedOpType) -> list[int]:
    """The numbers, reduced on the CPU so that no GPU has to be waited for."""
    tensor = torch.tensor(numbers)
    with _peer_errors():
        dist.all_reduce(tensor, operation)
    return tensor.tolist()


def all_reduce_(tensors: Sequence[Tensor]) -> None:
    """Replaces each tensor by its sum over all processes, in one message; the result is bit-identical in all."""
    if world_size() == 1:
        return
    message = torch.cat([tensor.flatten() for tensor in tensors])
    with _peer_errors():
        dist.all_reduce(message)
    for tensor, part in zip(tensors, message.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def broadcast_(tensors: Sequence[Tensor]) -> None:
    """Replaces each tensor by that of the first process."""
    if world_size() > 1:
        for tensor in tensors:
            with _peer_errors():
                dist.broadcast(tensor, 0)


def gather_stacked(tensor: Tensor) -> Tensor:
    """The tensors of all processes along a new first dimension, `[rank, ...]`; with one process the tensor itself.

    `select_own` is the inverse.
    """
    return torch.stack(all_gather(tensor)) if world_size() > 1 else tensor


def select_own(tensor: Tensor) -> Tensor:
    """This process's tensor in the result of `gather_stacked`."""
    if world_size() == 1 or tensor.shape[:1] != (world_size(),):
        return tensor
    return tensor[rank()].clone()  # PyTorch reads a generator's state from the start of the storage, not of the view
