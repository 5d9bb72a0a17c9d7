"""A print on a thing in a picture: where it sits, in what light, how sharp; without torch."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgeguard.types import F32, F64, U8

BLACK, WHITE = 0.06, 0.92
"""What ink and paper give back of the light, as shares of the darkest to the brightest thing around."""
SOFTNESS_PX = 0.5
"""Standard deviation of the lens and sensor's blur, pixels."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where on a thing's box the print sits, in shares of the box.

    Attributes:
        x, y: its middle.
        width, height: its size.
        octagon: it is cut to the octagon that fits into it.
    """

    x: float
    y: float
    width: float
    height: float
    octagon: bool = False

    def on(self, box: F64) -> F64:
        """Return the (4, 2) corners on a box (4,): left top, right top, right bottom, left bottom."""
        size = box[2:] - box[:2]
        middle = box[:2] + size * (self.x, self.y)
        half = size * (self.width, self.height) / 2
        return np.asarray(middle + half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]), np.float64)


@dataclass(frozen=True, slots=True)
class Light:
    """The grey values of what is darkest and brightest around a thing."""

    low: float
    high: float

    @classmethod
    def around(cls, bgr: U8, box: F64) -> Light:
        """Measure it in a box and half of it on each side."""
        grow = (box[2:] - box[:2]) / 2
        x0, y0 = np.maximum(box[:2] - grow, 0).astype(int)
        x1, y1 = np.maximum(box[2:] + grow, 0).astype(int)
        around = bgr[y0:y1, x0:x1]
        # What has left the picture is lit like all of it.
        grey = np.asarray(cv2.cvtColor(around if around.size else bgr, cv2.COLOR_BGR2GRAY), np.uint8)
        low, high = np.percentile(grey, (2, 98))
        return cls(float(low), max(float(high), float(low) + 20.0))

    def after(self, other: Light, share: float = 0.2) -> Light:
        """Return the light where this one follows upon another: it changes slowly."""
        return Light(
            other.low + share * (self.low - other.low), other.high + share * (self.high - other.high)
        )


def put(
    bgr: U8, texture: U8, corners: F64, light: Light, *, opacity: float = 1.0, octagon: bool = False
) -> U8:
    """Return the picture with a print on it.

    Args:
        texture: (h, w, 3) uint8 BGR.
        corners: (4, 2) pixels: left top, right top, right bottom, left bottom.
        opacity: 1 is ink on paper, less lets through what is behind.
        octagon: the print is cut to the octagon that fits into it.
    """
    x0, y0 = np.maximum(np.floor(corners.min(0)).astype(int) - 2, 0)
    x1, y1 = np.minimum(np.ceil(corners.max(0)).astype(int) + 3, bgr.shape[1::-1])
    if x1 - x0 < 2 or y1 - y0 < 2:
        return bgr
    u, v, alpha = shares(corners, int(x0), int(y0), int(x1), int(y1), octagon=octagon)
    across, down = np.ptp(corners[:, 0]), np.ptp(corners[:, 1])
    h, w = texture.shape[:2]
    w, h = min(w, max(round(float(across)), 1)), min(h, max(round(float(down)), 1))
    small = cv2.resize(texture, (w, h), interpolation=cv2.INTER_AREA)
    ink = np.asarray(
        cv2.remap(small, u * w - 0.5, v * h - 0.5, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        np.float32,
    )
    shown = light.low + (light.high - light.low) * (BLACK + (WHITE - BLACK) * ink / 255)
    alpha = alpha[..., None] * np.float32(opacity)
    roi = bgr[y0:y1, x0:x1].astype(np.float32)
    mixed = roi + alpha * (cv2.GaussianBlur(shown, (0, 0), SOFTNESS_PX) - roi)
    out = bgr.copy()
    out[y0:y1, x0:x1] = np.clip(mixed + 0.5, 0, 255).astype(np.uint8)
    return out


def shares(
    corners: F64, x0: int, y0: int, x1: int, y1: int, *, octagon: bool = False
) -> tuple[F32, F32, F32]:
    """Return, per pixel of a window, where on the print it falls (0 to 1 each way) and how much on it."""
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    to_print = cv2.getPerspectiveTransform(corners.astype(np.float32), square)
    columns, rows = np.meshgrid(np.arange(x0, x1) + 0.5, np.arange(y0, y1) + 0.5)
    u, v, w = np.einsum("ij,jkl->ikl", to_print, np.stack([columns, rows, np.ones_like(rows)]))
    u, v = u / w, v / w
    # A pixel on the edge is covered by the share of it that lies within.
    across, down = np.ptp(corners[:, 0]), np.ptp(corners[:, 1])
    edge = np.minimum((0.5 - np.abs(u - 0.5)) * across, (0.5 - np.abs(v - 0.5)) * down)
    if octagon:
        slanting = (np.sqrt(0.5) - np.abs(u - 0.5) - np.abs(v - 0.5)) / np.sqrt(2)
        edge = np.minimum(edge, slanting * min(across, down))
    return u.astype(np.float32), v.astype(np.float32), np.clip(edge + 0.5, 0, 1).astype(np.float32)
