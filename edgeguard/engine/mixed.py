"""Which layers of an INT8 model stay in floating point: those that lose most, as few as will do.

What a layer loses is measured on calibration frames with that layer alone in INT8. Then the worst are given
back, until what the engine finds in the calibration frames is within the limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeguard.engine.agreement import compare, drift
from edgeguard.engine.backends.cpu import CpuRunner
from edgeguard.engine.engine import Engine
from edgeguard.engine.spec import LoadedSpec
from edgeguard.errors import EngineError
from edgeguard.types import Detections, Image

QUANTISED_OPERATORS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
"""Where the time goes. What lies between stays in floating point, and with it the decoding of boxes."""

KEPT_IOU = 0.9
"""Least overlap of a detection in INT8 with FP32's that counts as kept."""

PROBES = 8
"""Calibration frames, spread over all, on which a layer is tried alone."""

_FAINT = 1 / 3
"""Of the score's threshold: a detection that falls just below it is changed, not lost."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Mixture:
    """What is INT8 in a model, and what was left in floating point for what it loses.

    Attributes:
        int8: names of layers.
        left: names of layers that could be INT8 and lose too much, worst first.
        share: of the model's multiply-accumulates, those of `int8`.
    """

    int8: tuple[str, ...]
    left: tuple[str, ...]
    share: float


def settle(
    loaded: LoadedSpec,
    model: Any,
    file: Path,
    frames: Sequence[Image],
    max_loss: float,
    on_progress: Progress,
) -> Mixture:
    """Write the model with as few layers in floating point as keep the loss on `frames` within `max_loss`.

    Args:
        loaded: the engine in FP32.
        model: its network with Q/DQ in front of every layer that may be INT8.
        file: where to write.
        frames: those that the model was calibrated on.
        max_loss: greatest share of FP32's detections that may be lost.

    Raises:
        EngineError: it finds nothing in the frames, or no layer can be INT8 within the limit.
    """
    import onnx

    def seen(floats: Collection[str], of: Sequence[Image], at: LoadedSpec) -> list[Detections]:
        onnx.save(leave_in_float(model, floats), str(file))
        return _detect(at, file, of)

    def holds(floats: Collection[str]) -> bool:
        on_progress("mixing", len(floats), len(layers))
        found = seen(floats, frames, loaded)
        return compare(zip(expected, found), iou=KEPT_IOU).kept_share >= 1 - max_loss

    layers = int8_layers(leave_in_float(model, ()))
    expected = seen(layers, frames, loaded)
    if not any(map(len, expected)):
        raise EngineError(
            loaded.name,
            f"finds nothing in {len(frames)} calibration frames, so that the cost of INT8 cannot be told",
            "Use a recording that shows what the engine is to find.",
        )
    left: list[str] = []
    if not holds(left):
        probes = range(0, len(frames), -(-len(frames) // PROBES))
        few, faint = [frames[i] for i in probes], _fainter(loaded)
        harm: dict[str, float] = {}
        for i, layer in enumerate(layers):
            on_progress("trying layers", i, len(layers))
            alone = seen({*layers} - {layer}, few, faint)
            harm[layer] = drift(zip([expected[i] for i in probes], alone))
        worst = sorted(layers, key=lambda layer: -harm[layer])
        left = worst[: fewest(len(worst), lambda n: holds(worst[:n]))]
    if len(left) == len(layers):
        raise EngineError(
            loaded.name,
            f"loses more than {max_loss:.1%} of FP32's detections with any of its layers in INT8",
            "Raise --max-loss, or calibrate on more varied frames.",
        )
    mixed = leave_in_float(model, left)
    onnx.save(mixed, str(file))
    int8 = int8_layers(mixed)
    work = multiply_accumulates(mixed)
    return Mixture(tuple(int8), tuple(left), sum(work[n] for n in int8) / max(sum(work.values()), 1))


def fewest(most: int, holds: Callable[[int], bool]) -> int:
    """Return the least number from 0 to `most` that holds, where all above one that holds do; `most` does."""
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def leave_in_float(model: Any, floats: Collection[str]) -> Any:
    """Return a copy of a Q/DQ model in which the named layers, and all but layers, read nothing quantised.

    ONNX Runtime lets everything read the quantised tensor that one layer reads: residual sums and depthwise
    convolutions would lose by it and gain nothing.
    """
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    source = _sources(copy)
    for node in copy.graph.node:
        is_layer = node.op_type in QUANTISED_OPERATORS and all(name in source for name in node.input[:2])
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") or (is_layer and node.name not in floats):
            continue
        for i, name in enumerate(node.input):
            node.input[i] = source.get(name, name)
    _prune(copy.graph)
    return copy


def int8_layers(model: Any) -> list[str]:
    """Return the names of the layers whose input and weights are quantised, in the order of the graph."""
    source = _sources(model)
    return [n.name for n in _layers(model) if all(name in source for name in n.input[:2])]


def multiply_accumulates(model: Any) -> dict[str, int]:
    """Return how much each layer of a model multiplies for one image; 0 where its shapes are not known."""
    from onnx import shape_inference

    model = shape_inference.infer_shapes(model)
    values = [*model.graph.value_info, *model.graph.output, *model.graph.input]
    sizes = {v.name: _elements(v.type.tensor_type.shape.dim) for v in values}
    weights = {w.name: tuple(w.dims) for w in model.graph.initializer}
    source, found = _sources(model), {}
    for node in _layers(model):
        shape = weights.get(source.get(node.input[1], node.input[1]), ())
        data = node.input[0] if node.op_type == "ConvTranspose" else node.output[0]
        if node.op_type in ("Conv", "ConvTranspose"):
            each = math.prod(shape[1:])
        else:
            transposed = any(a.name == "transB" and a.i for a in node.attribute)
            each = shape[-1 if transposed else -2] if len(shape) > 1 else 0
        found[node.name] = int(each) * sizes.get(data, 0) if shape else 0
    return found


def _elements(dims: Any) -> int:
    """Of a tensor for one image: the first dimension is the batch, and a free one counts once."""
    n = 1
    for dim in dims[1:]:
        n *= max(int(dim.dim_value), 1)
    return n


def _layers(model: Any) -> list[Any]:
    return [n for n in model.graph.node if n.op_type in QUANTISED_OPERATORS]


def _sources(model: Any) -> dict[str, str]:
    """What was quantised, by the name of what comes out of its DequantizeLinear."""
    before = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "QuantizeLinear"}
    nodes = (n for n in model.graph.node if n.op_type == "DequantizeLinear")
    return {n.output[0]: before[n.input[0]] for n in nodes if n.input[0] in before}


def _prune(graph: Any) -> None:
    """Take out what nothing reads."""
    while True:
        used = {name for n in graph.node for name in n.input} | {o.name for o in graph.output}
        idle = [n for n in graph.node if used.isdisjoint(n.output)]
        if not idle:
            break
        for node in idle:
            graph.node.remove(node)
    for weights in [w for w in graph.initializer if w.name not in used]:
        graph.initializer.remove(weights)


def _fainter(loaded: LoadedSpec) -> LoadedSpec:
    limits = loaded.spec.thresholds
    fainter = limits.model_copy(update={"score": limits.score * _FAINT})
    return LoadedSpec(loaded.path, loaded.spec.model_copy(update={"thresholds": fainter}))


def _detect(loaded: LoadedSpec, file: Path, frames: Sequence[Image]) -> list[Detections]:
    from edgeguard.engine.backends.onnxruntime import OnnxRuntimeBackend

    engine = Engine(loaded, CpuRunner(loaded, OnnxRuntimeBackend(loaded, file)))
    try:
        return [engine.detect(frame) for frame in frames]
    finally:
        engine.close()
