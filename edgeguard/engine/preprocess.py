"""Image regions to the network's input tensor, on the CPU; and the way back for boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from edgeguard.engine.spec import InputSpec
from edgeguard.engine.tiles import Region
from edgeguard.types import F32, U8


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a region of the image lies in the network's input.

    Attributes:
        region: what is shown, pixels of the original image.
        x, y: left top corner in the input, pixels.
        width, height: size in the input, pixels.
    """

    region: Region
    x: int
    y: int
    width: int
    height: int

    def to_image(self, xyxy: F32) -> F32:
        """Map boxes from the input's pixels to the original image's, clipped to the region shown.

        Args:
            xyxy: (N, 4), pixels of the network's input.
        """
        r = self.region
        size = np.array([r.width, r.height] * 2, np.float32)
        scale = size / np.array([self.width, self.height] * 2, np.float32)
        corner = np.array([self.x, self.y] * 2, np.float32)
        inside = np.clip((xyxy - corner) * scale, 0, size)
        return np.asarray(inside + np.array([r.x, r.y] * 2, np.float32), np.float32)


def place(region: Region, spec: InputSpec) -> Placement:
    """Return where the resize rule puts a region."""
    if spec.resize.rule == "stretch":
        return Placement(region, 0, 0, spec.width, spec.height)
    scale = min(spec.width / region.width, spec.height / region.height)
    width = min(spec.width, max(1, round(region.width * scale)))
    height = min(spec.height, max(1, round(region.height * scale)))
    if spec.resize.align == "top-left":
        return Placement(region, 0, 0, width, height)
    return Placement(region, (spec.width - width) // 2, (spec.height - height) // 2, width, height)


def gain_and_shift(spec: InputSpec) -> tuple[F32, F32]:
    """Return (3,) and (3,) with which `pixel * gain - shift` normalises, in the network's channel order."""
    gain = np.asarray(spec.scale / np.asarray(spec.std, np.float64), np.float32)
    return gain, np.asarray(np.divide(spec.mean, spec.std), np.float32)


def to_tensor(bgr: U8, placements: Sequence[Placement], spec: InputSpec) -> F32:
    """Return the network's input for regions of one image.

    Args:
        bgr: (H, W, 3) uint8.
        placements: regions of that image.

    Returns:
        (len(placements), 3, height, width) float32.
    """
    batch = np.empty((len(placements), 3, spec.height, spec.width), np.float32)
    canvas = np.empty((spec.height, spec.width, 3), np.uint8)
    gain, shift = gain_and_shift(spec)
    plain = bool(np.all(gain == 1) and np.all(shift == 0))
    for out, p in zip(batch, placements):
        r = p.region
        canvas[:] = spec.resize.pad
        crop = bgr[r.y : r.y + r.height, r.x : r.x + r.width]
        canvas[p.y : p.y + p.height, p.x : p.x + p.width] = cv2.resize(
            crop, (p.width, p.height), interpolation=cv2.INTER_LINEAR
        )
        ordered = canvas if spec.colour == "bgr" else canvas[:, :, ::-1]
        out[:] = ordered.transpose(2, 0, 1)
        if not plain:
            out *= gain[:, None, None]
            out -= shift[:, None, None]
    return batch
