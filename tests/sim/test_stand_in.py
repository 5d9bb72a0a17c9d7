"""The stand-in looks at pixels: what is painted over is lost, what is pasted in is found."""

from __future__ import annotations

import numpy as np
import pytest

from edgeguard.sim.camera import Renderer, Visible
from edgeguard.sim.scenes import build_scene
from edgeguard.types import U8, Image
from tests.sim.stand_in import SimDetector


@pytest.fixture(scope="module")
def frames() -> list[tuple[U8, dict[int, Visible]]]:
    renderer = Renderer(build_scene("car_following", 5))
    return [renderer.render(i) for i in range(0, 100, 10)]


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    common = np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None).prod()
    return float(common / ((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common))


def test_the_car_ahead_is_found_in_every_frame(frames: list[tuple[U8, dict[int, Visible]]]) -> None:
    for image, visible in frames:
        found = SimDetector().detect(Image(0, "c", image))
        cars = found.xyxy[[label == "car" for label in found.labels]]
        assert max(_iou(visible[0].xyxy, box) for box in cars) > 0.7


def test_nearly_all_that_it_finds_is_there(frames: list[tuple[U8, dict[int, Visible]]]) -> None:
    found = true = 0
    for image, visible in frames:
        boxes = SimDetector().detect(Image(0, "c", image)).xyxy
        found += len(boxes)
        true += sum(max(_iou(v.xyxy, box) for v in visible.values()) > 0.4 for box in boxes)
    assert found > 20
    assert true >= 0.95 * found


def test_painted_over_is_lost_and_pasted_is_found(frames: list[tuple[U8, dict[int, Visible]]]) -> None:
    image, visible = frames[3]
    x0, y0, x1, y1 = visible[0].xyxy.astype(int)
    car = image[y0:y1, x0:x1].copy()
    painted = image.copy()
    painted[y0:y1, x0:x1] = 95
    moved = painted.copy()
    moved[y0:y1, x0 - 100 : x1 - 100] = car
    detector = SimDetector()
    gone = detector.detect(Image(0, "c", painted)).xyxy
    assert all(_iou(visible[0].xyxy, box) < 0.3 for box in gone)
    back = detector.detect(Image(0, "c", moved)).xyxy
    assert max(_iou(visible[0].xyxy - (100, 0, 100, 0), box) for box in back) > 0.7


def test_an_empty_picture_gives_an_empty_result() -> None:
    found = SimDetector().detect(Image(7, "c", np.full((360, 640, 3), 128, np.uint8)))
    assert len(found) == 0
    assert found.stamp_ns == 7
