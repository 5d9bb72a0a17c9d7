"""An engine: an image in, detections out, whatever runs the network in between."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edgeguard.engine.backends.base import Backend
from edgeguard.engine.decode import DECODERS
from edgeguard.engine.preprocess import place, to_tensor
from edgeguard.engine.spec import BackendName, LoadedSpec, load_spec
from edgeguard.engine.tiles import Candidates, layout, merge
from edgeguard.engine.weights import graph_path, weights_path
from edgeguard.errors import EngineError
from edgeguard.types import Detections, Image

_SETTLED = ("yolo_end2end", "rtdetr", "ssd")
"""Decoders of networks that suppress duplicates themselves: ours is for the seams between tiles only."""


class Engine:
    """A network ready to run.

    Attributes:
        name: the engine's name.
        class_names: its vocabulary, lower case; `Detections.class_id` counts in it.
    """

    def __init__(self, loaded: LoadedSpec, backend: Backend) -> None:
        self.name = loaded.name
        self.class_names = tuple(label for label in loaded.labels if label)
        self._spec = loaded.spec
        self._backend = backend
        self._decode = DECODERS[loaded.spec.decoder]
        self._labels = len(loaded.labels)
        order = {label: i for i, label in enumerate(self.class_names)}
        self._public_id = np.array([order.get(label, -1) for label in loaded.labels], np.int32)

    @property
    def backend(self) -> str:
        """The name of the backend that runs the network."""
        return self._backend.name

    def detect(self, image: Image) -> Detections:
        """Return what the network sees in an image; empty where it sees nothing.

        Raises:
            EngineError: the network cannot be run or its outputs do not fit the decoder.
        """
        width, height = image.size
        if width == 0 or height == 0:
            raise EngineError(
                self.name, f"was given an image of {width} x {height}", "Check the camera driver."
            )
        regions = layout(width, height, self._spec.tiles, self._spec.input)
        placements = [place(r, self._spec.input) for r in regions]
        batch = to_tensor(image.bgr, placements, self._spec.input)
        found: list[Candidates] = []
        for start in range(0, len(batch), self._backend.max_batch):
            outputs = self._backend.infer(batch[start : start + self._backend.max_batch])
            found += self._decode(outputs, self._backend.output_names, self._spec, self._labels)
        found = [
            self._known(Candidates(p.to_image(c.xyxy), c.score, c.class_id))
            for p, c in zip(placements, found)
        ]
        merged = merge(found, regions, width, height)
        kept = self._suppress(merged, seams=len(regions) > 1)
        return Detections(
            image.stamp_ns, kept.xyxy, kept.score, self._public_id[kept.class_id], self.class_names
        )

    def close(self) -> None:
        """Free what the engine holds; it cannot detect after that."""
        self._backend.close()

    def _known(self, c: Candidates) -> Candidates:
        inside = (c.class_id >= 0) & (c.class_id < self._labels)
        inside[inside] = self._public_id[c.class_id[inside]] >= 0
        inside &= (c.xyxy[:, 2] > c.xyxy[:, 0]) & (c.xyxy[:, 3] > c.xyxy[:, 1])
        return c.select(inside)

    def _suppress(self, c: Candidates, *, seams: bool) -> Candidates:
        limits = self._spec.thresholds
        order = np.argsort(-c.score, kind="stable")
        if seams or self._spec.decoder not in _SETTLED:
            # Classes are moved apart, so that only boxes of one class can suppress each other.
            step = float(c.xyxy.max(initial=0)) + 1
            rectangles = np.concatenate([c.xyxy[:, :2], c.xyxy[:, 2:] - c.xyxy[:, :2]], axis=1).astype(
                np.float64
            )
            rectangles[:, 0] += c.class_id * step
            order = np.array(
                cv2.dnn.NMSBoxes(rectangles.tolist(), c.score.tolist(), 0.0, limits.nms_iou), np.intp
            ).reshape(-1)
        return c.select(order[: limits.max_detections])


def open_engine(name_or_path: str | Path, *, backend: BackendName | None = None) -> Engine:
    """Open an engine.

    Args:
        name_or_path: a name under `engines/`, or a path to an engine.yaml, its folder or a model beside one.
        backend: what runs the network; by default what the specification says.

    Raises:
        EngineError: unknown engine, weights missing or not the ones meant, backend not installed.
        ParameterError: the specification is not valid.
    """
    loaded = load_spec(name_or_path)
    return Engine(loaded, _open_backend(loaded, backend or loaded.spec.backend))


def _open_backend(loaded: LoadedSpec, name: str) -> Backend:
    if name == "onnxruntime":
        from edgeguard.engine.backends.onnxruntime import OnnxRuntimeBackend

        return OnnxRuntimeBackend(loaded, weights_path(loaded))
    if name == "opencv":
        from edgeguard.engine.backends.opencv import OpenCvBackend

        return OpenCvBackend(loaded, weights_path(loaded), graph_path(loaded))
    raise EngineError(loaded.name, f"backend {name!r} is not known", "Backends are onnxruntime and opencv.")
