"""What stays in floating point is read as it was, and no more stays there than has to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.engine import mixed
from edgeguard.engine.mixed import fewest, int8_layers, leave_in_float, multiply_accumulates
from edgeguard.errors import EngineError

onnx = pytest.importorskip("onnx", reason="quantising needs onnx")


def network() -> Any:
    """Two 1 x 1 convolutions in INT8 and a sum that ONNX Runtime lets read what the first one reads."""
    helper, kinds = onnx.helper, onnx.TensorProto
    arrays = {
        "scale": np.array(0.5, np.float32), "zero": np.array(0, np.int8),
        "a_w": np.full((4, 3, 1, 1), 0.3, np.float32), "b_w": np.full((3, 4, 1, 1), 0.3, np.float32),
    }  # fmt: skip

    def pair(name: str) -> list[Any]:
        level = ["scale", "zero"]
        return [
            helper.make_node("QuantizeLinear", [name, *level], [f"{name}_q"], name=f"{name}_Q"),
            helper.make_node("DequantizeLinear", [f"{name}_q", *level], [f"{name}_dq"], name=f"{name}_DQ"),
        ]

    nodes = [
        *pair("x"), *pair("a_w"), helper.make_node("Conv", ["x_dq", "a_w_dq"], ["a"], name="a"),
        *pair("a"), *pair("b_w"), helper.make_node("Conv", ["a_dq", "b_w_dq"], ["b"], name="b"),
        helper.make_node("Add", ["b", "x_dq"], ["y"], name="sum"),
    ]  # fmt: skip
    x = helper.make_tensor_value_info("x", kinds.FLOAT, ["n", 3, 2, 5])
    y = helper.make_tensor_value_info("y", kinds.FLOAT, ["n", 3, 2, 5])
    weights = [onnx.numpy_helper.from_array(v, k) for k, v in arrays.items()]
    opset = [helper.make_opsetid("", 13)]
    return helper.make_model(helper.make_graph(nodes, "g", [x], [y], weights), opset_imports=opset)


def inputs(model: Any, name: str) -> list[str]:
    return next(list(n.input) for n in model.graph.node if n.name == name)


def test_all_but_layers_read_what_was_not_quantised() -> None:
    model = leave_in_float(network(), ())
    assert int8_layers(model) == ["a", "b"]
    assert inputs(model, "sum") == ["b", "x"]
    onnx.checker.check_model(model)


def test_a_layer_left_in_floating_point_takes_its_quantisation_along() -> None:
    model = leave_in_float(network(), {"a"})
    assert int8_layers(model) == ["b"]
    assert inputs(model, "a") == ["x", "a_w"]
    assert {n.name for n in model.graph.node} == {"a", "a_Q", "a_DQ", "b_w_Q", "b_w_DQ", "b", "sum"}
    none = leave_in_float(network(), {"a", "b"})
    assert {n.name for n in none.graph.node} == {"a", "b", "sum"}
    assert {w.name for w in none.graph.initializer} == {"a_w", "b_w"}
    assert len(network().graph.node) == 11


def test_work_is_counted_for_one_image() -> None:
    assert multiply_accumulates(network()) == {"a": 4 * 3 * 10, "b": 3 * 4 * 10}


@given(st.integers(0, 40).flatmap(lambda most: st.tuples(st.just(most), st.integers(0, most))))
def test_the_fewest_that_hold_are_found(case: tuple[int, int]) -> None:
    most, least = case
    assert fewest(most, lambda n: n >= least) == least


def test_the_worst_layers_are_given_back_until_the_loss_is_within_the_limit(
    make_engine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edgeguard.engine.spec import load_spec
    from edgeguard.types import Detections, Image

    loaded = load_spec(make_engine())
    names = loaded.labels

    def found(model: Any) -> Detections:
        """Layer `b` shifts the box by two of its ten pixels, and `a` by a quarter of one."""
        int8 = int8_layers(model)
        shift = 2.0 * ("b" in int8) + 0.25 * ("a" in int8)
        box = np.array([[shift, 0, 10 + shift, 10]], np.float32)
        return Detections(0, box, np.array([0.9], np.float32), np.array([0], np.int32), names)

    monkeypatch.setattr(mixed, "_detect", lambda _, file, of: [found(onnx.load(str(file)))] * len(of))
    frames = [Image(0, "camera", np.zeros((32, 64, 3), np.uint8))] * 3

    def settle(max_loss: float) -> mixed.Mixture:
        return mixed.settle(loaded, network(), tmp_path / "m.onnx", frames, max_loss, lambda *_: None)

    told = settle(0.05)
    assert told == mixed.Mixture(int8=("a",), left=("b",), share=0.5)
    assert int8_layers(onnx.load(str(tmp_path / "m.onnx"))) == ["a"]
    assert settle(1.0) == mixed.Mixture(int8=("a", "b"), left=(), share=1.0)
    monkeypatch.setattr(mixed, "KEPT_IOU", 0.99)
    with pytest.raises(EngineError, match="with any of its layers in INT8"):
        settle(0.05)
