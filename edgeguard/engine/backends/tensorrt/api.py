"""TensorRT's versions as one: 8.5, 8.6, 10, 11, and TensorRT-RTX. All that differs between them is here."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeguard.engine.spec import TensorRtSpec
from edgeguard.errors import EngineError

_NUMPY_TYPES = {
    "FLOAT": "float32", "HALF": "float16", "INT64": "int64", "INT32": "int32", "INT8": "int8",
    "UINT8": "uint8", "BOOL": "bool",
}  # fmt: skip

MODULES = ("tensorrt", "tensorrt_rtx_bindings")


@dataclass(frozen=True)
class Api:
    """One TensorRT.

    Attributes:
        trt: its Python module.
        rtx: whether it is TensorRT-RTX, whose plans are finished by the GPU that runs them.
        version: major and minor.
    """

    trt: Any
    rtx: bool
    version: tuple[int, int]

    @property
    def name(self) -> str:
        """Module and full version: a plan is good for this very one."""
        return f"{self.trt.__name__.removesuffix('_bindings')} {self.trt.__version__}"

    @property
    def strongly_typed(self) -> bool:
        """Whether precision comes from the ONNX file alone: there are no precision flags."""
        return not hasattr(self.trt.BuilderFlag, "FP16")

    @property
    def reports_progress(self) -> bool:
        """Whether a build tells how far it is, and can be asked to stop (since 10.0)."""
        return hasattr(self.trt, "IProgressMonitor")

    @property
    def builds_without_gpu(self) -> bool:
        """Whether plans can be built on a machine without a GPU."""
        return self.rtx

    def create_network(self, builder: Any) -> Any:
        """Return an empty network. Explicit batch is a flag up to 9 and the only kind after that."""
        flags = 0
        known = self.trt.NetworkDefinitionCreationFlag
        if self.version < (10, 0) and not self.rtx:
            flags |= 1 << int(known.EXPLICIT_BATCH)
        if self.strongly_typed and hasattr(known, "STRONGLY_TYPED"):
            flags |= 1 << int(known.STRONGLY_TYPED)
        return builder.create_network(flags)

    def configure(self, config: Any, spec: TensorRtSpec, engine: str) -> None:
        """Set the build options; what a version lacks and does not change the result is left out."""
        trt = self.trt
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, spec.workspace_mib << 20)
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
        if hasattr(config, "builder_optimization_level") and not self.rtx:
            config.builder_optimization_level = spec.optimisation_level
        if not self.strongly_typed and spec.precision in ("fp16", "int8"):
            config.set_flag(trt.BuilderFlag.FP16)
        if not self.strongly_typed and spec.precision == "int8":
            config.set_flag(trt.BuilderFlag.INT8)
        if not self.strongly_typed and spec.precision == "fp32":
            config.clear_flag(trt.BuilderFlag.TF32)
        if spec.dla_core is not None:
            if self.rtx:
                raise EngineError(engine, "TensorRT-RTX has no DLA", "Remove `tensorrt.dla_core`.")
            config.default_device_type = trt.DeviceType.DLA
            config.DLA_core = spec.dla_core
            config.set_flag(trt.BuilderFlag.GPU_FALLBACK)

    def numpy_type(self, dtype: Any) -> Any:
        """Return NumPy's type of a tensor's; 8.5's own `nptype` fails with NumPy since 1.24."""
        return np.dtype(_NUMPY_TYPES[dtype.name])

    def parse_errors(self, parser: Any, node_names: list[str]) -> list[str]:
        """Return what the parser refused, a line a node: name, operator, reason.

        Args:
            node_names: of the ONNX graph, for versions (before 10) whose errors carry a number only.
        """
        lines = []
        for i in range(parser.num_errors):
            error = parser.get_error(i)
            number = error.node()
            if hasattr(error, "node_name"):
                name = f"{error.node_name()} ({error.node_operator()})"
            else:
                name = node_names[number] if 0 <= number < len(node_names) else f"node {number}"
            lines.append(f"{name}: {error.desc()}")
        return lines

    def progress_monitor(self, step: Callable[[str, int, int], bool]) -> Any:
        """Return a monitor that calls `step(phase, done, of)`, which returns False to stop the build."""

        class Monitor(self.trt.IProgressMonitor):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self._steps: dict[str, int] = {}

            def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
                self._steps[phase] = steps
                step(phase, 0, steps)

            def phase_finish(self, phase: str) -> None:
                step(phase, self._steps.get(phase, 0), self._steps.pop(phase, 0))

            def step_complete(self, phase: str, done: int) -> bool:
                return step(phase, done + 1, self._steps.get(phase, 0))

        return Monitor()

    def logger(self) -> Any:
        """Return a logger that keeps warnings and errors in `.lines` instead of printing them."""
        severity = self.trt.ILogger.Severity

        class Log(self.trt.ILogger):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.lines: list[str] = []

            def log(self, level: Any, message: str) -> None:
                if level in (severity.INTERNAL_ERROR, severity.ERROR):
                    self.lines = [*self.lines[-19:], message.strip()]

        return Log()


def load_api(engine: str) -> Api:
    """Import TensorRT, or TensorRT-RTX where only that is installed.

    Raises:
        EngineError: neither can be imported; says why.
    """
    reasons = []
    for module in MODULES:
        try:
            trt = importlib.import_module(module)
            major, minor = (int(part) for part in trt.__version__.split(".")[:2])
        except (ImportError, OSError, RuntimeError, AttributeError) as e:
            # An AttributeError: some folder of that name on the path, not TensorRT.
            reasons.append(f"{module}: {e}")
            continue
        rtx = module != "tensorrt"
        if not rtx and (major, minor) < (8, 5):
            raise EngineError(
                engine, f"TensorRT {trt.__version__} is too old", "EdgeGuard needs 8.5 (JetPack 5.1)."
            )
        return Api(trt, rtx, (major, minor))
    raise EngineError(
        engine,
        "TensorRT is not installed (" + "; ".join(reasons) + ")",
        "It comes with JetPack; elsewhere pip install tensorrt. Or name the onnxruntime backend.",
    )
