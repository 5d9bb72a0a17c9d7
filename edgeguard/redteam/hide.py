"""The nearest vehicle is painted out of the picture, and the engine loses it.

The digital end of the physical attacks that make a detector miss an object: S. Thys, W. Van Ranst, T.
Goedemé, "Fooling automated surveillance cameras", CVPR Workshops 2019; Y. Zhao et al., "Seeing isn't
Believing: Towards More Robust Adversarial Attack Against Real World Object Detectors", CCS 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from edgeguard.redteam.base import Altered, require_vehicle
from edgeguard.redteam.edit import with_pixels
from edgeguard.redteam.scout import Scout, View, covered, follow, iou
from edgeguard.types import F32, F64, U8, Channel

MARGINS = (0.06, 0.14, 0.25)
"""Shares of the box painted over around it, the next where the engine still sees something."""


class Hide:
    """Paints over the vehicle, frame by frame where the engine sees it, with what surrounds it."""

    kind = "hide"
    sensor = Channel.CAMERA

    def __init__(self) -> None:
        self._box: F64 | None = None
        self._rng = np.random.default_rng(0)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"target": [] if self._box is None else [round(float(v), 1) for v in self._box]}

    def prepare(self, scout: Scout) -> None:
        self._rng = np.random.default_rng([scout.seed, 12])
        self._box = require_vehicle(self.kind, scout)

    def alter(self, message: Any, scout: Scout) -> Altered:
        image, view = scout.image, scout.view
        assert image is not None and self._box is not None
        now = follow(self._box, view)
        self._box = self._box if now is None else now
        target = self._box
        record = {"box": target, "range_m": round(view.range_of(target), 2), "seen_before": now is not None}
        for margin in MARGINS:
            bgr = paint(image.bgr, target, margin, self._rng)
            if not still_there(target, view.with_image(bgr)):
                # What the engine had lost without any paint, the paint does not hide.
                return Altered(with_pixels(message, bgr), record, now is not None)
        return Altered(with_pixels(message, bgr), record, False)


def paint(bgr: U8, box: F64, margin: float, rng: np.random.Generator) -> U8:
    """Return the image with the box, and the shadow below it, filled from around.

    Args:
        margin: share of the box painted over around it.
    """
    h, w = bgr.shape[:2]
    bw, bh = box[2] - box[0], box[3] - box[1]
    x0, x1 = int(max(box[0] - margin * bw, 0)), int(min(box[2] + margin * bw, w))
    y0, y1 = int(max(box[1] - margin * bh, 0)), int(min(box[3] + (margin + 0.2) * bh, h))
    fill = _across(bgr, x0, y0, x1, y1)
    grain = rng.normal(0, 2.5, fill.shape[:2])[..., None]
    alpha = np.ones((y1 - y0, x1 - x0), np.float32)
    feather = max(int(0.04 * bw), 2)
    padded = cv2.copyMakeBorder(
        alpha, feather, 0 if y1 == h else feather, feather, feather, cv2.BORDER_CONSTANT, value=0
    )
    soft = cv2.blur(padded, (2 * feather + 1, 2 * feather + 1))[feather : feather + y1 - y0, feather:-feather]
    out = bgr.copy()
    patch = out[y0:y1, x0:x1].astype(np.float32)
    out[y0:y1, x0:x1] = np.clip(patch + soft[..., None] * (fill + grain - patch), 0, 255).astype(np.uint8)
    return out


def _across(bgr: U8, x0: int, y0: int, x1: int, y1: int) -> F32:
    """Return a filling (H, W, 3): each row runs from the colour left of it to the colour right of it.

    Road, kerb and horizon are level to a camera on a vehicle, so rows continue better than anything grown
    from all sides; the fine grain of the strips beside is laid over it.
    """
    strip = max((x1 - x0) // 10, 6)
    sides = [bgr[y0:y1, max(x0 - strip, 0) : x0], bgr[y0:y1, x1 : x1 + strip]]
    sides = [s if s.shape[1] else sides[1 - i] for i, s in enumerate(sides)]
    left, right = (
        cv2.GaussianBlur(np.median(s, axis=1).astype(np.float32), (1, 0), 0.1, sigmaY=2.0) for s in sides
    )
    t = np.linspace(0.0, 1.0, x1 - x0, dtype=np.float32)
    t = (t * t * (3 - 2 * t))[None, :, None]
    fill = left.reshape(-1, 1, 3) * (1 - t) + right.reshape(-1, 1, 3) * t
    out: F32 = fill.astype(np.float32)
    return out


def still_there(target: F64, view: View) -> bool:
    """Whether the engine sees a vehicle where the target is: the box, or most of a vehicle inside it."""
    boxes = view.vehicles.xyxy
    if not len(boxes):
        return False
    smaller = (boxes[:, 3] - boxes[:, 1]) > 0.4 * (target[3] - target[1])
    return bool(((iou(target, boxes) > 0.2) | ((covered(target, boxes) > 0.7) & smaller)).any())
