from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeguard.engine.quantize import quantize, sensitive_nodes
from edgeguard.errors import EngineError
from edgeguard.types import Image

onnx = pytest.importorskip("onnx", reason="quantising needs onnx")
FRAME = Image(0, "camera", np.zeros((32, 64, 3), np.uint8))


def test_first_last_and_depthwise_layers_stay_in_floating_point() -> None:
    helper, kinds = onnx.helper, onnx.TensorProto

    def conv(name: str, source: str, out: int, into: int) -> tuple[Any, Any]:
        weights = onnx.numpy_helper.from_array(np.zeros((out, into, 1, 1), np.float32), f"{name}_w")
        return helper.make_node("Conv", [source, f"{name}_w"], [name], name=f"{name}_node"), weights

    pairs = [conv("first", "x", 8, 3), conv("middle", "first", 8, 8), conv("depthwise", "middle", 8, 1),
             conv("inner", "depthwise", 8, 8), conv("last", "inner", 4, 8)]  # fmt: skip
    after = helper.make_node("Sigmoid", ["last"], ["y"], name="sigmoid")
    x = helper.make_tensor_value_info("x", kinds.FLOAT, [1, 3, 4, 4])
    y = helper.make_tensor_value_info("y", kinds.FLOAT, [1, 4, 4, 4])
    graph = helper.make_graph([n for n, _ in pairs] + [after], "g", [x], [y], [w for _, w in pairs])
    assert sensitive_nodes(helper.make_model(graph)) == ["depthwise_node", "first_node", "last_node"]


@pytest.mark.parametrize(
    ("frames", "method", "words"),
    [(1, "minmax", "too few"), (4, "guess", "no calibration method")],
)
def test_what_cannot_be_is_refused(
    make_engine: Any, tmp_path: Any, frames: int, method: Any, words: str
) -> None:
    with pytest.raises(EngineError, match=words):
        quantize(make_engine(), [FRAME] * frames, [FRAME], tmp_path / "out", method=method)


def test_an_engine_that_sees_nothing_cannot_be_judged(make_engine: Any, tmp_path: Any) -> None:
    path = make_engine({"out": np.zeros((1, 6, 3), np.float32)})
    with pytest.raises(EngineError, match=r"finds nothing .* cost of INT8 cannot be told"):
        quantize(path, [FRAME] * 2, [FRAME], tmp_path / "out", method="minmax")
    assert not (tmp_path / "out").exists()
