"""How fast an engine is, where the time goes, and how that stands to ONNX Runtime and to the bare network."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgeguard.engine.engine import Engine, open_engine
from edgeguard.engine.spec import BackendName, load_spec
from edgeguard.engine.tiles import layout
from edgeguard.errors import EngineError
from edgeguard.types import Image

Progress = Callable[[str, int, int], None]

_WARM_UP = 20
_ONNXRUNTIME_FRAMES = 100
"""ONNX Runtime on the CPU is the yardstick, not what is measured: its median is known after this many."""


@dataclass(frozen=True)
class Timing:
    """Milliseconds over all frames."""

    p50: float
    p99: float
    p999: float
    max: float

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Timing:
        """Return the percentiles of single measurements."""
        p50, p99, p999 = np.percentile(milliseconds, [50, 99, 99.9])
        return cls(float(p50), float(p99), float(p999), float(np.max(milliseconds)))


@dataclass(frozen=True)
class Benchmark:
    """What one run measured.

    Attributes:
        engine, backend: what ran.
        device: CPU or GPU by name.
        versions: of the libraries that ran it.
        image: width and height, pixels.
        passes: runs of the network an image.
        frames: images measured.
        graph: whether the GPU ran a CUDA graph, or why not; None on the CPU.
        detection: whole detection, image in, boxes out.
        stages: by name; measured in a second loop, stage by stage.
        throughput_hz: detections a second, one after another.
        ratios: whole detection over ONNX Runtime's and over the bare execute loop's, medians.
    """

    engine: str
    backend: str
    device: str
    versions: dict[str, str]
    image: tuple[int, int]
    passes: int
    frames: int
    graph: bool | str | None
    detection: Timing
    stages: dict[str, Timing]
    throughput_hz: float
    ratios: dict[str, float]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON's types."""
        return asdict(self)


def bench(
    name_or_path: str | Path,
    images: Sequence[Image],
    *,
    frames: int,
    backend: BackendName | None = None,
    on_progress: Progress = lambda stage, done, of: None,
) -> Benchmark:
    """Measure an engine on images, over and over.

    Raises:
        EngineError: the engine cannot be opened or run.
    """
    loaded = load_spec(name_or_path)
    if not images or frames < 1:
        raise EngineError(loaded.name, "was given no image to measure on", "Give a recording with images.")
    engine = open_engine(name_or_path, backend=backend)
    times = _times(engine, images, frames, "detection", on_progress)
    stages: dict[str, list[float]] = {}
    for i in range(frames):
        on_progress("stages", i, frames)
        for stage, ms in engine.stage_times(images[i % len(images)]).items():
            stages.setdefault(stage, []).append(ms)
    passes = len(layout(*images[0].size, loaded.spec.tiles, loaded.spec.input))
    median = float(np.median(times))
    ratios = {}
    if engine.backend != "onnxruntime" and loaded.spec.weights.file.endswith(".onnx"):
        yardstick = open_engine(name_or_path, backend="onnxruntime")
        few = min(frames, _ONNXRUNTIME_FRAMES)
        ratios["onnxruntime"] = median / float(
            np.median(_times(yardstick, images, few, "onnxruntime", on_progress))
        )
    device, versions, graph = _cpu_name(), {"opencv": cv2.__version__}, None
    if engine.backend == "onnxruntime":
        import onnxruntime

        versions["onnxruntime"] = onnxruntime.__version__
    if engine.backend == "tensorrt":
        from edgeguard.engine.backends.tensorrt.runner import TensorRtRunner

        assert isinstance(engine.runner, TensorRtRunner)
        bare = engine.runner.bare_times(passes, frames)
        ratios["bare_execute"] = median / float(np.median(bare))
        device, versions, graph = engine.runner.describe()
    engine.close()
    return Benchmark(
        engine=loaded.name,
        backend=engine.backend,
        device=device,
        versions=versions,
        image=images[0].size,
        passes=passes,
        frames=frames,
        graph=graph,
        detection=Timing.of(times),
        stages={stage: Timing.of(ms) for stage, ms in stages.items()},
        throughput_hz=1e3 / float(np.mean(times)),
        ratios=ratios,
    )


def _times(
    engine: Engine, images: Sequence[Image], frames: int, stage: str, on_progress: Progress
) -> list[float]:
    for i in range(_WARM_UP):
        engine.detect(images[i % len(images)])
    times = []
    for i in range(frames):
        on_progress(stage, i, frames)
        start = time.perf_counter()
        engine.detect(images[i % len(images)])
        times.append((time.perf_counter() - start) * 1e3)
    return times


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
