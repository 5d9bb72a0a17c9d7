"""Where a thing that is not there could stand: free road, in the camera's view, for the whole window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeguard.redteam.scout import View, covered
from edgeguard.rig import Rig
from edgeguard.types import F64


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A place on the road.

    Attributes:
        foot: (3,) middle of the near lower edge, metres, optical frame.
        box: (4,) xyxy pixels of the thing's near face there.
        clash: how much the place is not free, 0 and up; above 1 something stands there.
    """

    foot: F64
    box: F64
    clash: float


def face(rig: Rig, view: View, x: float, z: float, width: float, height: float) -> tuple[F64, F64]:
    """Return foot point (3,) and image box (4,) of an upright face on the road at (x, z)."""
    a, b, c = view.ground.plane
    foot = np.array([x, a * x + b * z + c, z])
    k = rig.camera.k
    u, v = k[0, 0] * x / z + k[0, 2], k[1, 1] * foot[1] / z + k[1, 2]
    w, h = k[0, 0] * width / z, k[1, 1] * height / z
    return foot, np.array([u - w / 2, v - h, u + w / 2, v])


def find_place(
    rig: Rig, views: Sequence[View], size: tuple[float, float, float], nearest_m: float
) -> Place | None:
    """Return the best free place for a body of `size` (length, width, height), or None where none is in view.

    Free is where no sweep of `views` has a point above the road in the body's volume or before it, and where no
    detection lies. Near places in or beside the own lane come first: there a phantom matters.
    """
    length, width, height = size
    best: tuple[float, Place] | None = None
    solids = [_Solids(view) for view in views]
    for z in np.arange(nearest_m, 30.0, 0.5).tolist():
        for x in np.arange(-8.0, 8.01, 0.5).tolist():
            foot, box = face(rig, views[0], x, z, width, height)
            if box[0] < 4 or box[1] < 4 or box[2] > rig.camera.width - 4 or box[3] > rig.camera.height - 2:
                continue
            clash = max(s.clash(foot, box, length, width) for s in solids)
            cost = abs(x) + 0.3 * z + 12.0 * clash
            if best is None or cost < best[0]:
                best = cost, Place(foot, box, clash)
    return best[1] if best and best[1].clash < 1.0 else None


class _Solids:
    """What stands on the road in a view."""

    def __init__(self, view: View) -> None:
        above = (view.height > 0.3) & (view.height < 2.5) & (view.xyz[:, 2] > 0.5) & (view.xyz[:, 2] < 40)
        self._xyz, self._uv = view.xyz[above], view.pixels[above] if len(view.pixels) else view.pixels
        self._boxes = view.detections.xyxy.astype(np.float64)
        self._ranges = np.array([view.range_of(box) for box in self._boxes])
        flat = (view.height < 0.2) & (view.height > -0.3)
        self._road = view.xyz[flat]
        self._has_lidar = len(view.xyz) > 0

    def clash(self, foot: F64, box: F64, length: float, width: float) -> float:
        """Return 0 for a free place; 1 and more where something stands in it or hides it."""
        near = self._boxes[self._ranges < foot[2] + length] if len(self._boxes) else self._boxes
        far = self._boxes[self._ranges >= foot[2] + length] if len(self._boxes) else self._boxes
        clash = 0.0
        if len(near):
            clash += 4.0 * float(_share(box, near).max())
        if len(far):
            clash += 0.4 * float(covered(box, far).max())
        if not self._has_lidar:
            return clash
        x, z = self._xyz[:, 0] - foot[0], self._xyz[:, 2] - foot[2]
        inside = (np.abs(x) < width / 2 + 0.2) & (z > -0.5) & (z < length + 0.3)
        with np.errstate(invalid="ignore"):
            before = (
                (self._uv[:, 0] > box[0]) & (self._uv[:, 0] < box[2]) & (z < -0.5) & (self._uv[:, 1] < box[3])
            )
            before &= self._uv[:, 1] > box[1]
        x, z = self._road[:, 0] - foot[0], self._road[:, 2] - foot[2]
        road = (np.abs(x) < width / 2) & (z > -1.0) & (z < length)
        clash += 0.2 * np.count_nonzero(inside) + 0.2 * np.count_nonzero(before)
        return clash + (0.0 if np.count_nonzero(road) >= 5 else 1.0)


def _share(box: F64, boxes: F64) -> F64:
    """Return the share of `box` that each of `boxes` covers."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    out: F64 = np.clip(high - low, 0, None).prod(1) / (box[2:] - box[:2]).prod()
    return out
