"""A plan that runs: TensorRT's engine and context, by the name-based API of 8.5 and on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeguard.engine.backends.tensorrt.api import Api
from edgeguard.engine.backends.tensorrt.device import CudaError, Device, DeviceMemory
from edgeguard.engine.spec import LoadedSpec
from edgeguard.errors import EngineError


@dataclass(frozen=True)
class Output:
    """One output of the network.

    Attributes:
        name: as in the model.
        shape: of one image, without the batch.
        dtype: NumPy's.
        memory: on the device, for `max_batch` images.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Any
    memory: DeviceMemory


class Execution:
    """An engine opened from a plan, with its inputs and outputs in device memory.

    Attributes:
        max_batch: most images of one `enqueue`.
        tensor: the image input, (max_batch, 3, height, width) float32 on the device.
        outputs: in the model's order.
    """

    def __init__(self, loaded: LoadedSpec, api: Api, device: Device, plan: bytes) -> None:
        self._name = loaded.name
        self._device = device
        self._log = api.logger()
        with device.current():
            self._runtime = api.trt.Runtime(self._log)
            self._engine = self._runtime.deserialize_cuda_engine(plan)
            if self._engine is None:
                raise self._error(
                    "TensorRT refuses the plan", f"Run `edgeguard engine build {loaded.reference} --force`."
                )
            self._context = self._engine.create_execution_context()
            if self._context is None:
                raise self._error(
                    "TensorRT cannot start it", "Free memory on the GPU, or lower `tensorrt.max_batch`."
                )
            self._allocate(loaded, api)

    def _allocate(self, loaded: LoadedSpec, api: Api) -> None:
        engine, modes = self._engine, api.trt.TensorIOMode
        names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
        inputs = [n for n in names if engine.get_tensor_mode(n) == modes.INPUT]
        image = next(n for n in inputs if n not in loaded.spec.input.constants)
        size = self._size = (3, loaded.spec.input.height, loaded.spec.input.width)
        self._dynamic = [n for n in inputs if tuple(engine.get_tensor_shape(n))[0] == -1]
        self.max_batch = loaded.spec.tensorrt.max_batch if self._dynamic else 1
        self._rests: dict[str, tuple[int, ...]] = {image: size}
        self.tensor = DeviceMemory(self._device, 4 * self.max_batch * int(np.prod(size)))
        self._context.set_tensor_address(image, self.tensor.device)
        self._kept = [self._constant(api, n, row) for n, row in loaded.spec.input.constants.items()]
        self._set_batch(self.max_batch)
        outputs = [n for n in names if engine.get_tensor_mode(n) == modes.OUTPUT]
        self.outputs = [self._output(api, n) for n in outputs]

    def _constant(self, api: Api, name: str, row: list[int]) -> DeviceMemory:
        dtype = api.numpy_type(self._engine.get_tensor_dtype(name))
        values: NDArray[Any] = np.tile(np.array(row, dtype), (self.max_batch, 1))
        memory = DeviceMemory(self._device, values.nbytes)
        self._device.cuda.memcpy_htod(memory.device, values)
        self._context.set_tensor_address(name, memory.device)
        self._rests[name] = (len(row),)
        return memory

    def _output(self, api: Api, name: str) -> Output:
        shape = tuple(self._context.get_tensor_shape(name))
        if -1 in shape or not shape or shape[0] != self.max_batch:
            raise EngineError(
                self._name,
                f"output {name} has no fixed shape per image: {shape}",
                "Export the model without suppression inside, or use the onnxruntime backend.",
            )
        dtype = api.numpy_type(self._engine.get_tensor_dtype(name))
        memory = DeviceMemory(self._device, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        self._context.set_tensor_address(name, memory.device)
        return Output(name, shape[1:], dtype, memory)

    def _set_batch(self, count: int) -> None:
        for name in self._dynamic:
            if not self._context.set_input_shape(name, (count, *self._rests[name])):
                raise self._error(
                    f"does not take {count} images", "Build it with a larger `tensorrt.max_batch`."
                )

    def enqueue(self, count: int) -> None:
        """Queue one run over the first `count` images of the input."""
        self._set_batch(count)
        if not self._context.execute_async_v3(self._device.stream.handle):
            raise CudaError("TensorRT could not run it: " + "; ".join(self._log.lines))

    def bare_times(self, passes: int, frames: int) -> list[float]:
        """Return milliseconds of each of `frames` naive frames; the context is current."""
        cuda, stream = self._device.cuda, self._device.stream
        tensor = cuda.pagelocked_empty(self._size, np.float32)
        tensor[:] = 0
        hosts = [cuda.pagelocked_empty(o.shape, o.dtype) for o in self.outputs]
        times = []
        for _ in range(frames):
            start = time.perf_counter()
            for _ in range(passes):
                cuda.memcpy_htod_async(self.tensor.device, tensor, stream)
                self.enqueue(1)
                for host, output in zip(hosts, self.outputs):
                    cuda.memcpy_dtoh_async(host, output.memory.device, stream)
            stream.synchronize()
            times.append((time.perf_counter() - start) * 1e3)
        return times

    def _error(self, problem: str, remedy: str) -> EngineError:
        said = "; ".join(self._log.lines)
        return EngineError(self._name, f"{problem} ({said})" if said else problem, remedy)

    def close(self) -> None:
        """Free engine, context and memory; the context must be current."""
        del self._context, self._engine, self._runtime
        for memory in [self.tensor, *self._kept, *(o.memory for o in self.outputs)]:
            memory.free()
