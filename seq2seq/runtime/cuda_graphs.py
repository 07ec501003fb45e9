"""Functions recorded as CUDA graphs: one call by Python repeats all their operations on the GPU."""

import logging
from collections.abc import Callable, Hashable

import torch

EAGER_CALLS = 2
"""The number of ordinary calls of a function before it is recorded. They initialise libraries and caches."""

log = logging.getLogger(__name__)


class CudaGraphs:
    """A CUDA graph for each of several functions, all in one memory pool.

    A function has no arguments and no result. It reads and writes tensors whose memory stays the same, and all its
    calls have the same operations and shapes. Replays advance PyTorch's random generator, as ordinary calls do.
    """

    def __init__(self, *, enabled: bool) -> None:
        """`enabled` must be False on a CPU. Then `run` only calls the functions."""
        self.enabled = enabled
        self._calls: dict[Hashable, int] = {}
        self._graphs: dict[Hashable, torch.cuda.CUDAGraph] = {}

    def run(self, key: Hashable, function: Callable[[], None]) -> None:
        """Runs the function. From the third call with this key on, replays its graph, which the third call records.

        If a function cannot be recorded, one warning is logged, and all later calls are ordinary calls.
        Raises torch.OutOfMemoryError if recording runs out of memory.
        """
        if self.enabled and key not in self._graphs:
            self._calls[key] = self._calls.get(key, 0) + 1
            if self._calls[key] > EAGER_CALLS:
                self._record(key, function)
        if self.enabled and key in self._graphs:
            self._graphs[key].replay()
        else:
            function()

    def _record(self, key: Hashable, function: Callable[[], None]) -> None:
        graph = torch.cuda.CUDAGraph()
        pool = next(iter(self._graphs.values())).pool() if self._graphs else None
        try:
            # With "thread_local", another thread may use the GPU meanwhile, such as one that translates.
            stream = torch.cuda.current_stream()
            with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
                function()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.enabled = False
            cause = error.__context__ or error  # the end of a failed recording raises an error of its own
            log.warning(
                "training runs without CUDA graphs and can be many times slower: a step cannot be recorded: %s",
                str(cause).splitlines()[0],
                exc_info=cause,
            )
            # PyTorch's random generator still waits for the end of the recording; a copy of it does not.
            generator = torch.cuda.default_generators[torch.cuda.current_device()]
            generator.graphsafe_set_state(generator.clone_state())
        else:
            self._graphs[key] = graph
