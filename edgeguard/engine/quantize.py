"""FP32 to INT8 with explicit Q/DQ nodes, calibrated on a recording, and what that costs."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from edgeguard.engine.agreement import Agreement, compare
from edgeguard.engine.engine import open_engine
from edgeguard.engine.mixed import KEPT_IOU, QUANTISED_OPERATORS, Mixture, settle
from edgeguard.engine.preprocess import place, to_tensor
from edgeguard.engine.spec import SPEC_NAME, LoadedSpec, load_spec
from edgeguard.engine.tiles import layout
from edgeguard.engine.weights import sha256, weights_path
from edgeguard.errors import EngineError
from edgeguard.types import F32, Image

Method = Literal["minmax", "entropy", "percentile"]
Progress = Callable[[str, int, int], None]

_PER_CHANNEL_OPSET = 13
"""The first ONNX opset with one scale per channel."""


def quantize(
    name_or_path: str | Path,
    calibration: Sequence[Image],
    unused: Sequence[Image],
    out: Path,
    *,
    method: Method = "minmax",
    max_loss: float = 0.05,
    write_anyway: bool = False,
    on_progress: Progress = lambda stage, done, of: None,
) -> tuple[Agreement, Mixture]:
    """Write an INT8 engine; return what it keeps of FP32's detections on unused images, and its layers.

    Weights get one scale per channel, activations one per tensor, all symmetric, as TensorRT asks for;
    biases stay in FP32, and so do layers that `sensitive_nodes` and `mixed.settle` leave there. The result is
    an engine folder like any other.

    Args:
        calibration: images whose activations set the ranges.
        unused: other images, on which the cost is measured and on nothing else decides.
        out: folder to write; must not exist.
        method: how ranges come from activations.
        max_loss: greatest share of FP32's detections that may be lost, at an IoU of `KEPT_IOU`.
        write_anyway: write the engine even where it loses more.

    Raises:
        EngineError: onnx or onnxruntime is not installed, too few images, nothing detected to judge by, or
            more lost than `max_loss`; nothing is written then.
    """
    loaded = load_spec(name_or_path)
    _check(loaded, calibration, unused, out, method)
    out.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        on_progress("quantising", 0, 1)
        model = f"{loaded.name}.int8.onnx"
        whole = _quantise(loaded, weights_path(loaded), scratch / model, calibration, method, on_progress)
        mixture = settle(loaded, whole, scratch / model, calibration, max_loss, on_progress)
        _write_spec(loaded, scratch, model, method, mixture)
        cost = _cost(loaded, scratch, unused, on_progress)
        lost = 1 - cost.kept_share
        if lost > max_loss and not write_anyway:
            raise EngineError(
                loaded.name,
                f"loses {lost:.1%} of FP32's detections in INT8 ({cost.kept} of {cost.reference} kept on "
                f"{cost.frames} unused frames at IoU {cost.iou}), over {max_loss:.1%}; nothing was written",
                "Calibrate on more varied frames, try another --method, raise --max-loss, or --write-anyway.",
            )
        scratch.chmod(0o755)
        os.replace(scratch, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return cost, mixture


def _check(
    loaded: LoadedSpec, calibration: Sequence[Image], unused: Sequence[Image], out: Path, method: Method
) -> None:
    if method not in get_args(Method):
        known = ", ".join(get_args(Method))
        raise EngineError(loaded.name, f"{method!r} is no calibration method", f"Methods are {known}.")
    if loaded.spec.input.constants or weights_path(loaded).suffix != ".onnx":
        raise EngineError(
            loaded.name, "is not an ONNX file with one input", "Only such engines can be quantised."
        )
    if len(calibration) < 2 or not unused:
        raise EngineError(
            loaded.name,
            f"{len(calibration)} frames to calibrate on and {len(unused)} to judge by are too few",
            "Use a longer recording.",
        )
    if out.exists():
        raise EngineError(loaded.name, f"{out} exists", "Name a folder that does not.")


def _quantise(
    loaded: LoadedSpec,
    weights: Path,
    target: Path,
    calibration: Sequence[Image],
    method: Method,
    on_progress: Progress,
) -> Any:
    """Return the model with Q/DQ in front of every layer that is not sensitive by its kind."""
    try:
        import onnx
        import onnx.version_converter
        from onnxruntime import quantization as q
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as e:
        raise EngineError(
            loaded.name, f"quantising needs {e.name}", "pip install 'edgeguard[onnx]' onnx."
        ) from e
    model = onnx.load(str(weights))
    if max(o.version for o in model.opset_import if o.domain in ("", "ai.onnx")) < _PER_CHANNEL_OPSET:
        model = onnx.version_converter.convert_version(model, _PER_CHANNEL_OPSET)
    tensors = _Tensors(loaded, calibration, on_progress)
    fed = {i.name for i in model.graph.input} - {w.name for w in model.graph.initializer}
    tensors.name = fed.pop()
    prepared = target.with_suffix(".prepared.onnx")
    onnx.save(model, str(prepared))
    quant_pre_process(str(prepared), str(prepared), skip_symbolic_shape=True)
    model = onnx.load(str(prepared))
    for i, node in enumerate(model.graph.node):
        node.name = node.name or f"node_{i}"
    kinds = {
        "minmax": q.CalibrationMethod.MinMax,
        "entropy": q.CalibrationMethod.Entropy,
        "percentile": q.CalibrationMethod.Percentile,
    }
    # ONNX Runtime prints how far it is; standard output is the caller's.
    with contextlib.redirect_stdout(sys.stderr):
        q.quantize_static(
            model,
            str(target),
            tensors,
            quant_format=q.QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED_OPERATORS),
            nodes_to_exclude=sensitive_nodes(model),
            per_channel=True,
            activation_type=q.QuantType.QInt8,
            weight_type=q.QuantType.QInt8,
            calibrate_method=kinds[method],
            # TensorRT: zero points are zero, weights come as floats with their own Q/DQ, biases are floats.
            extra_options={
                "ActivationSymmetric": True,
                "WeightSymmetric": True,
                "AddQDQPairToWeight": True,
                "QuantizeBias": False,
                # Activation functions follow in floating point and are fused with what is before them.
                "OpTypesToExcludeOutputQuantization": list(QUANTISED_OPERATORS),
            },
        )
    prepared.unlink()
    return onnx.load(str(target))


def sensitive_nodes(model: Any) -> list[str]:
    """Return the nodes that lose most by eight bits and gain least: they stay in floating point.

    These are depthwise convolutions, whose channels share one activation scale and hardly any arithmetic; the
    first layer, which sees the pixels; and the last ones, which give scores and box sides.
    """
    heavy = [n for n in model.graph.node if n.op_type in QUANTISED_OPERATORS]
    shapes = {w.name: tuple(w.dims) for w in model.graph.initializer}
    users: dict[str, list[Any]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    leads: dict[str, bool] = {}
    for node in reversed(model.graph.node):
        after = [u for output in node.output for u in users.get(output, [])]
        leads[node.name] = any(u.op_type in QUANTISED_OPERATORS or leads[u.name] for u in after)
    depthwise = [n for n in heavy if n.op_type == "Conv" and shapes.get(n.input[1], (0, 0))[1] == 1]
    last = [n for n in heavy if not leads[n.name]]
    return sorted({n.name for n in [*heavy[:1], *depthwise, *last]})


class _Tensors:
    """Calibration images as the network sees them: ONNX Runtime's `CalibrationDataReader`."""

    name = ""

    def __init__(self, loaded: LoadedSpec, images: Sequence[Image], on_progress: Progress) -> None:
        self._loaded, self._images, self._on_progress = loaded, images, on_progress
        self.rewind()

    def rewind(self) -> None:
        self._tensors = self._each()

    def get_next(self) -> dict[str, F32] | None:
        tensor = next(self._tensors, None)
        return None if tensor is None else {self.name: tensor}

    def __iter__(self) -> Iterator[dict[str, F32]]:
        return iter(self.get_next, None)

    def _each(self) -> Iterator[F32]:
        spec = self._loaded.spec
        for i, image in enumerate(self._images):
            self._on_progress("calibrating", i, len(self._images))
            placements = [place(r, spec.input) for r in layout(*image.size, spec.tiles, spec.input)]
            for tensor in to_tensor(image.bgr, placements, spec.input):
                yield tensor[None]
        self._on_progress("calibrating", len(self._images), len(self._images))


def _write_spec(loaded: LoadedSpec, folder: Path, model: str, method: Method, mixture: Mixture) -> None:
    content: dict[str, Any] = loaded.spec.model_dump(mode="json", exclude_defaults=True)
    content["description"] = f"{loaded.spec.description or loaded.name}, INT8 ({method})"
    content["weights"] = {"file": model, "sha256": sha256(folder / model)}
    content["classes"] = list(loaded.labels)
    content["tensorrt"] = {**content.get("tensorrt", {}), "precision": "int8"}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    note = f"# Made by `edgeguard engine quantize {loaded.reference}`: {len(mixture.int8)} layers in INT8, "
    note += f"{mixture.share:.1%} of the multiply-accumulates.\n"
    note += f"# In floating point for what they lose: {', '.join(mixture.left) or 'none'}.\n"
    (folder / SPEC_NAME).write_text(note + text)


def _cost(loaded: LoadedSpec, folder: Path, unused: Sequence[Image], on_progress: Progress) -> Agreement:
    full = open_engine(loaded.path, backend="onnxruntime")
    small = open_engine(folder, backend="onnxruntime")
    pairs = []
    for i, image in enumerate(unused):
        on_progress("comparing", i, len(unused))
        pairs.append((full.detect(image), small.detect(image)))
    on_progress("comparing", len(unused), len(unused))
    cost = compare(pairs, iou=KEPT_IOU)
    if not cost.reference:
        raise EngineError(
            loaded.name,
            f"finds nothing in {cost.frames} unused frames, so that the cost of INT8 cannot be told",
            "Use a recording that shows what the engine is to find.",
        )
    return cost
