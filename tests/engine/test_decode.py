"""Each decoder through a real ONNX Runtime session whose answer is known, against boxes computed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from edgeguard.engine import open_engine
from edgeguard.errors import EngineError
from edgeguard.types import Detections, Image

PLAIN = {"resize": {"rule": "stretch"}}


def detect(path: Any, width: int = 64, height: int = 32) -> Detections:
    engine = open_engine(path)
    found = engine.detect(Image(7, "camera", np.full((height, width, 3), 90, np.uint8)))
    engine.close()
    return found


def test_yolox(make_engine: Any) -> None:
    # 64 x 32: strides 8, 16, 32 give 8 x 4 + 4 x 2 + 2 x 1 = 42 cells.
    raw = np.full((1, 42, 7), -20, np.float32)
    raw[..., 4:] = 0
    # Row 32 + 4 + 2 is cell (2, 1) of stride 16: centre (2.5, 1.25) * 16, size (e^0, e^-1) * 16.
    raw[0, 38] = [0.5, 0.25, 0.0, -1.0, 0.9, 0.1, 0.8]
    # Row 41 is cell (1, 0) of stride 32: objectness 0.5 times class 0.5 is below 0.3.
    raw[0, 41] = [0.5, 0.5, 0.0, 0.0, 0.5, 0.5, 0.0]
    found = detect(make_engine({"out": raw}, decoder="yolox", input=PLAIN))
    half = 8 * np.exp(-1)
    assert_allclose(found.xyxy, [[40 - 8, 20 - half, 40 + 8, 20 + half]], rtol=1e-5)
    assert_allclose(found.score, [0.72], rtol=1e-6)
    assert found.labels == ["person"]
    assert found.stamp_ns == 7


def test_yolo_head_suppresses_within_a_class_only(make_engine: Any) -> None:
    raw = np.zeros((1, 6, 5), np.float32)
    raw[0, :, 0] = [20, 10, 20, 10, 0.9, 0.1]
    raw[0, :, 1] = [21, 10, 20, 10, 0.8, 0.1]  # IoU with the first is 19 / 21
    raw[0, :, 2] = [21, 10, 20, 10, 0.1, 0.7]  # the same box, another class
    raw[0, :, 3] = [50, 20, 10, 10, 0.0, 0.31]
    raw[0, :, 4] = [50, 20, 10, 10, 0.29, 0.0]
    found = detect(make_engine({"out": raw}, decoder="yolo", input=PLAIN))
    assert found.labels == ["car", "person", "person"]
    assert_allclose(found.score, [0.9, 0.7, 0.31])
    assert_allclose(found.xyxy, [[10, 5, 30, 15], [11, 5, 31, 15], [45, 15, 55, 25]])


def test_yolo_end_to_end_is_not_suppressed_again(make_engine: Any) -> None:
    raw = np.zeros((1, 4, 6), np.float32)
    raw[0, 0] = [10, 5, 30, 15, 0.9, 0]
    raw[0, 1] = [11, 5, 30, 15, 0.6, 0]
    raw[0, 2] = [0, 0, 5, 5, 0.2, 1]
    found = detect(make_engine({"out": raw}, decoder="yolo_end2end", input=PLAIN))
    assert_allclose(found.xyxy, [[10, 5, 30, 15], [11, 5, 30, 15]])
    assert found.labels == ["car", "car"]


def test_rtdetr_raw_whatever_the_order_of_its_outputs(make_engine: Any) -> None:
    boxes = np.array([[[0.5, 0.5, 0.25, 0.5], [0.1, 0.1, 0.1, 0.1]]], np.float32)
    logits = np.array([[[-5.0, 1.0], [-5.0, -5.0]]], np.float32)
    for i, outputs in enumerate(
        ({"logits": logits, "pred_boxes": boxes}, {"pred_boxes": boxes, "logits": logits})
    ):
        found = detect(make_engine(outputs, name=f"m{i}", decoder="rtdetr", input=PLAIN))
        assert_allclose(found.xyxy, [[24, 8, 40, 24]])
        assert_allclose(found.score, [1 / (1 + np.exp(-1))], rtol=1e-6)
        assert found.labels == ["person"]


def test_rtdetr_with_as_many_classes_as_box_sides(make_engine: Any) -> None:
    boxes = np.array([[[0.5, 0.5, 0.25, 0.5]]], np.float32)
    logits = np.array([[[-5.0, -5.0, 1.0, -5.0]]], np.float32)
    path = make_engine(
        {"logits": logits, "boxes": boxes}, decoder="rtdetr", input=PLAIN, classes=["a", "b", "c", "d"]
    )
    assert detect(path).labels == ["c"]


def test_rtdetr_as_its_authors_export_it(make_engine: Any) -> None:
    outputs = {
        "labels": np.array([[1, 0]], np.int64),
        "boxes": np.array([[[1, 2, 30, 20], [0, 0, 9, 9]]], np.float32),
        "scores": np.array([[0.8, 0.1]], np.float32),
    }
    constants = {"orig_target_sizes": [64, 32]}
    path = make_engine(
        outputs,
        decoder="rtdetr",
        inputs={"orig_target_sizes": (1, 2)},
        input={**PLAIN, "constants": constants},
    )
    found = detect(path, 128, 32)
    assert_allclose(found.xyxy, [[2, 2, 60, 20]])
    assert found.labels == ["person"]


def test_an_input_that_nobody_feeds_is_named(make_engine: Any) -> None:
    path = make_engine(inputs={"orig_target_sizes": (1, 2)})
    with pytest.raises(EngineError, match=r"images, orig_target_sizes.*input\.constants"):
        open_engine(path)


def test_tensorflow_ssd(make_engine: Any) -> None:
    raw = np.zeros((1, 1, 3, 7), np.float32)
    raw[0, 0, 0] = [0, 2, 0.9, 0.25, 0.25, 0.5, 0.75]
    raw[0, 0, 1] = [0, 1, 0.8, 0.0, 0.0, 0.5, 0.5]  # a number without a class
    raw[0, 0, 2] = [0, 2, 0.2, 0.0, 0.0, 0.5, 0.5]
    path = make_engine({"out": raw}, decoder="ssd", input=PLAIN, classes=["", "", "Person"])
    found = detect(path)
    assert_allclose(found.xyxy, [[16, 8, 32, 24]])
    assert found.labels == ["person"]
    assert found.class_names == ("person",)


@pytest.mark.parametrize("decoder", ["yolox", "yolo", "yolo_end2end", "rtdetr", "ssd"])
def test_outputs_that_the_decoder_does_not_know_are_named(make_engine: Any, decoder: str) -> None:
    path = make_engine({"out": np.zeros((1, 5, 11), np.float32)}, decoder=decoder)
    with pytest.raises(EngineError, match=rf"decoder {decoder}.*\(1, 5, 11\)"):
        detect(path)


@pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_no_detection(make_engine: Any, poison: float) -> None:
    raw = np.zeros((1, 6, 3), np.float32)
    raw[0, :, 0] = [20, 10, poison, 10, 0.9, 0.1]
    raw[0, :, 1] = [20, 10, 20, 10, poison, 0.1]
    raw[0, :, 2] = [20, 10, 20, 10, 0.8, 0.1]
    found = detect(make_engine({"out": raw}, decoder="yolo", input=PLAIN))
    assert_allclose(found.xyxy, [[10, 5, 30, 15]])
    assert_allclose(found.score, [0.8])


def test_no_more_than_the_best(make_engine: Any) -> None:
    raw = np.zeros((1, 6, 3000), np.float32)
    raw[0, 0] = np.arange(3000) % 60
    raw[0, 1] = np.arange(3000) // 60 * 0.6
    raw[0, 2:4] = 0.5
    raw[0, 4] = 0.5 + np.arange(3000) / 10000
    found = detect(make_engine({"out": raw}, decoder="yolo", input=PLAIN, thresholds={"max_detections": 50}))
    assert len(found) == 50
    assert_allclose(found.score, raw[0, 4, ::-1][:50])
