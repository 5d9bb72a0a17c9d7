"""The world's stand-in for a trained network: it finds lamps, vests and signs by colour, in pixels alone.

It knows the world's paint and nothing of its truth. A car is a pair of equal lamps whose distance and
height over the road fit one car on level ground; from the pair follow its range and so its whole box. What
is painted over is lost, what is pasted in is found, what is half hidden is missed, and far lamps make rough
boxes. It is no measure of how a real detector does.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeguard.rig import CameraModel
from edgeguard.sim import models, scenes
from edgeguard.types import F64, U8, Detections, Image

CLASS_NAMES = ("car", "person", "stop sign")
CAMERA_HEIGHT_M = 1.45
_MAX_RANGE_M = 60.0


class SimDetector:
    """Detects the world's cars, pedestrians and stop signs; an engine like any other.

    Args:
        camera: the camera that took the images; the world's own if not given.
    """

    name = "sim_detector"
    class_names = CLASS_NAMES

    def __init__(self, camera: CameraModel | None = None) -> None:
        self._camera = camera or scenes.camera()

    def detect(self, image: Image) -> Detections:
        """Return what is in the image, boxes clipped to it, by falling score."""
        b, g, r = (np.asarray(c, np.uint8) for c in cv2.split(image.bgr))
        tail = (r > 205) & (g < 105) & (b < 105)
        head = (r > 225) & (g > 205) & (b < 222) & (r > np.minimum(b, 221) + 34)
        vest = (g > 195) & (b < 120) & (r > 110) & (r < 235)
        sign = (r > 135) & (r < 225) & (g < 70) & (b < 90)
        found = [*self._cars(tail, rear=True), *self._cars(head, rear=False), *_people(vest), *_signs(sign)]
        found.sort(key=lambda d: -d[0])
        w, h = image.size
        boxes = np.array([d[2] for d in found], np.float32).reshape(-1, 4)
        boxes = np.clip(boxes, 0, np.array([w, h, w, h], np.float32))
        score = np.array([d[0] for d in found], np.float32)
        class_id = np.array([CLASS_NAMES.index(d[1]) for d in found], np.int32)
        return Detections(image.stamp_ns, boxes, score, class_id, CLASS_NAMES)

    def close(self) -> None:
        """Release nothing."""

    def _cars(self, mask: NDArray[np.bool_], *, rear: bool) -> list[tuple[float, str, F64]]:
        """Pair lamps, best fit first; each lamp belongs to one car."""
        blobs = _blobs(mask, min_px=3)
        if len(blobs) < 2:
            return []
        left, right = (
            i.ravel() for i in np.meshgrid(np.arange(len(blobs)), np.arange(len(blobs)), indexing="ij")
        )
        a, b = blobs[left], blobs[right]
        spread = (b[:, 0] + b[:, 2] - a[:, 0] - a[:, 2]) / 2
        row = (a[:, 1] + a[:, 3] + b[:, 1] + b[:, 3]) / 4
        high = (a[:, 3] - a[:, 1] + b[:, 3] - b[:, 1]) / 2
        wide = (a[:, 2] - a[:, 0] + b[:, 2] - b[:, 0]) / 2
        focal, drop = self._camera.focal, CAMERA_HEIGHT_M - models.LAMP_HEIGHT
        with np.errstate(divide="ignore", invalid="ignore"):
            z = focal * models.LAMP_SPREAD / spread
            misfit = np.stack(
                [
                    np.abs(row - self._camera.k[1, 2] - focal * drop / z) / (2.5 + 0.12 * focal * drop / z),
                    np.abs((a[:, 3] - a[:, 1]) - (b[:, 3] - b[:, 1])) / (1.5 + 0.3 * high),
                    np.abs((a[:, 1] + a[:, 3]) - (b[:, 1] + b[:, 3])) / 2 / (1.5 + 0.3 * high),
                    np.abs(high - 0.182 * focal / z) / (1.2 + 0.3 * high),
                    np.abs(wide - 0.27 * focal / z) / (1.2 + 0.3 * wide),
                ]
            ).max(0)
        fits = (spread > 0) & (z < _MAX_RANGE_M) & (misfit < 1.0)
        found, used = [], set[int]()
        for i in np.argsort(misfit, kind="stable"):
            if not fits[i] or {int(left[i]), int(right[i])} & used:
                continue
            used |= {int(left[i]), int(right[i])}
            u = (a[i, 0] + b[i, 2]) / 2
            score = float(np.clip(0.96 - 0.25 * misfit[i] - 0.5 / high[i], 0.1, 0.99))
            found.append((score, "car", self._box(float(u), float(row[i]), float(z[i]), rear=rear)))
        return found

    def _box(self, u: float, v: float, z: float, *, rear: bool) -> F64:
        """Return the image box of a whole car, given the middle of its lamps and their range."""
        k, (length, width, height) = self._camera.k, models.CAR_SIZE
        x, y = (u - k[0, 2]) * z / k[0, 0], (v - k[1, 2]) * z / k[1, 1]
        roof, belt, road = (y + models.LAMP_HEIGHT - h for h in (height, models.BELT, 0.0))
        # The end with the lamps is the near end; the roof stands back from it.
        back = (0.5, 2.5) if rear else (1.8, 3.8)
        corners = [
            (x + s * width / 2, level, z + d)
            for s in (-1, 1)
            for level in (belt, road)
            for d in (0.0, length)
        ]
        corners += [(x + s * 0.72, roof, z + d) for s in (-1, 1) for d in back]
        p = np.array(corners)
        uv = p[:, :2] / p[:, 2:] * (k[0, 0], k[1, 1]) + (k[0, 2], k[1, 2])
        return np.concatenate([uv.min(0), uv.max(0)])


def _blobs(mask: NDArray[np.bool_], *, min_px: int, join: int = 0) -> F64:
    """Return the boxes (N, 4) of connected areas; `join` closes vertical gaps of so many pixels."""
    picture: U8 = mask.astype(np.uint8)
    if join:
        picture = np.asarray(
            cv2.morphologyEx(picture, cv2.MORPH_CLOSE, np.ones((join, 1), np.uint8)), np.uint8
        )
    _, _, stats, _ = cv2.connectedComponentsWithStats(picture, connectivity=8)
    stats = stats[1:]
    x, y, w, h, area = stats[(stats[:, 4] >= min_px)][:400].T.astype(np.float64)
    return np.stack([x, y, x + w, y + h], 1)


def _people(vest: NDArray[np.bool_]) -> list[tuple[float, str, F64]]:
    found = []
    for x0, y0, x1, y1 in _blobs(vest, min_px=8, join=5):
        w, h = x1 - x0, y1 - y0
        if not 1.5 < h / w < 4.0:
            continue
        tall = h * 350 / 121
        middle, top = (x0 + x1) / 2, y0 - tall * 74 / 350
        box = np.array([middle - 0.11 * tall, top + 0.03 * tall, middle + 0.11 * tall, top + 0.98 * tall])
        found.append((float(np.clip(0.97 - 1.6 / h, 0.2, 0.95)), "person", box))
    return found


def _signs(sign: NDArray[np.bool_]) -> list[tuple[float, str, F64]]:
    found = []
    for x0, y0, x1, y1 in _blobs(sign, min_px=30):
        w, h = x1 - x0, y1 - y0
        share = np.count_nonzero(sign[int(y0) : int(y1), int(x0) : int(x1)]) / (w * h)
        if min(w, h) < 8 or not 0.75 < w / h < 1.33 or not 0.4 < share < 0.85:
            continue
        rim = 0.05 * h
        box = np.array([x0 - rim, y0 - rim, x1 + rim, y1 + rim])
        found.append((float(np.clip(0.97 - 1.6 / h, 0.2, 0.95)), "stop sign", box))
    return found
