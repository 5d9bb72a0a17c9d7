"""The camera is turned a little at a time, and nobody tells the calibration.

A mount loosened or pushed on purpose. A turn about the optical centre moves pixels by the homography K R K^-1
whatever stands in the scene (R. Hartley, A. Zisserman, "Multiple View Geometry in Computer Vision", ch. 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from edgeguard.redteam.base import Altered, AttackError
from edgeguard.redteam.edit import with_pixels
from edgeguard.redteam.scout import Scout
from edgeguard.types import F64, U8, Channel

RATE_DEG_S = 1.0
MOST_DEG = 4.0
HARMFUL_DEG = 2.0
"""Less than this is within what mounts do by themselves: at 30 m it is a metre."""


class Decalibrate:
    """Turns the picture about the vertical, slowly, up to a few degrees."""

    kind = "decalibrate"
    sensor = Channel.CAMERA

    def __init__(self) -> None:
        self._k: F64 = np.eye(3)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"rate_deg_s": RATE_DEG_S, "most_deg": MOST_DEG}

    def prepare(self, scout: Scout) -> None:
        if scout.rig is None:
            raise AttackError(
                self.kind, "no camera_info in the bag, so no angle to turn by", "Give a bag with one"
            )
        self._k = scout.rig.camera.k

    def alter(self, message: Any, scout: Scout) -> Altered:
        assert scout.image is not None
        degrees = min(RATE_DEG_S * scout.elapsed_s, MOST_DEG)
        bgr = turned(scout.image.bgr, self._k, yaw_deg=degrees)
        return Altered(with_pixels(message, bgr), {"turned_deg": round(degrees, 3)}, degrees >= HARMFUL_DEG)


def turned(bgr: U8, k: F64, *, yaw_deg: float = 0.0, pitch_deg: float = 0.0, roll_deg: float = 0.0) -> U8:
    """Return the picture of the same camera turned about its optical axes; what it never saw is mirrored.

    Args:
        k: (3, 3) camera matrix.
        yaw_deg, pitch_deg, roll_deg: about y (down), x (right) and z (forward) of the optical frame.
    """
    vector = np.deg2rad([pitch_deg, yaw_deg, roll_deg])
    rotation = np.asarray(cv2.Rodrigues(vector)[0], np.float64)
    homography = k @ rotation.T @ np.linalg.inv(k)
    size = bgr.shape[1], bgr.shape[0]
    out = cv2.warpPerspective(
        bgr, homography, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    return np.asarray(out, np.uint8)
