"""The GPU through pycuda: context, memory, kernels, and errors in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from edgeguard.engine.backends.tensorrt.ptx import PTX
from edgeguard.errors import EngineError


class CudaError(Exception):
    """CUDA refused what pycuda did not ask for: a graph, or a network's run."""


def _driver(engine: str) -> Any:
    """Import pycuda and start the driver."""
    try:
        import pycuda.driver as cuda
    except ImportError as e:
        missing = "pycuda is not installed" if e.name == "pycuda" else f"there is no NVIDIA driver ({e})"
        raise EngineError(
            engine, missing, "pip install pycuda on a machine with an NVIDIA GPU, or name another backend."
        ) from e
    try:
        cuda.init()
        if cuda.Device.count() > 0:
            return cuda
        reason = "no device"
    except cuda.Error as e:
        reason = str(e)
    raise EngineError(engine, f"there is no GPU ({reason})", "Check `nvidia-smi`, or name another backend.")


def describe_gpu(engine: str) -> tuple[str, str]:
    """Return name and compute capability of the first GPU.

    Raises:
        EngineError: no pycuda, driver or GPU.
    """
    device = _driver(engine).Device(0)
    major, minor = device.compute_capability()
    return device.name(), f"{major}.{minor}"


class Device:
    """The first GPU's primary context, one stream, and EdgeGuard's kernels.

    After a CUDA error everything is freed and each further use is an error: nothing runs on in its place.
    """

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self.cuda = _driver(engine)
        device = self.cuda.Device(0)
        self.integrated = bool(device.get_attribute(self.cuda.device_attribute.INTEGRATED))
        self._context = device.retain_primary_context()
        self._failed = ""
        with self.current():
            self.stream = self.cuda.Stream()
            self._module = self.cuda.module_from_buffer(PTX.read_bytes())

    @contextmanager
    def current(self) -> Iterator[None]:
        """Make the context current for this thread.

        Raises:
            EngineError: CUDA failed, now or before; the device is closed.
        """
        if self._failed:
            raise EngineError(self._engine, f"is closed after a CUDA error: {self._failed}", "Open it anew.")
        if self._context is None:
            raise EngineError(self._engine, "is closed", "Open it anew.")
        context = self._context
        context.push()
        try:
            yield
        except self.cuda.MemoryError as e:
            self._failed = str(e)
            raise EngineError(
                self._engine,
                f"the GPU's memory is full: {e}",
                "Lower `tensorrt.max_batch` or `tensorrt.workspace_mib`, or close what else uses the GPU.",
            ) from e
        except (self.cuda.Error, CudaError) as e:
            self._failed = str(e)
            raise EngineError(
                self._engine,
                f"CUDA failed: {e}",
                "The engine is closed; see `dmesg` for what the driver says.",
            ) from e
        finally:
            context.pop()

    def kernel(self, name: str, arguments: str) -> Any:
        """Return a kernel, its arguments packed as `struct` says."""
        function = self._module.get_function(name)
        function.prepare(arguments)
        return function

    def close_with(self, free: Callable[[], None]) -> None:
        """Free what is on the device, then let go of the context; more than once does nothing.

        After a CUDA error the driver refuses to free; the process's memory goes with the context.
        """
        if self._context is None:
            return
        context, self._context = self._context, None
        context.push()
        try:
            free()
        except self.cuda.Error:
            if not self._failed:
                raise
        finally:
            context.pop()
            context.detach()


class Buffer:
    """Page-locked host memory and its twin on the device; one and the same on an integrated GPU.

    Attributes:
        host: the array on the host.
        device: address on the device.
    """

    def __init__(self, device: Device, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        cuda = device.cuda
        self._cuda, self._stream = cuda, device.stream
        self._mapped = device.integrated
        flags = cuda.host_alloc_flags.DEVICEMAP if self._mapped else 0
        self.host: NDArray[Any] = cuda.pagelocked_empty(shape, dtype, mem_flags=flags)
        self._memory = None if self._mapped else cuda.mem_alloc(max(1, self.host.nbytes))
        self.device = int(self.host.base.get_device_pointer()) if self._mapped else int(self._memory)  # type: ignore

    def upload(self) -> None:
        """Queue the copy to the device."""
        if not self._mapped:
            self._cuda.memcpy_htod_async(self.device, self.host, self._stream)

    def download(self) -> None:
        """Queue the copy to the host; read it after the stream is synchronised."""
        if not self._mapped:
            self._cuda.memcpy_dtoh_async(self.host, self.device, self._stream)

    def free(self) -> None:
        """Free both."""
        if self._memory is not None:
            self._memory.free()
        self.host = np.empty(0)


class DeviceMemory:
    """Memory on the device only.

    Attributes:
        device: its address.
    """

    def __init__(self, device: Device, nbytes: int) -> None:
        self._memory = device.cuda.mem_alloc(max(1, nbytes))
        self.device = int(self._memory)

    def free(self) -> None:
        """Free it."""
        self._memory.free()
