"""A picture of a vehicle, thrown by a lamp or shown by a screen, stands flat at one place of the road.

After B. Nassi et al., "Phantom of the ADAS: Securing Advanced Driver-Assistance Systems from Split-Second
Phantom Attacks", CCS 2020. Light is added, none is taken away: a projection cannot be darker than what it
falls on. It is fixed in the world, so that it grows as the vehicle nears it, at the rate that its place
demands; what it lacks is depth.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from edgeguard.redteam.base import Altered, AttackError
from edgeguard.redteam.edit import with_pixels
from edgeguard.redteam.phantom import car_boxes, cut, worth
from edgeguard.redteam.scout import CAR_HEIGHT_M, Scout, View, iou
from edgeguard.types import F32, F64, U8, Channel

DISTANCES_M = (18.0, 22.0, 15.0, 26.0)
"""Ranges at the window's start at which it may stand, the best first."""
LATERAL_M = (0.0, -1.0, 1.0, -2.0, 2.0, 3.0, -3.0)
LIGHT = 1.0
"""Light of the picture's white, in units of full scale."""
AMBIENT = 0.25
"""What of the scene's own light still shows on the screen or wall behind the picture."""
NEAREST_M = 4.0
"""Nearer, the vehicle has run through it and the picture is behind."""


class Projection:
    """Shows the cut of a vehicle on an upright plane at a fixed place of the world."""

    kind = "projection"
    sensor = Channel.CAMERA

    def __init__(self) -> None:
        self._sprite: F32 = np.zeros((1, 1, 4), np.float32)
        self._place: F64 = np.zeros(2)
        self._heading = 0.0

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"place_m": [round(float(v), 2) for v in self._place], "light": LIGHT, "ambient": AMBIENT}

    def prepare(self, scout: Scout) -> None:
        view = scout.ahead[0]
        if scout.rig is None or view.pose is None:
            raise AttackError(
                self.kind,
                "no camera_info or no odometry in the bag, so nothing can be fixed in the world",
                "Give a bag with sensor_msgs/CameraInfo and nav_msgs/Odometry",
            )
        self._sprite = self.picture(scout)
        self._heading = float(view.pose[2])
        for distance in DISTANCES_M:
            for lateral in LATERAL_M:
                self._place = _world(view.pose, distance, -lateral)
                if self._works(view):
                    return
        raise AttackError(
            self.kind, "at no place ahead does the engine take it for a vehicle", "Give another --start"
        )

    def picture(self, scout: Scout) -> F32:
        """Return what is shown, (H, W, 4) BGRA, alpha 0 to 1."""
        sources = [(worth(box, v), i, v, box) for i, v in enumerate(scout.ahead) for box in car_boxes(v)]
        best = max(sources, default=None, key=lambda s: s[:2])
        if best is None or best[0] <= 0 or best[2].image is None:
            raise AttackError(
                self.kind, "the engine finds no whole vehicle to cut out", "Give another --start or --engine"
            )
        return cut(best[2].image.bgr, best[3])

    def alter(self, message: Any, scout: Scout) -> Altered:
        view = scout.view
        assert view.image is not None
        shown = self._show(view)
        if shown is None:
            return Altered(None, {}, False)
        bgr, box = shown
        seen = view.with_image(bgr).vehicles.xyxy
        fooled = bool(len(seen) and iou(box, seen).max() > 0.5)
        return Altered(with_pixels(message, bgr), {"box": box}, fooled)

    def _works(self, view: View) -> bool:
        """Whether the place is free in the picture and the engine takes what is shown there for a vehicle."""
        shown = self._show(view)
        if shown is None or view.image is None:
            return False
        bgr, box = shown
        w, h = view.image.size
        if box[0] < 3 or box[2] > w - 3 or (iou(box, view.vehicles.xyxy) > 0.05).any():
            return False
        seen = view.with_image(bgr).vehicles.xyxy
        return bool(len(seen) and iou(box, seen).max() > 0.5)

    def _show(self, view: View) -> tuple[U8, F64] | None:
        """Return the picture with the projection in it and its box; None where it is out of view."""
        assert view.image is not None and view.rig is not None and view.pose is not None
        corners = self._corners(view)
        if corners is None:
            return None
        h, w = self._sprite.shape[:2]
        source = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
        homography = cv2.getPerspectiveTransform(source, corners.astype(np.float32))
        size = view.image.size
        sprite = cv2.warpPerspective(self._sprite, homography, size, flags=cv2.INTER_AREA)
        alpha = np.asarray(sprite[..., 3:], np.float32)
        scene = view.image.bgr.astype(np.float32)
        lit = scene * (AMBIENT + (1 - AMBIENT) * (1 - alpha)) + LIGHT * alpha * sprite[..., :3]
        box = np.concatenate([corners.min(0), corners.max(0)])
        return np.clip(lit, 0, 255).astype(np.uint8), box

    def _corners(self, view: View) -> F64 | None:
        """Return the picture's corners (4, 2) in the image, clockwise from top left; None where too near."""
        assert view.rig is not None and view.pose is not None
        half = CAR_HEIGHT_M * self._sprite.shape[1] / self._sprite.shape[0] / 2
        across = np.array([-np.sin(self._heading), np.cos(self._heading)])
        a, b, c = view.ground.plane
        ends = []
        for side in (half, -half):  # left first: y is left
            x, y = _vehicle(view.pose, self._place + side * across)
            z = x
            if z < NEAREST_M:
                return None
            foot = a * -y + b * z + c
            ends += [(-y, foot - CAR_HEIGHT_M, z), (-y, foot, z)]
        k = view.rig.camera.k
        p = np.array([ends[0], ends[2], ends[3], ends[1]])
        out: F64 = p[:, :2] / p[:, 2:] * (k[0, 0], k[1, 1]) + (k[0, 2], k[1, 2])
        return out


def _world(pose: F64, ahead: float, left: float) -> F64:
    """Return (2,) in the world of a place in the vehicle's frame; the camera's offset in it is let go."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    return np.array([pose[0] + c * ahead - s * left, pose[1] + s * ahead + c * left])


def _vehicle(pose: F64, place: F64) -> tuple[float, float]:
    """Return how far ahead and left of the vehicle a place of the world is, metres."""
    c, s = np.cos(pose[2]), np.sin(pose[2])
    dx, dy = place - pose[:2]
    return float(c * dx + s * dy), float(-s * dx + c * dy)
