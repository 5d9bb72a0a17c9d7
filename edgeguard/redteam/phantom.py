"""A vehicle cut from the recording stands on the road where there is none.

What a projector, a screen or an injected picture does: B. Nassi et al., "Phantom of the ADAS: Securing
Advanced Driver-Assistance Systems from Split-Second Phantom Attacks", CCS 2020; the cut is C. Rother, V.
Kolmogorov, A. Blake, "GrabCut", SIGGRAPH 2004.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from edgeguard.redteam.base import Altered, AttackError
from edgeguard.redteam.edit import with_pixels
from edgeguard.redteam.place import Place, find_place
from edgeguard.redteam.scout import Scout, View, iou
from edgeguard.rig import Rig
from edgeguard.types import F32, F64, U8, Channel

NEAREST_M = 6.0
DEPTH_M = 0.5
"""A picture is flat: this much road is enough for it."""
GRAZE_M = -0.25
"""A picture may overlap its neighbours by so much on each side."""
STRAYS = 0.1
"""Share of the rays towards it that may end on something else there: what a picture overlaps, it covers."""
LARGEST_ZOOM = 1.6
"""Enlarged more, a cut looks blurred."""


class Phantom:
    """Pastes the cut at a fixed place before the vehicle, as large and as low as that range demands."""

    kind = "phantom"
    sensor = Channel.CAMERA

    def __init__(self) -> None:
        self.place: Place | None = None
        self._sprite: F32 = np.zeros((1, 1, 4), np.float32)
        self._source: F64 = np.zeros(4)
        self._lift = 0.0

    @property
    def parameters(self) -> Mapping[str, Any]:
        assert self.place is not None
        foot = [round(float(v), 2) for v in self.place.foot]
        return {"foot_m": foot, "cut_from": [round(float(v), 1) for v in self._source]}

    def prepare(self, scout: Scout) -> None:
        if scout.rig is None:
            raise AttackError(
                self.kind,
                "no camera_info in the bag, so no perspective to obey",
                "Give a bag with sensor_msgs/CameraInfo and /tf_static",
            )
        source = max(
            ((worth(box, view), i, view) for i, view in enumerate(scout.ahead) for box in car_boxes(view)),
            default=None,
            key=lambda s: s[:2],
        )
        if source is None or source[0] <= 0:
            raise AttackError(
                self.kind, "the engine finds no whole vehicle to cut out", "Give another --start or --engine"
            )
        view = source[2]
        self._source = max(car_boxes(view), key=lambda box: worth(box, view))
        assert view.image is not None
        self._sprite = cut(view.image.bgr, self._source)
        # As large as it is at its true range: a metre of it stays a metre.
        distance = view.range_of(self._source)
        metres = distance / scout.rig.camera.focal
        self._lift = _underside(scout.rig, view, self._source, distance)
        size = (DEPTH_M, self._sprite.shape[1] * metres, self._sprite.shape[0] * metres)
        nearest = max(NEAREST_M, distance / LARGEST_ZOOM)
        self.place = find_place(
            scout.rig, scout.ahead, size, nearest_m=nearest, clearance_m=GRAZE_M, strays=STRAYS
        )
        if self.place is None:
            raise AttackError(self.kind, "no free road in view during the window", "Give another --start")

    def alter(self, message: Any, scout: Scout) -> Altered:
        image, place = scout.image, self.place
        assert image is not None and place is not None
        assert scout.rig is not None
        lift = scout.rig.camera.focal * self._lift / float(place.foot[2])
        box = place.box - (0.0, lift, 0.0, lift)
        bgr = paste(image.bgr, self._sprite, box, lift)
        seen = scout.view.with_image(bgr).vehicles.xyxy
        fooled = bool(len(seen) and iou(box, seen).max() > 0.5)
        return Altered(with_pixels(message, bgr), {"box": box, "center": place.foot}, fooled)


def car_boxes(view: View) -> F64:
    """Return the boxes (N, 4) of the cars that the engine sees."""
    names = view.vehicles.labels
    return view.vehicles.xyxy[[name == "car" for name in names]].astype(np.float64)


def _underside(rig: Rig, view: View, box: F64, distance: float) -> float:
    """Return how high above the road the lower edge of a box lies at the range of its near face, metres.

    A car's wheels stand behind its bumper, so its box ends a little above the road under the bumper.
    """
    k = rig.camera.k
    a, b, c = view.ground.plane
    x = ((box[0] + box[2]) / 2 - k[0, 2]) * distance / k[0, 0]
    road = a * x + b * distance + c
    return float(np.clip(road - (box[3] - k[1, 2]) * distance / k[1, 1], 0.0, 0.5))


def worth(box: F64, view: View) -> float:
    """Return how good a source a vehicle is: large, whole, not overlapped by another detection."""
    assert view.image is not None
    w, h = view.image.size
    whole = box[0] > 3 and box[1] > 3 and box[2] < w - 3 and box[3] < h - 3
    shape = (box[2] - box[0]) / (box[3] - box[1])
    if not whole or not 0.8 < shape < 2.2:
        return 0.0
    overlap = float(np.sort(iou(box, view.detections.xyxy))[:-1].sum())
    return float(min(box[3] - box[1], 160.0)) * max(1.0 - 2.0 * overlap, 0.0)


def cut(bgr: U8, box: F64) -> F32:
    """Return the thing in a box as (H, W, 4) BGRA, alpha 0 to 1, as large as the box.

    The mask is GrabCut's largest piece; where that holds less than half the box, the box with round corners.
    """
    x0, y0, x1, y1 = (round(float(v)) for v in box)
    pad = max((x1 - x0) // 4, 8)
    a, b = max(x0 - pad, 0), min(x1 + pad, bgr.shape[1])
    c, d = max(y0 - pad, 0), min(y1 + pad, bgr.shape[0])
    crop = np.ascontiguousarray(bgr[c:d, a:b])
    mask = np.full(crop.shape[:2], cv2.GC_BGD, np.uint8)
    rect = mask[y0 - c : y1 - c, x0 - a : x1 - a]
    rect[:] = cv2.GC_PR_FGD
    h, w = rect.shape
    rect[int(0.3 * h) : int(0.93 * h), int(0.12 * w) : int(0.88 * w)] = cv2.GC_FGD
    cv2.setRNGSeed(0)  # GrabCut's k-means draws from OpenCV's global generator
    cv2.grabCut(crop, mask, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    solid = np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8)
    solid = np.asarray(cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8)), np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(solid)
    if len(stats) < 2 or stats[1:, 4].max() < 0.5 * w * h:
        solid[:] = 0
        cv2.rectangle(solid, (x0 - a + 2, y0 - c + 2), (x1 - a - 2, y1 - c - 2), 1, -1)
    else:
        solid = (labels == 1 + int(np.argmax(stats[1:, 4]))).astype(np.uint8)
    alpha = cv2.GaussianBlur(solid.astype(np.float32), (5, 5), 0)
    sprite = np.dstack([crop.astype(np.float32), alpha])
    return sprite[y0 - c : y1 - c, x0 - a : x1 - a].astype(np.float32)


def paste(bgr: U8, sprite: F32, box: F64, lift: float = 0.0) -> U8:
    """Return the image with a sprite scaled into a box, its shadow on the road `lift` pixels below."""
    h, w = bgr.shape[:2]
    size = max(round(float(box[2] - box[0])), 2), max(round(float(box[3] - box[1])), 2)
    scaled = cv2.resize(
        sprite, size, interpolation=cv2.INTER_AREA if size[0] < sprite.shape[1] else cv2.INTER_LINEAR
    )
    out = bgr.astype(np.float32)
    shade = np.zeros((h, w), np.float32)
    middle = (round(float(box[0] + box[2]) / 2), round(float(box[3]) + lift / 2) - 1)
    cv2.ellipse(
        shade, middle, (int(0.54 * size[0]), max(int(0.05 * size[1] + lift / 2), 2)), 0, 0, 360, 0.6, -1
    )
    out *= 1 - cv2.GaussianBlur(shade, (0, 0), max(0.02 * size[1], 1.0))[..., None]
    x0, y0 = round(float(box[0])), round(float(box[3])) - size[1]
    a, b, c, d = max(-x0, 0), max(-y0, 0), min(w - x0, size[0]), min(h - y0, size[1])
    part = scaled[b:d, a:c]
    roi = out[y0 + b : y0 + d, x0 + a : x0 + c]
    roi += part[..., 3:] * (part[..., :3] - roi)
    return np.clip(out, 0, 255).astype(np.uint8)
