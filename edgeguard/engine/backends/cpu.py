"""The CPU's way from images to candidates: OpenCV, a backend, NumPy."""

from __future__ import annotations

from collections.abc import Sequence

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
        return [self._one(image, regions) for image, regions in zip(images, placements)]

    def _one(self, image: RawImage, placements: Sequence[Placement]) -> list[Candidates]:
        batch = to_tensor(image.to_bgr(), placements, self._spec.input)
        found: list[Candidates] = []
        for start in range(0, len(batch), self._net.max_batch):
            outputs = self._net.infer(batch[start : start + self._net.max_batch])
            found += self._decode(outputs, self._net.output_names, self._spec, self._classes)
        return found

    def close(self) -> None:
        """Free the backend."""
        self._net.close()
