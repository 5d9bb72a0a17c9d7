"""A frozen TensorFlow SSD as a differentiable function, with no TensorFlow: its file's graph, run in torch.

The head is that of W. Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016, with the anchors and the
box coding of the TensorFlow Object Detection API (J. Huang et al., CVPR 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeguard.errors import EngineError
from edgeguard.types import F32

if TYPE_CHECKING:
    from torch import Tensor

_INPUT = "Preprocessor/map/TensorArrayStack/TensorArrayGatherV3"
"""Where the graph has its picture in the network's size."""
_WANTED = "Give a frozen_inference_graph.pb of the TensorFlow Object Detection API."
_LEVELS = 6
_SCALES = (0.2, 0.95)
"""Of the anchors, shares of the picture's side: the finest level's and the coarsest's."""
_ASPECTS = (1.0, 2.0, 0.5, 3.0, 1.0 / 3.0)
_CODING = (10.0, 10.0, 5.0, 5.0)
"""The API's variances: y, x, height, width."""


class SsdGraph:
    """Runs a frozen SSD graph of the TensorFlow Object Detection API.

    Args:
        path: the frozen graph (.pb).

    Raises:
        EngineError: it is none, or has an operator that is not known here.
    """

    def __init__(self, path: Path) -> None:
        graph = _graph_def()
        try:
            graph.ParseFromString(path.read_bytes())
        except Exception as e:  # google.protobuf's own errors have no common root that is public
            raise EngineError(path.name, f"is no frozen TensorFlow graph ({e})", _WANTED) from e
        self._name, self._nodes = path.name, {node.name: node for node in graph.node}
        self._steps: list[Any] = []
        self._fixed: dict[str, Any] = {}
        self._anchors: dict[tuple[tuple[int, int], ...], F32] = {}
        self._heads = [
            [f"BoxPredictor_{i}/{part}Predictor/BiasAdd" for part in ("BoxEncoding", "Class")]
            for i in range(_LEVELS)
        ]
        missing = [name for name in (_INPUT, *sum(self._heads, [])) if name not in self._nodes]
        if missing:
            raise EngineError(
                path.name, f"is no SSD of the Object Detection API: it has no node {missing[0]}", _WANTED
            )
        for node in self._in_order():
            # What does not hang on the picture is reckoned once.
            if all(i in self._fixed for i in node.input):
                self._fixed[node.name] = _OPERATORS[node.op](node.attr, *(self._fixed[i] for i in node.input))
            else:
                self._steps.append(node)

    def __call__(self, batch: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes (B, anchors, 4) xyxy, shares of the picture, and scores (B, anchors, classes) of
        (B, 3, H, W) RGB, 0 to 255; class 0 is the background, of which nothing is said."""
        import torch

        values: dict[str, Any] = {**self._fixed, _INPUT: batch.permute(0, 2, 3, 1)}
        for node in self._steps:
            values[node.name] = _OPERATORS[node.op](node.attr, *(values[i] for i in node.input))
        codes, logits, cells = [], [], []
        for box, label in self._heads:
            raw = values[box]
            cells.append((int(raw.shape[1]), int(raw.shape[2])))
            code = raw.reshape(len(raw), -1, 4)
            codes.append(code)
            logits.append(values[label].reshape(len(raw), code.shape[1], -1))
        score = torch.cat(logits, 1).sigmoid()
        score = torch.cat([torch.zeros_like(score[..., :1]), score[..., 1:]], 2)
        return self._decoded(torch.cat(codes, 1), tuple(cells)), score

    def _decoded(self, code: Tensor, cells: tuple[tuple[int, int], ...]) -> Tensor:
        import torch

        if cells not in self._anchors:
            self._anchors[cells] = anchors(cells)
        y, x, h, w = torch.from_numpy(self._anchors[cells]).unbind(1)
        dy, dx, dh, dw = (code[..., i] / _CODING[i] for i in range(4))
        y, x, half_h, half_w = y + dy * h, x + dx * w, dh.exp() * h / 2, dw.exp() * w / 2
        return torch.stack([x - half_w, y - half_h, x + half_w, y + half_h], -1)

    def _in_order(self) -> list[Any]:
        """Return the nodes between the picture and the heads, each after what it takes."""
        order: dict[str, Any] = {_INPUT: None}
        waiting = [name for head in self._heads for name in head]
        while waiting:
            name = waiting[-1]
            node = self._nodes[name]
            first = [i for i in node.input if i not in order] if name not in order else []
            waiting.extend(first)
            if not first:
                order.setdefault(waiting.pop(), node)
        for node in list(order.values())[1:]:
            if node.op not in _OPERATORS:
                raise EngineError(
                    self._name,
                    f"has the operator {node.op}, through which no gradient is taken here",
                    f"Known are: {', '.join(sorted(_OPERATORS))}.",
                )
        return list(order.values())[1:]


def anchors(cells: tuple[tuple[int, int], ...]) -> F32:
    """Return (N, 4) y, x, height, width, shares of the picture, for levels of so many rows and columns."""
    scales = [*np.linspace(*_SCALES, len(cells)).tolist(), 1.0]
    out = []
    for level, (rows, columns) in enumerate(cells):
        scale, between = scales[level], float(np.sqrt(scales[level] * scales[level + 1]))
        kinds = [(scale, aspect) for aspect in _ASPECTS] + [(between, 1.0)]
        if level == 0:
            kinds = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
        size = np.array([[s / np.sqrt(a), s * np.sqrt(a)] for s, a in kinds])
        y, x = np.meshgrid(
            (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij"
        )
        middle = np.repeat(np.stack([y, x], -1).reshape(-1, 2), len(kinds), axis=0)
        out.append(np.concatenate([middle, np.tile(size, (rows * columns, 1))], 1))
    return np.concatenate(out).astype(np.float32)


def _constant(attr: Any) -> Any:
    import torch

    tensor = attr["value"].tensor
    shape = [d.size for d in tensor.tensor_shape.dim]
    # Types as TensorFlow numbers them: 1 is float32, 3 is int32.
    values = np.frombuffer(tensor.tensor_content, {1: np.float32, 3: np.int32}[tensor.dtype])
    if not len(values):
        values = np.array(tensor.float_val or tensor.int_val)
    values = np.full(shape, values[0]) if len(values) == 1 else values.reshape(shape)
    return torch.from_numpy(values.copy()).float()


def _convolution(attr: Any, x: Tensor, kernel: Tensor) -> Tensor:
    return _convolved(attr, x, kernel.permute(3, 2, 0, 1), 1)


def _depthwise(attr: Any, x: Tensor, kernel: Tensor) -> Tensor:
    height, width, channels, each = kernel.shape
    return _convolved(
        attr, x, kernel.permute(2, 3, 0, 1).reshape(channels * each, 1, height, width), channels
    )


def _convolved(attr: Any, x: Tensor, kernel: Tensor, groups: int) -> Tensor:
    from torch.nn import functional

    x, strides = x.permute(0, 3, 1, 2), list(attr["strides"].list.i)[1:3]
    if attr["padding"].s == b"SAME":
        # What is odd is added at the end.
        over = [
            max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(x.shape[2:], strides, kernel.shape[2:])
        ]
        x = functional.pad(x, (over[1] // 2, over[1] - over[1] // 2, over[0] // 2, over[0] - over[0] // 2))
    return functional.conv2d(x, kernel, stride=strides, groups=groups).permute(0, 2, 3, 1)


_OPERATORS: dict[str, Callable[..., Any]] = {
    "Const": _constant,
    "Identity": lambda attr, x: x,
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "Relu6": lambda attr, x: x.clamp(0, 6),
    "BiasAdd": lambda attr, x, bias: x + bias,
    "Mul": lambda attr, a, b: a * b,
    "Add": lambda attr, a, b: a + b,
    "Sub": lambda attr, a, b: a - b,
    "Rsqrt": lambda attr, x: x.rsqrt(),
}


def _graph_def() -> Any:
    """Return an empty message of the part of tensorflow.GraphDef that is read here."""
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    field = descriptor_pb2.FieldDescriptorProto
    kinds = {
        "bytes": field.TYPE_BYTES, "string": field.TYPE_STRING, "int64": field.TYPE_INT64,
        "int32": field.TYPE_INT32, "float": field.TYPE_FLOAT,
    }  # fmt: skip
    file = descriptor_pb2.FileDescriptorProto(name="graph.proto", package="tensorflow", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, named, kind in fields:
            repeated, of = kind.startswith("*"), kind.lstrip("*")
            message.field.add(
                name=named,
                number=number,
                label=field.LABEL_REPEATED if repeated else field.LABEL_OPTIONAL,
                type=kinds.get(of, field.TYPE_MESSAGE),
                type_name=None if of in kinds else f".tensorflow.{of}",
            )
    # A map on the wire is a list of entries.
    node = next(m for m in file.message_type if m.name == "NodeDef")
    entry = node.nested_type.add(name="AttrEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, label=field.LABEL_OPTIONAL, type=field.TYPE_STRING)
    entry.field.add(
        name="value", number=2, label=field.LABEL_OPTIONAL, type=field.TYPE_MESSAGE,
        type_name=".tensorflow.AttrValue",
    )  # fmt: skip
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("tensorflow.GraphDef"))()


_MESSAGES = {
    "GraphDef": [(1, "node", "*NodeDef")],
    "NodeDef": [
        (1, "name", "string"), (2, "op", "string"), (3, "input", "*string"),
        (5, "attr", "*NodeDef.AttrEntry"),
    ],
    "AttrValue": [(1, "list", "ListValue"), (2, "s", "bytes"), (8, "tensor", "TensorProto")],
    "ListValue": [(3, "i", "*int64")],
    "TensorProto": [
        (1, "dtype", "int32"), (2, "tensor_shape", "TensorShapeProto"), (4, "tensor_content", "bytes"),
        (5, "float_val", "*float"), (7, "int_val", "*int32"),
    ],
    "TensorShapeProto": [(2, "dim", "*Dim")],
    "Dim": [(1, "size", "int64")],
}  # fmt: skip
"""Messages and fields of TensorFlow's graph.proto, attr_value.proto and tensor.proto; `*` is repeated."""
