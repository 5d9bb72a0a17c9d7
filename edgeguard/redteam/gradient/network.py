"""An engine's ONNX network as a differentiable function: what gradients are taken through.

Only what plain convolutional detectors are made of; the arithmetic is the engine's own, so that what fools
this fools that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeguard.errors import EngineError

if TYPE_CHECKING:
    from torch import Tensor

Attributes = dict[str, Any]
Values = list[Any]


class Network:
    """Runs an ONNX graph with one input and one output in torch.

    Args:
        path: the model; its weights stay as they are.

    Raises:
        EngineError: the graph has an operator that is not known here.
    """

    def __init__(self, path: Path) -> None:
        import onnx
        import torch
        from onnx import helper, numpy_helper

        graph = onnx.load(str(path)).graph
        self._constants: dict[str, Any] = {
            tensor.name: torch.from_numpy(np.array(numpy_helper.to_array(tensor)))
            for tensor in graph.initializer
        }
        self._input = next(i.name for i in graph.input if i.name not in self._constants)
        self._output = graph.output[0].name
        self._steps: list[tuple[Callable[[Values, Attributes], Any], list[str], str, Attributes]] = []
        for node in graph.node:
            attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Constant":
                value = np.array(numpy_helper.to_array(attributes["value"]))
                self._constants[node.output[0]] = torch.from_numpy(value)
                continue
            if node.op_type not in _OPERATORS:
                raise EngineError(
                    path.name,
                    f"has the operator {node.op_type}, through which no gradient is taken here",
                    f"Known are: {', '.join(sorted(_OPERATORS))}.",
                )
            self._steps.append((_OPERATORS[node.op_type], list(node.input), node.output[0], attributes))

    @property
    def weights(self) -> dict[str, Tensor]:
        """The convolutions' weights and biases by their names in the graph."""
        names = [n for operator, inputs, _, _ in self._steps if operator is _conv for n in inputs[1:] if n]
        return {n: self._constants[n] for n in names}

    def __call__(self, batch: Tensor) -> Any:
        """Return the output for (B, 3, H, W)."""
        values: dict[str, Any] = {**self._constants, self._input: batch, "": None}
        for operator, names, output, attributes in self._steps:
            values[output] = operator([values[n] for n in names], attributes)
        return values[self._output]


def _conv(v: Values, a: Attributes) -> Any:
    from torch.nn import functional

    pads = a.get("pads", [0, 0, 0, 0])
    return functional.conv2d(
        v[0],
        v[1],
        v[2] if len(v) > 2 else None,
        stride=a.get("strides", [1, 1]),
        padding=pads[:2],
        dilation=a.get("dilations", [1, 1]),
        groups=a.get("group", 1),
    )


def _max_pool(v: Values, a: Attributes) -> Any:
    from torch.nn import functional

    return functional.max_pool2d(v[0], a["kernel_shape"], a.get("strides", [1, 1]), a["pads"][:2])


def _resize(v: Values, a: Attributes) -> Any:
    from torch.nn import functional

    # Both ways to say twice as large: by a factor, or by a size.
    scale = tuple(v[2].tolist()[2:]) if v[2] is not None and len(v[2]) else None
    size = None if scale else tuple(v[3].tolist()[2:])
    return functional.interpolate(
        v[0], size=size, scale_factor=scale, mode=a.get("mode", b"nearest").decode()
    )


def _slice(v: Values, a: Attributes) -> Any:
    starts, ends = v[1].tolist(), v[2].tolist()
    axes = v[3].tolist() if len(v) > 3 else list(range(len(starts)))
    steps = v[4].tolist() if len(v) > 4 else [1] * len(starts)
    index: list[Any] = [slice(None)] * v[0].ndim
    for axis, start, end, step in zip(axes, starts, ends, steps):
        index[axis] = slice(start, end, step)
    return v[0][tuple(index)]


def _concat(v: Values, a: Attributes) -> Any:
    import torch

    return torch.cat(v, a["axis"])


def _reshape(v: Values, a: Attributes) -> Any:
    shape = v[1].tolist()[1:]
    # Batch and picture are the caller's, whatever the graph was exported with: maps become rows of cells.
    return v[0].flatten(2) if v[0].ndim == 4 and len(shape) == 2 else v[0].reshape(len(v[0]), *shape)


_OPERATORS: dict[str, Callable[[Values, Attributes], Any]] = {
    "Conv": _conv,
    "MaxPool": _max_pool,
    "Resize": _resize,
    "Slice": _slice,
    "Concat": _concat,
    "Reshape": _reshape,
    "Sigmoid": lambda v, a: v[0].sigmoid(),
    "Relu": lambda v, a: v[0].relu(),
    "Mul": lambda v, a: v[0] * v[1],
    "Add": lambda v, a: v[0] + v[1],
    "Transpose": lambda v, a: v[0].permute(a["perm"]),
}
