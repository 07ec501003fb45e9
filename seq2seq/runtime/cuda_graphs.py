"""Functions recorded as CUDA graphs: the GPU repeats their operations without Python starting each of them."""

import logging
from collections.abc import Callable, Hashable

import torch

EAGER_CALLS = 2
"""So often a function runs as it is before it is recorded: libraries and caches are set up by then."""

log = logging.getLogger(__name__)


class CudaGraphs:
    """A CUDA graph for each of several functions, all in one pool of memory.

    A function takes no arguments, reads and writes tensors that stay in place, and returns nothing. Its operations and
    their shapes are the same in each call. Random numbers go on from graph to graph as they do from call to call.
    """

    def __init__(self, *, enabled: bool) -> None:
        """Where not `enabled`, functions run as they are, as they must on a CPU."""
        self.enabled = enabled
        self._calls: dict[Hashable, int] = {}
        self._graphs: dict[Hashable, torch.cuda.CUDAGraph] = {}

    def run(self, key: Hashable, function: Callable[[], None]) -> None:
        """Runs the function; from its third call on, replays what was recorded under this key.

        What cannot be recorded runs as it is from then on, and so does all that comes after; one warning says so.
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
            with torch.cuda.graph(graph, pool=pool, stream=torch.cuda.current_stream()):
                function()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            self.enabled = False
            log.warning(
                "training runs without CUDA graphs, many times slower, since a step cannot be recorded: %s",
                str(error).splitlines()[0],
            )
        else:
            self._graphs[key] = graph
