"""Which LiDAR objects must be bodies of the road: they stood up in the open, or they come along it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeguard import objects
from edgeguard.scene import Scene
from edgeguard.tracking.lidar import CAPACITY, LidarObjects

_SETTLED_S = 0.3
_GAP_S = 0.5
_ALONE_M = 3.0
_MIXED_M = 1.5
_FAST_M = 4.0
# What comes: so fast over ground, from so near, seen so often; a car's width, top and length, metres.
_COMES_MPS, _COMES_FROM_M, _FOLLOWED = 3.0, 25.0, 5
_WIDTH_M, _TOP_M, _LENGTH_M = (1.2, 3.0), (0.7, 2.3), 6.0
# And goes straight: so far aside it comes in a sweep, while the vehicle turns.
_STRAIGHT_M = 1.5


class Appearances:
    """Remembers, for as long as an object lives, whether it appeared in the open or came along the road.

    Clusters carry no class, and most are of things that the camera has no class for. What is as large as a
    car and comes against the vehicle over ground is none of these.

    Args:
        radius_m: distance from anything that a sweep held before that is open, metres.
    """

    def __init__(self, radius_m: float) -> None:
        self._radius_m = radius_m
        self._settled_s = 0.0
        self._appeared = np.zeros(CAPACITY, bool)

    def follow(self, scene: Scene, seen: LidarObjects, new: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return (M,) whether each object stood up in the open; `new` (M,) those that might do so now."""
        self._settled_s = 0.0 if scene.dt_s >= _GAP_S else self._settled_s + scene.dt_s
        self._appeared[seen.slot[seen.is_new]] = False
        if new.any() and self._settled_s > _SETTLED_S:
            rows = np.flatnonzero(new)
            if scene.objects_are_classified:
                # Nothing else was followed near there, at whatever score; a thing that a detector takes for
                # another kind stays where it is.
                old = np.flatnonzero(~seen.is_new)
                gap = seen.center[rows][:, None, (0, 2)] - seen.center[old][None, :, (0, 2)]
                kind = np.where(seen.label >= 0, objects.GROUP[seen.label], -1)
                alike = (kind[rows][:, None] == kind[old][None, :]) | (kind[old] < 0)[None, :]
                near = np.hypot(gap[..., 0], gap[..., 1]) < np.where(alike, _ALONE_M, _MIXED_M)
                # What closes fast is followed one sweep behind itself.
                fast = (np.abs(gap[..., 0]) < _STRAIGHT_M) & (np.abs(gap[..., 1]) < _ALONE_M + _FAST_M)
                alone = ~np.any(near | (fast & alike & ~seen.matched[old]), axis=1)
            else:
                alone = self._in_free_cells(scene, seen, rows)
            self._appeared[seen.slot[rows]] = alone
        if not scene.objects_are_classified and scene.new_sweep:
            self._appeared[seen.slot[_comes(scene, seen)]] = True
        return self._appeared[seen.slot]

    def _in_free_cells(self, scene: Scene, seen: LidarObjects, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        occupied = scene.occupied
        alone = np.zeros(len(rows), bool)
        if occupied is None or occupied[1] is None:
            return alone
        cell = scene.settings.lidar.cell_m
        reach = 2 * round(self._radius_m / cell) + 1
        near = cv2.dilate(occupied[1], cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
        for n, i in enumerate(rows):
            low = seen.center[i] - seen.size[i] / 2
            high = seen.center[i] + seen.size[i] / 2
            x0, x1 = int((low[0] + 40.0) / cell), int((high[0] + 40.0) / cell) + 1
            z0, z1 = int(low[2] / cell), int(high[2] / cell) + 1
            now = occupied[0][x0:x1, z0:z1] > 0
            old = now & (near[x0:x1, z0:z1] > 0)
            alone[n] = np.count_nonzero(old) <= 0.1 * np.count_nonzero(now)
        return alone


def _comes(scene: Scene, seen: LidarObjects) -> NDArray[np.bool_]:
    """Return (M,) whether clusters of a car's size come against the vehicle, faster than it drives itself.

    Only so: what slides along a wall, cut by the image's side, seems to drive along with the vehicle.
    """
    motion = scene.camera_motion
    if motion is None:
        return np.zeros(len(seen), bool)
    linear, turn = motion
    over_ground = seen.velocity[:, 1] + linear[2] + turn[0] * seen.center[:, 1] - turn[1] * seen.center[:, 0]
    width, top = seen.size[:, 0], seen.bottom + seen.size[:, 1]
    comes: NDArray[np.bool_] = seen.matched & (seen.hits >= _FOLLOWED) & (over_ground <= -_COMES_MPS)
    comes &= seen.center[:, 2] <= _COMES_FROM_M
    comes &= (width >= _WIDTH_M[0]) & (width <= _WIDTH_M[1]) & (seen.size[:, 2] <= _LENGTH_M)
    return comes & (top >= _TOP_M[0]) & (top <= _TOP_M[1])
