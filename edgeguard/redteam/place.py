"""Where a thing that is not there could stand: free road, in the camera's view, for the whole window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgeguard.redteam.scout import View, covered
from edgeguard.rig import Rig
from edgeguard.types import F64

_FARTHEST_M = 20.0
_COLUMNS = np.arange(-12.0, 12.01, 0.1)
_ROWS = np.arange(0.0, 40.01, 0.1)


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """A place on the road.

    Attributes:
        foot: (3,) middle of the near lower edge, metres, optical frame.
        box: (4,) xyxy pixels of the thing's near face there.
        cost: lower is better.
    """

    foot: F64
    box: F64
    cost: float


def face(rig: Rig, view: View, x: float, z: float, width: float, height: float) -> tuple[F64, F64]:
    """Return foot point (3,) and image box (4,) of an upright face on the road at (x, z)."""
    a, b, c = view.ground.plane
    foot = np.array([x, a * x + b * z + c, z])
    k = rig.camera.k
    u, v = k[0, 0] * x / z + k[0, 2], k[1, 1] * foot[1] / z + k[1, 2]
    w, h = k[0, 0] * width / z, k[1, 1] * height / z
    return foot, np.array([u - w / 2, v - h, u + w / 2, v])


def find_place(
    rig: Rig,
    views: Sequence[View],
    size: tuple[float, float, float],
    *,
    nearest_m: float,
    clearance_m: float,
    strays: float,
) -> Place | None:
    """Return the best free place for a body, or None where none is in view.

    Free is where in no sweep of `views` anything above the road stands in the body's volume or before it,
    where road is seen under it, and, without LiDAR, where no vehicle is detected. Near places in or beside
    the own lane come first, and those that cover little of what the camera detects.

    Args:
        size: length, width, height of the body, metres.
        nearest_m: least range of its near face.
        clearance_m: free room on each side of it; a little below zero lets it graze its neighbours.
        strays: share of the rays towards the place that may end in it or before it.
    """
    length, width, height = size
    best: Place | None = None
    solids = [_Solids(view) for view in views]
    columns = np.arange(-6.0, 6.01, 0.125)
    spots = [(x, z) for z in np.arange(nearest_m, _FARTHEST_M, 0.5) for x in columns]
    # By falling preference: once that alone costs more than the best place, no better one can follow.
    for preference, x, z in sorted((abs(x) + 0.2 * z, float(x), float(z)) for x, z in spots):
        if best is not None and preference >= best.cost:
            break
        foot, box = face(rig, views[0], x, z, width, height)
        if box[0] < 4 or box[1] < 4 or box[2] > rig.camera.width - 4 or box[3] > rig.camera.height - 2:
            continue
        cost = preference
        for s in solids:
            clash = s.cost(foot, box, length, width + 2 * clearance_m, strays)
            if clash is None:
                break
            cost = max(cost, preference + clash)
        else:
            if best is None or cost < best.cost:
                best = Place(foot, box, cost)
    return best


class _Solids:
    """What stands on the road in a view."""

    def __init__(self, view: View) -> None:
        ahead = (view.xyz[:, 2] > 0.5) & (view.xyz[:, 2] < 40) & ~np.isnan(view.pixels[:, 0])
        self._xyz, self._uv, self._height = view.xyz[ahead], view.pixels[ahead], view.height[ahead]
        # Seen from above, as a table of sums: how much stands in a rectangle is four look-ups.
        tall = view.xyz[(view.height > 0.3) & (view.height < 2.5)]
        counts, _, _ = np.histogram2d(tall[:, 0], tall[:, 2], bins=(_COLUMNS, _ROWS))
        self._sums = np.pad(counts.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        self._boxes = view.detections.xyxy.astype(np.float64)
        self._ranges = np.array([view.range_of(box) for box in self._boxes])

    def cost(self, foot: F64, box: F64, length: float, width: float, strays: float) -> float | None:
        """Return how much a place covers what the camera detects, 0 and up; None where it is not free."""
        inside = self._standing(
            foot[0] - width / 2, foot[0] + width / 2, foot[2] - 0.5, foot[2] + length + 0.3
        )
        if inside > strays * len(self._xyz) * 0.1:
            return None
        mine = _share(box, self._boxes) if len(self._boxes) else np.zeros(0)
        hidden = covered(box, self._boxes) if len(self._boxes) else np.zeros(0)
        nearer = mine[self._ranges < foot[2]].max(initial=0.0)
        if not len(self._xyz):
            return None if nearer > 0.1 else 4.0 * float(mine.max(initial=0.0))
        u, v = self._uv.T
        rays = (u > box[0]) & (u < box[2]) & (v > box[1]) & (v < box[3])
        n = max(int(np.count_nonzero(rays)), 1)
        z = self._xyz[:, 2]
        before = rays & (z < foot[2] - 0.5) & (self._height > 0.3)
        if inside > strays * n or np.count_nonzero(before) > strays * n:
            return None
        beneath = (np.abs(self._height) < 0.2) & (np.abs(self._xyz[:, 0] - foot[0]) < width / 2)
        beneath &= np.abs(z - foot[2]) < 1.5
        return (
            None
            if np.count_nonzero(beneath) < 5
            else 2.0 * float(mine.max(initial=0.0) + nearer + hidden.max(initial=0.0))
        )

    def _standing(self, x0: float, x1: float, z0: float, z1: float) -> float:
        a, b = np.searchsorted(_COLUMNS, (x0, x1)).clip(0, len(_COLUMNS) - 1)
        c, d = np.searchsorted(_ROWS, (z0, z1)).clip(0, len(_ROWS) - 1)
        return float(self._sums[b, d] - self._sums[a, d] - self._sums[b, c] + self._sums[a, c])


def _share(box: F64, boxes: F64) -> F64:
    """Return the share of `box` that each of `boxes` covers."""
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    out: F64 = np.clip(high - low, 0, None).prod(1) / (box[2:] - box[:2]).prod()
    return out
