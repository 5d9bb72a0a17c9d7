"""CUDA graphs: pycuda has no calls to capture one; NVIDIA's `cuda-python`, on the same stream handle, has."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from edgeguard.engine.backends.tensorrt.device import CudaError


class Graph:
    """What was queued once, to be queued again by one call."""

    def __init__(self, stream: int, enqueue: Callable[[], None]) -> None:
        """Capture what `enqueue` queues on a stream; nothing of it runs.

        Raises:
            ImportError: cuda-python is not installed.
            CudaError: something in it cannot be captured.
        """
        driver = importlib.import_module("cuda.bindings.driver")
        self._driver = driver
        self._stream = driver.CUstream(stream)
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        self._call(driver.cuStreamBeginCapture(self._stream, mode))
        try:
            enqueue()
        finally:
            # However it ended, a stream left capturing would refuse all that follows.
            captured = driver.cuStreamEndCapture(self._stream)
        graph = self._call(captured)
        try:
            self._executable = self._call(driver.cuGraphInstantiate(graph, 0))
        finally:
            driver.cuGraphDestroy(graph)

    def launch(self) -> None:
        """Queue it.

        Raises:
            CudaError: CUDA refuses.
        """
        self._call(self._driver.cuGraphLaunch(self._executable, self._stream))

    def free(self) -> None:
        """Free it."""
        self._driver.cuGraphExecDestroy(self._executable)

    def _call(self, answer: Any) -> Any:
        error, *values = answer
        if error != self._driver.CUresult.CUDA_SUCCESS:
            raise CudaError(f"CUDA graph: {error}")
        return values[0] if values else None
