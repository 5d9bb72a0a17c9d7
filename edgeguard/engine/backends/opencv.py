"""OpenCV's own network module, on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeguard.engine.spec import LoadedSpec
from edgeguard.errors import EngineError
from edgeguard.types import F32


class OpenCvBackend:
    """Runs ONNX files and frozen TensorFlow graphs, one image at a time."""

    name = "opencv"
    max_batch = 1

    def __init__(self, loaded: LoadedSpec, weights: Path, graph: Path | None) -> None:
        if loaded.spec.input.constants:
            raise EngineError(
                loaded.name,
                "has `input.constants`, which this backend cannot feed",
                "Use the onnxruntime backend.",
            )
        self._engine = loaded.name
        try:
            self._net = _read(weights, graph)
        except (cv2.error, AttributeError) as e:
            raise EngineError(
                loaded.name,
                f"OpenCV {cv2.__version__} refuses {weights}: {e}",
                "Try the onnxruntime backend.",
            ) from e
        self.output_names: list[str] = list(self._net.getUnconnectedOutLayersNames())

    def infer(self, batch: F32) -> list[NDArray[Any]]:
        """Run the network; see `Backend.infer`."""
        try:
            self._net.setInput(batch)
            outputs = self._net.forward(self.output_names)
        except cv2.error as e:
            raise EngineError(self._engine, f"OpenCV failed: {e}", "Check `input` in engine.yaml.") from e
        return [np.asarray(o) for o in outputs]

    def close(self) -> None:
        """Free the network."""
        del self._net


def _read(weights: Path, graph: Path | None) -> Any:
    if weights.suffix == ".pb":
        return cv2.dnn.readNetFromTensorflow(str(weights), "" if graph is None else str(graph))
    return cv2.dnn.readNetFromONNX(str(weights))
