"""ONNX to a TensorRT network, and what precision its layers really got."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeguard.engine.backends.tensorrt.api import Api
from edgeguard.engine.spec import LoadedSpec
from edgeguard.errors import EngineError


def typed_onnx(api: Api, loaded: LoadedSpec, weights: Path, step: Callable[[str, int, int], bool]) -> bytes:
    """Return the model as TensorRT is to read it.

    Where precision comes from the ONNX file alone, an FP16 engine needs an FP16 file: ONNX Runtime's
    converter makes one, with inputs and outputs left in FP32.

    Raises:
        EngineError: onnx or onnxruntime, which do that, are not installed.
    """
    data = weights.read_bytes()
    if not (api.strongly_typed and loaded.spec.tensorrt.precision == "fp16"):
        return data
    try:
        import onnx
        from onnxruntime.transformers.float16 import convert_float_to_float16
    except ImportError as e:
        raise EngineError(
            loaded.name,
            f"{api.name} takes precision from the ONNX file; {e.name}, which makes it FP16, is not installed",
            "pip install 'edgeguard[onnx]' onnx, or set `tensorrt.precision: fp32`.",
        ) from e
    step("Converting to FP16", 0, 1)
    model = convert_float_to_float16(onnx.load_model_from_string(data), keep_io_types=True)
    return bytes(model.SerializeToString())


def parse(api: Api, network: Any, log: Any, loaded: LoadedSpec, model: bytes) -> None:
    """Fill a network from an ONNX file.

    Raises:
        EngineError: nodes are refused, all of them by name; or inputs and outputs do not fit.
    """
    parser = api.trt.OnnxParser(network, log)
    if not parser.parse(model):
        refused = api.parse_errors(
            parser, _node_names(model) if not hasattr(parser, "parse_model_proto") else []
        )
        raise EngineError(
            loaded.name,
            "TensorRT's parser refuses " + "".join(f"\n  {line}" for line in refused or log.lines),
            "Export the model without these operators, or use the onnxruntime backend.",
        )
    _check(api, network, loaded)


def add_profile(builder: Any, config: Any, network: Any, loaded: LoadedSpec) -> None:
    """Tell which batches the engine is to take where the model leaves the batch free."""
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    if all(tensor.shape[0] > 0 for tensor in inputs):
        return
    profile = builder.create_optimization_profile()
    most = loaded.spec.tensorrt.max_batch
    for tensor in inputs:
        rest = tuple(tensor.shape)[1:]
        if tensor.name not in loaded.spec.input.constants:
            rest = (3, loaded.spec.input.height, loaded.spec.input.width)
        profile.set_shape(tensor.name, (1, *rest), (most, *rest), (most, *rest))
    config.add_optimization_profile(profile)


def layer_precision(api: Api, log: Any, plan: bytes) -> dict[str, int] | None:
    """Return how many layers give which data type, or None where there is no GPU to open the plan with."""
    engine = api.trt.Runtime(log).deserialize_cuda_engine(plan)
    if engine is None:
        return None
    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(api.trt.LayerInformationFormat.JSON)
    return count_precision(text)


def count_precision(inspected: str) -> dict[str, int]:
    """Return the layers per data type of their first output, from the engine inspector's JSON.

    The inspector words it by version: `Row major linear FP32`, `Channel major FP16 format …`, or `Half`.
    """
    names = {"FLOAT": "FP32", "HALF": "FP16", "INT8": "INT8", "FP32": "FP32", "FP16": "FP16", "FP8": "FP8"}
    count: Counter[str] = Counter()
    for layer in json.loads(inspected).get("Layers", []):
        if not isinstance(layer, dict) or not layer.get("Outputs"):
            continue
        worded = str(layer["Outputs"][0].get("Format/Datatype", "")).upper()
        found = re.search(r"FP32|FP16|FP8|INT8|FLOAT|HALF|BF16|INT32|INT64|BOOL", worded)
        count[names.get(found[0], found[0]) if found else "other"] += 1
    return dict(sorted(count.items()))


def _check(api: Api, network: Any, loaded: LoadedSpec) -> None:
    spec = loaded.spec.input
    inputs = [network.get_input(i) for i in range(network.num_inputs)]
    images = [t for t in inputs if t.name not in spec.constants]
    if len(images) != 1:
        raise EngineError(
            loaded.name,
            f"the model's inputs are {', '.join(t.name for t in inputs)}",
            "All but the image must stand under `input.constants` in engine.yaml.",
        )
    shape = tuple(images[0].shape)
    wanted = (shape[0], 3, spec.height, spec.width)
    fits = len(shape) == 4 and all(got in (-1, want) for got, want in zip(shape, wanted))
    if not fits or shape[0] not in (-1, 1) or images[0].dtype != api.trt.float32:
        raise EngineError(
            loaded.name,
            f"the model takes {images[0].dtype} {shape}, "
            f"engine.yaml says float32 N x 3 x {spec.height} x {spec.width}",
            "Set `input` in engine.yaml to the model's; export it with float32 input, N one or free.",
        )


def _node_names(model: bytes) -> list[str]:
    """Return `name (operator)` of the ONNX graph's nodes; nothing where `onnx` is not installed."""
    try:
        import onnx
    except ImportError:
        return []
    return [f"{n.name or n.output[0]} ({n.op_type})" for n in onnx.load_model_from_string(model).graph.node]
