"""The GPU's way from images to candidates: one upload, one small download, nothing allocated in between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeguard.engine.backends.tensorrt import plans
from edgeguard.engine.backends.tensorrt.api import load_api
from edgeguard.engine.backends.tensorrt.build import gpu_of
from edgeguard.engine.backends.tensorrt.device import Device, describe_gpu
from edgeguard.engine.backends.tensorrt.execution import Execution
from edgeguard.engine.backends.tensorrt.pipeline import Layout, Pipeline
from edgeguard.engine.preprocess import Placement
from edgeguard.engine.raw import RawImage
from edgeguard.engine.spec import LoadedSpec
from edgeguard.engine.tiles import Candidates

_MAX_LAYOUTS = 4
"""Image sizes and encodings whose buffers are kept at a time."""


class TensorRtRunner:
    """Runs a plan that was built before; never builds one."""

    backend = "tensorrt"

    def __init__(self, loaded: LoadedSpec, weights: Path) -> None:
        api = load_api(loaded.name)
        plan = plans.load_plan(loaded, plans.plan_key(loaded, weights, api, gpu_of(api, loaded.name)))
        self._loaded, self._api = loaded, api
        self.device = Device(loaded.name)
        self._pipelines: dict[Layout, Pipeline] = {}
        try:
            self.net = Execution(loaded, api, self.device, plan)
        except BaseException:
            self.device.close_with(lambda: None)
            raise

    def candidates(
        self, images: Sequence[RawImage], placements: Sequence[Sequence[Placement]]
    ) -> list[list[Candidates]]:
        """Run the network on regions of images; see `Runner.candidates`.

        Images of one size and encoding go through in one go, others one after another.
        """
        alike = len({(i.encoding, i.width, i.height, i.data.shape) for i in images}) == 1
        if len(images) > 1 and not alike:
            return [self.candidates([i], [p])[0] for i, p in zip(images, placements)]
        if not images:
            return []
        with self.device.current():
            return self.pipeline(images, placements).run(images)

    def stage_times(
        self, images: Sequence[RawImage], placements: Sequence[Sequence[Placement]]
    ) -> tuple[list[list[Candidates]], dict[str, float]]:
        """Run stage by stage, without a graph, timed by events on the GPU; see `Runner.stage_times`."""
        with self.device.current():
            return self.pipeline(images, placements).run_timed(images)

    def bare_times(self, passes: int, frames: int) -> list[float]:
        """Return milliseconds of upload, `execute_async_v3` and download of every output, frame by frame.

        Args:
            passes: runs of the network a frame.
        """
        with self.device.current():
            return self.net.bare_times(passes, frames)

    def describe(self) -> tuple[str, dict[str, str], bool | str]:
        """Return the GPU's name, library versions, and whether a CUDA graph runs, or why not."""
        name, capability = describe_gpu(self._loaded.name)
        graphs = [p.uses_graph or p.graph_refused for p in self._pipelines.values()]
        versions = {"tensorrt": self._api.name, "compute_capability": capability}
        return name, versions, graphs[-1] if graphs else False

    def pipeline(self, images: Sequence[RawImage], placements: Sequence[Sequence[Placement]]) -> Pipeline:
        """Return the pipeline for images like these, made where it is not there; the context is current."""
        layout = Layout.of(images, placements)
        if layout not in self._pipelines:
            if len(self._pipelines) >= _MAX_LAYOUTS:
                self._pipelines.pop(next(iter(self._pipelines))).free()
            pipeline = Pipeline(self._loaded, self.device, self.net, layout)
            # TensorRT sets itself up in its first run, which a graph must not hold.
            pipeline.run(images)
            pipeline.capture()
            self._pipelines[layout] = pipeline
        return self._pipelines[layout]

    def close(self) -> None:
        """Free plan, buffers and context."""
        self.device.close_with(self._free)

    def _free(self) -> None:
        for pipeline in self._pipelines.values():
            pipeline.free()
        self._pipelines.clear()
        self.net.close()
