"""The CPU's way from images to candidates: OpenCV, a backend, NumPy."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from edgeguard.engine.backends.base import Backend
from edgeguard.engine.decode import DECODERS
from edgeguard.engine.preprocess import Placement, to_tensor
from edgeguard.engine.raw import RawImage
from edgeguard.engine.spec import LoadedSpec
from edgeguard.engine.tiles import Candidates


class CpuRunner:
    """Prepares and decodes on the CPU, around any `Backend`."""

    def __init__(self, loaded: LoadedSpec, backend: Backend) -> None:
        self._spec = loaded.spec
        self._classes = len(loaded.labels)
        self._net = backend
        self._decode = DECODERS[loaded.spec.decoder]

    @property
    def backend(self) -> str:
        """The name of the backend."""
        return self._net.name

    def candidates(
        self, images: Sequence[RawImage], placements: Sequence[Sequence[Placement]]
    ) -> list[list[Candidates]]:
        """Run the network on regions of images; see `Runner.candidates`."""
        return [self._one(image, regions, lambda stage: None) for image, regions in zip(images, placements)]

    def stage_times(
        self, images: Sequence[RawImage], placements: Sequence[Sequence[Placement]]
    ) -> tuple[list[list[Candidates]], dict[str, float]]:
        """Run stage by stage; see `Runner.stage_times`."""
        times = dict.fromkeys(("preprocess", "inference", "postprocess"), 0.0)
        last = time.perf_counter()

        def mark(stage: str) -> None:
            nonlocal last
            now = time.perf_counter()
            times[stage] += (now - last) * 1e3
            last = now

        return [self._one(image, regions, mark) for image, regions in zip(images, placements)], times

    def _one(
        self, image: RawImage, placements: Sequence[Placement], mark: Callable[[str], None]
    ) -> list[Candidates]:
        batch = to_tensor(image.to_bgr(), placements, self._spec.input)
        mark("preprocess")
        found: list[Candidates] = []
        for start in range(0, len(batch), self._net.max_batch):
            outputs = self._net.infer(batch[start : start + self._net.max_batch])
            mark("inference")
            found += self._decode(outputs, self._net.output_names, self._spec, self._classes)
            mark("postprocess")
        return found

    def close(self) -> None:
        """Free the backend."""
        self._net.close()
