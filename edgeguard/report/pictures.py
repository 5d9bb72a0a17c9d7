"""The camera's image at an alarm: the scene with what was detected, and the subject close up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edgeguard.types import U8, Frame
from edgeguard.verdict import Alarm

SCENE_WIDTH = 960
CLOSE_UP = 280
_GREY, _WHITE, _RED, _AMBER = (190, 190, 190), (255, 255, 255), (40, 40, 230), (0, 165, 255)

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Picture:
    """JPEG bytes.

    Attributes:
        scene: the whole image, annotated.
        close_up: the subject with its surroundings, not annotated; None where it has no box in the image.
    """

    scene: bytes
    close_up: bytes | None


def take_picture(frame: Frame, alarm: Alarm, alarms: Sequence[Alarm]) -> Picture:
    """Draw the frame at the onset of `alarm`: its subject red, other alarms' amber, detections grey."""
    assert frame.image is not None
    bgr = frame.image.bgr
    scale = min(1.0, SCENE_WIDTH / bgr.shape[1])
    scene = cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if frame.detections is not None:
        for xyxy in frame.detections.xyxy[:100]:
            _outline(scene, tuple(float(v) for v in xyxy), scale, _GREY, 1)
    for other in alarms:
        if other.subject.box is not None and other is not alarm:
            _outline(scene, other.subject.box, scale, _AMBER, 1)
    close_up = None
    if alarm.subject.box is not None:
        close_up = _close_up(bgr, alarm.subject.box)
        _outline(scene, alarm.subject.box, scale, _RED, 2)
        _label(scene, str(alarm.subject), alarm.subject.box, scale)
    return Picture(_jpeg(scene), close_up)


def _outline(
    picture: np.ndarray, box: Sequence[float], scale: float, colour: tuple[int, int, int], width: int
) -> None:
    if np.all(np.isfinite(box)):
        x1, y1, x2, y2 = (int(np.clip(round(v * scale), -9999, 9999)) for v in box)
        cv2.rectangle(picture, (x1, y1), (x2, y2), colour, width, cv2.LINE_AA)


def _label(picture: np.ndarray, text: str, box: Box, scale: float) -> None:
    if not np.all(np.isfinite(box)):
        return
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)
    x = int(np.clip(box[0] * scale, 0, max(0, picture.shape[1] - width - 6)))
    y = int(np.clip(box[1] * scale - 5, height + 6, picture.shape[0] - 4))
    cv2.rectangle(picture, (x, y - height - 5), (x + width + 6, y + 4), _RED, cv2.FILLED)
    cv2.putText(picture, text, (x + 3, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, _WHITE, 1, cv2.LINE_AA)


def _close_up(bgr: U8, box: Box) -> bytes | None:
    """The box with half its size around it, at most `CLOSE_UP` pixels in either direction."""
    if not np.all(np.isfinite(box)):
        return None
    x1, y1, x2, y2 = box
    dx, dy = 0.5 * max(x2 - x1, 8.0), 0.5 * max(y2 - y1, 8.0)
    height, width = bgr.shape[:2]
    left, right = (int(np.clip(v, 0, width)) for v in (x1 - dx, x2 + dx))
    top, bottom = (int(np.clip(v, 0, height)) for v in (y1 - dy, y2 + dy))
    if right - left < 4 or bottom - top < 4:
        return None
    part = bgr[top:bottom, left:right]
    scale = CLOSE_UP / max(part.shape[:2])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return _jpeg(cv2.resize(part, None, fx=scale, fy=scale, interpolation=how))


def _jpeg(picture: np.ndarray) -> bytes:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 82])
    return data.tobytes()
