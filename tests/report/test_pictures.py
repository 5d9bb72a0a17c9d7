from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from edgeguard.report.pictures import CLOSE_UP, SCENE_WIDTH, take_picture
from edgeguard.types import Frame, Image
from edgeguard.verdict import Subject, SubjectKind

from .conftest import alarm


def frame(width: int = 200, height: int = 100) -> Frame:
    return Frame(0, 0, image=Image(0, "camera", np.full((height, width, 3), 90, np.uint8)))


def decode(jpeg: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def of(box: tuple[float, float, float, float] | None) -> Subject:
    return Subject(SubjectKind.TRACK, 1, "car", box)


def test_subject_is_marked_in_the_scene_and_shown_unmarked_close_up() -> None:
    image = frame()
    assert image.image is not None
    image.image.bgr[40:80, 80:120] = (0, 255, 0)
    the_alarm = alarm(subject=of((80.0, 40.0, 120.0, 80.0)))
    picture = take_picture(image, the_alarm, [the_alarm])
    scene = decode(picture.scene)
    assert scene.shape == (100, 200, 3)
    blue, green, red = scene[60, 80].astype(int)  # on the box's left edge
    assert red > 150 and red > green + 50
    assert picture.close_up is not None
    close = decode(picture.close_up)
    assert max(close.shape[:2]) == CLOSE_UP
    assert tuple(close[close.shape[0] // 2, close.shape[1] // 2] // 128) == (0, 1, 0)


def test_a_large_image_is_made_smaller() -> None:
    the_alarm = alarm(subject=of(None))
    assert decode(take_picture(frame(1920, 400), the_alarm, [the_alarm]).scene).shape == (200, SCENE_WIDTH, 3)


@pytest.mark.parametrize(
    "box",
    [
        None,
        (math.nan, 0.0, 1.0, 1.0),
        (math.inf, 0.0, 1.0, 1.0),
        (-500.0, -500.0, -400.0, -400.0),
        (1e30, 1e30, 2e30, 2e30),
    ],
)
def test_a_subject_with_no_place_in_the_image_has_no_close_up(box) -> None:
    the_alarm = alarm(subject=of(box))
    picture = take_picture(frame(), the_alarm, [the_alarm, alarm(track=9)])
    assert picture.close_up is None
    assert decode(picture.scene).shape == (100, 200, 3)
