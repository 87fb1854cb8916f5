"""Work on a device that is recorded once and replayed as a whole, by CUDA graphs of torch."""

from contextlib import nullcontext

from .fusion import fused

# Number of runs before the recording, in which kernels are compiled and libraries allocate memory.
_WARM_UP = 3


def captures(x):
    """Return whether work on arrays like ``x`` can be recorded."""
    return getattr(x, "is_cuda", False)


class Recorded:
    """Work that always uses the same memory: it runs normally at first, then it is recorded.

    Parameters
    ----------
    work : callable
    compiled : bool
        Whether to compile each portable kernel to one kernel of the device.
    """

    def __init__(self, work, compiled):
        self._work, self._kernels = work, fused if compiled else nullcontext
        self._n_runs, self._graph = 0, None

    def __call__(self):
        import torch

        if self._graph is not None:
            self._graph.replay()
            return
        if self._n_runs < _WARM_UP:
            self._warm_up(torch)
            return
        graph = torch.cuda.CUDAGraph()
        with self._kernels(), torch.cuda.graph(graph):
            self._work()
        self._graph = graph
        graph.replay()

    def _warm_up(self, torch):
        self._n_runs += 1
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream), self._kernels():
            self._work()
        torch.cuda.current_stream().wait_stream(stream)
