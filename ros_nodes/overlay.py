"""The image with what was found in it, for people: detections, alarms with their reason, and the level."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from sensor_msgs.msg import Image

from edgeguard.types import U8, Frame
from edgeguard.verdict import Level, Verdict
from ros_nodes.verdict_msg import to_time

MAX_WIDTH = 1280
MAX_BOXES = 200
"""More are not drawn: a flood must not make the picture expensive."""

_COLOUR = {Level.NOMINAL: (110, 200, 80), Level.CAUTION: (0, 165, 255), Level.FAIL_SAFE: (40, 40, 230)}
_GREY, _WHITE = (190, 190, 190), (255, 255, 255)


def to_overlay(frame: Frame, verdict: Verdict) -> Image:
    """Draw a frame that has an image; scaled down to `MAX_WIDTH`."""
    assert frame.image is not None
    bgr = frame.image.bgr
    scale = min(1.0, MAX_WIDTH / bgr.shape[1])
    picture = (
        cv2.resize(bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else bgr.copy()
    )
    if frame.detections is not None:
        for box in frame.detections.xyxy[:MAX_BOXES]:
            _outline(picture, box, scale, _GREY, 1)
    for alarm in verdict.alarms[:MAX_BOXES]:
        if alarm.subject.box is not None and _outline(
            picture, alarm.subject.box, scale, _COLOUR[alarm.level], 2
        ):
            x, y = (int(np.clip(v * scale, 0, 32767)) for v in alarm.subject.box[:2])
            _write(picture, f"{alarm.check}: {alarm.reason}", (x, max(y - 6, 30)), _COLOUR[alarm.level])
    streams = [f"{a.subject.id}: {a.reason}" for a in verdict.alarms if a.subject.box is None]
    cv2.rectangle(picture, (0, 0), (picture.shape[1], 20), _COLOUR[verdict.level], cv2.FILLED)
    _write(picture, "  ".join([verdict.level.name, *streams[:3]]), (4, 15), _WHITE)
    msg = Image(height=picture.shape[0], width=picture.shape[1], encoding="bgr8", step=3 * picture.shape[1])
    msg.header.stamp, msg.header.frame_id = to_time(verdict.stamp_ns), frame.image.frame_id
    # Assigning bytes takes seconds for a large image.
    msg.data.frombytes(picture.tobytes())
    return msg


def _outline(
    picture: U8, box: Sequence[float], scale: float, colour: tuple[int, int, int], width: int
) -> bool:
    if not np.all(np.isfinite(box)):
        return False
    x1, y1, x2, y2 = (int(np.clip(round(float(v) * scale), -9999, 9999)) for v in box)
    cv2.rectangle(picture, (x1, y1), (x2, y2), colour, width)
    return True


def _write(picture: U8, text: str, at: tuple[int, int], colour: tuple[int, int, int]) -> None:
    cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
