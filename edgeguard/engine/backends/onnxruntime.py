"""ONNX Runtime on the CPU."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeguard.engine.spec import LoadedSpec
from edgeguard.errors import EngineError
from edgeguard.types import F32

_MAX_THREADS = 4
"""Small networks gain nothing beyond this, and the rest of the vehicle's software needs its cores."""

_MAX_BATCH = 16
"""Most images of one call where the model takes any number: bounds memory."""

_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


class OnnxRuntimeBackend:
    """Runs an ONNX file; one image after another where its batch dimension is fixed to one."""

    name = "onnxruntime"

    def __init__(self, loaded: LoadedSpec, weights: Path) -> None:
        try:
            import onnxruntime as ort
        except ImportError as e:
            raise EngineError(
                loaded.name,
                "onnxruntime is not installed",
                "pip install 'edgeguard[onnx]', or name another backend.",
            ) from e
        options = ort.SessionOptions()
        options.intra_op_num_threads = min(_MAX_THREADS, len(os.sched_getaffinity(0)))
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        # Spinning threads would take the cores that the checks run on between two images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            self._session = ort.InferenceSession(str(weights), options, providers=["CPUExecutionProvider"])
        except Exception as e:
            # ONNX Runtime's exceptions share no public base.
            raise EngineError(
                loaded.name, f"ONNX Runtime refuses {weights}: {e}", "Export the model again."
            ) from e
        self._engine = loaded.name
        self._constants = loaded.spec.input.constants
        self._check_inputs(loaded)
        self.output_names = [o.name for o in self._session.get_outputs()]

    def _check_inputs(self, loaded: LoadedSpec) -> None:
        spec = loaded.spec.input
        images = [i for i in self._session.get_inputs() if i.name not in self._constants]
        known = {i.name for i in self._session.get_inputs()}
        if len(images) != 1 or not set(self._constants) <= known:
            raise EngineError(
                loaded.name,
                f"the model's inputs are {', '.join(sorted(known))}",
                "All but the image must stand under `input.constants` in engine.yaml.",
            )
        shape, kind = images[0].shape, images[0].type
        wanted = (None, 3, spec.height, spec.width)
        fits = len(shape) == 4 and all(
            w is None or not isinstance(g, int) or g == w for w, g in zip(wanted, shape)
        )
        if not fits or kind not in _DTYPES:
            raise EngineError(
                loaded.name,
                f"the model takes {kind} {shape}, engine.yaml says N x 3 x {spec.height} x {spec.width}",
                "Set `input.width` and `input.height` in engine.yaml to the model's.",
            )
        if isinstance(shape[0], int) and shape[0] != 1:
            raise EngineError(
                loaded.name,
                f"the model takes {shape[0]} images at once",
                "Export it for one, or for any number.",
            )
        self._input = images[0].name
        self._dtype = _DTYPES[kind]
        self.max_batch = 1 if shape[0] == 1 else _MAX_BATCH

    def infer(self, batch: F32) -> list[NDArray[Any]]:
        """Run the network; see `Backend.infer`."""
        feed: dict[str, NDArray[Any]] = {self._input: batch.astype(self._dtype, copy=False)}
        for name, row in self._constants.items():
            feed[name] = np.tile(np.array(row, np.int64), (len(batch), 1))
        try:
            outputs: list[NDArray[Any]] = self._session.run(None, feed)
        except Exception as e:
            raise EngineError(
                self._engine, f"ONNX Runtime failed: {e}", "Check the model with another image."
            ) from e
        return outputs

    def close(self) -> None:
        """Free the session."""
        del self._session
