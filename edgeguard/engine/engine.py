"""An engine: an image in, detections out, whatever runs the network in between."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import cv2
import numpy as np

from edgeguard.engine.backends.base import Runner
from edgeguard.engine.backends.cpu import CpuRunner
from edgeguard.engine.preprocess import Placement, place
from edgeguard.engine.raw import RawImage
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
        loaded: the specification that it was opened from.
    """

    def __init__(self, loaded: LoadedSpec, runner: Runner) -> None:
        self.loaded = loaded
        self.name = loaded.name
        self.class_names = tuple(label for label in loaded.labels if label)
        self._spec = loaded.spec
        self._runner = runner
        self._labels = len(loaded.labels)
        order = {label: i for i, label in enumerate(self.class_names)}
        self._public_id = np.array([order.get(label, -1) for label in loaded.labels], np.int32)

    @property
    def runner(self) -> Runner:
        """What runs the network, for measuring it."""
        return self._runner

    @property
    def backend(self) -> str:
        """The name of the backend that runs the network."""
        return self._runner.backend

    def detect(self, image: Image | RawImage) -> Detections:
        """Return what the network sees in an image; empty where it sees nothing.

        Raises:
            EngineError: the network cannot be run or its outputs do not fit the decoder.
        """
        return self.detect_batch([image])[0]

    def detect_batch(self, images: Sequence[Image | RawImage]) -> list[Detections]:
        """Return what the network sees in each of several images, of several cameras say, in one call.

        Raises:
            EngineError: the network cannot be run or its outputs do not fit the decoder.
        """
        raw = [RawImage.of(image) if isinstance(image, Image) else image for image in images]
        placements = [self._placements(image) for image in raw]
        found = self._runner.candidates(raw, placements)
        return [self._finish(*of_one) for of_one in zip(raw, placements, found)]

    def stage_times(self, image: Image | RawImage) -> dict[str, float]:
        """Detect in an image stage by stage and return milliseconds per stage."""
        raw = RawImage.of(image) if isinstance(image, Image) else image
        placements = self._placements(raw)
        found, times = self._runner.stage_times([raw], [placements])
        start = time.perf_counter()
        self._finish(raw, placements, found[0])
        times["postprocess"] = times.get("postprocess", 0.0) + (time.perf_counter() - start) * 1e3
        return times

    def warm_up(self, width: int, height: int) -> None:
        """Detect in an empty image, so that the first real one of that size is as fast as the rest."""
        empty = Image(0, "", np.zeros((height, width, 3), np.uint8))
        for _ in range(2):
            self.detect(empty)

    def close(self) -> None:
        """Free what the engine holds; it cannot detect after that."""
        self._runner.close()

    def _placements(self, image: RawImage) -> list[Placement]:
        if image.width == 0 or image.height == 0:
            size = f"{image.width} x {image.height}"
            raise EngineError(self.name, f"was given an image of {size}", "Check the camera driver.")
        regions = layout(image.width, image.height, self._spec.tiles, self._spec.input)
        return [place(region, self._spec.input) for region in regions]

    def _finish(
        self, image: RawImage, placements: Sequence[Placement], found: Sequence[Candidates]
    ) -> Detections:
        boxes = [Candidates(p.to_image(c.xyxy), c.score, c.class_id) for p, c in zip(placements, found)]
        mapped = [self._known(c) for c in boxes]
        merged = merge(mapped, [p.region for p in placements], image.width, image.height)
        kept = self._suppress(merged, seams=len(placements) > 1)
        return Detections(
            image.stamp_ns, kept.xyxy, kept.score, self._public_id[kept.class_id], self.class_names
        )

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
    return Engine(loaded, _open_runner(loaded, backend or loaded.spec.backend))


def _open_runner(loaded: LoadedSpec, name: str) -> Runner:
    weights = weights_path(loaded)
    if name == "onnxruntime":
        from edgeguard.engine.backends.onnxruntime import OnnxRuntimeBackend

        return CpuRunner(loaded, OnnxRuntimeBackend(loaded, weights))
    if name == "opencv":
        from edgeguard.engine.backends.opencv import OpenCvBackend

        return CpuRunner(loaded, OpenCvBackend(loaded, weights, graph_path(loaded)))
    if name == "tensorrt":
        from edgeguard.engine.backends.tensorrt.runner import TensorRtRunner

        return TensorRtRunner(loaded, weights)
    known = ", ".join(get_args(BackendName))
    raise EngineError(loaded.name, f"backend {name!r} is not known", f"Backends are {known}.")
