"""A car of points where there is none.

After Y. Cao et al., "Adversarial Sensor Attack on LiDAR-based Perception in Autonomous Driving", CCS 2019,
and J. Sun, Y. Cao, Q. A. Chen, Z. M. Mao, "Towards Robust LiDAR-based Perception in Autonomous Driving:
General Black-box Adversarial Sensor Attack and Countermeasures", USENIX Security 2020: spoofed pulses come
back before the true ones. A ray returns once, so every ghost point is a true point moved forward on its own
ray: rings, azimuths, intensities and the shadow behind are the sensor's own. Spoofers reach a few thousand
points at most (T. Sato et al., "LiDAR Spoofing Meets the New-Gen", NDSS 2024), and not all of their pulses
arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeguard.redteam.base import Altered, AttackError, require_aim
from edgeguard.redteam.edit import with_moved_points
from edgeguard.redteam.place import Place, find_place
from edgeguard.redteam.scout import CAR_SIZE, MOTORCYCLE_SIZE, Scout, View
from edgeguard.types import F32, F64, Channel

NEAREST_M = 5.0
STRAYS = 0.01
"""Share of the rays towards it that may already end there."""
CLEARANCE_M = 0.35
"""Nearer to a true thing, the ghost would be taken for a part of it."""
ARRIVING = 0.9
"""Share of spoofed pulses that the sensor takes."""
RANGE_SIGMA_M = 0.03


class LidarGhost:
    """Stands a car on free road, or a motorcycle where only that finds room; fixed to the sensor."""

    kind = "lidar_ghost"
    sensor = Channel.LIDAR

    def __init__(self) -> None:
        self._place: Place | None = None
        self._size = CAR_SIZE
        self._rng = np.random.default_rng(0)

    @property
    def parameters(self) -> Mapping[str, Any]:
        assert self._place is not None
        foot = [round(float(v), 2) for v in self._place.foot]
        return {"foot_m": foot, "size_m": list(self._size), "arriving": ARRIVING}

    def prepare(self, scout: Scout) -> None:
        self._rng = np.random.default_rng([scout.seed, 13])
        require_aim(self.kind, scout)
        assert scout.rig is not None
        options = []
        for size in (CAR_SIZE, MOTORCYCLE_SIZE):
            place = find_place(
                scout.rig, scout.ahead, size, nearest_m=NEAREST_M, clearance_m=CLEARANCE_M, strays=STRAYS
            )
            if place is not None:
                options.append((place.cost + (0.0 if size is CAR_SIZE else 1.5), size, place))
        if not options:
            raise AttackError(self.kind, "no free road in view during the window", "Give another --start")
        _, self._size, self._place = min(options, key=lambda o: o[0])

    def stand(self, place: Place) -> None:
        """Stand a car somewhere else than `prepare` chose."""
        self._place, self._size = place, CAR_SIZE

    def alter(self, message: Any, scout: Scout) -> Altered:
        assert self._place is not None and scout.rig is not None and scout.points is not None
        to_camera = scout.rig.to_camera[scout.points.frame_id.lstrip("/")]
        hit, xyz = self._cast(scout.view, to_camera)
        length, _, height = self._size
        center = self._place.foot + (0.0, -height / 2, length / 2)
        record = {"box": self._place.box, "center": center, "points_moved": len(hit)}
        return Altered(with_moved_points(message, hit, xyz), record, len(hit) >= 20)

    def _cast(self, view: View, to_camera: F64) -> tuple[np.ndarray[Any, np.dtype[np.intp]], F32]:
        """Return which points move and where to, in the sensor's frame: rays against lower body and cabin."""
        assert self._place is not None
        length, width, height = self._size
        foot, half = self._place.foot, width / 2
        origin = to_camera[:3, 3]
        rays = view.xyz.astype(np.float64) - origin
        true_range = np.linalg.norm(rays, axis=1)
        rays /= np.maximum(true_range, 1e-6)[:, None]
        near = np.full(len(rays), np.inf)
        for low, high in (
            (foot + (-half, -0.62 * height, 0.0), foot + (half, -0.2, length)),
            (foot + (-0.85 * half, -height, 0.35), foot + (0.85 * half, -0.62 * height, 0.7 * length)),
        ):
            near = np.minimum(near, _enter(origin, rays, low, high))
        arriving = self._rng.random(len(rays)) < ARRIVING
        hit = np.flatnonzero((near < true_range - 0.1) & arriving)
        spoofed = near[hit] + self._rng.normal(0.0, RANGE_SIGMA_M, len(hit))
        optical = origin + rays[hit] * spoofed[:, None]
        back = np.linalg.inv(to_camera)
        return hit, (optical @ back[:3, :3].T + back[:3, 3]).astype(np.float32)


def _enter(origin: F64, rays: F64, low: F64, high: F64) -> F64:
    """Return where rays (N, 3) enter a box, metres along each; infinite where they miss it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (low - origin) / rays, (high - origin) / rays
    enter, leave = np.minimum(a, b).max(1), np.maximum(a, b).min(1)
    return np.where((enter <= leave) & (enter > 0), enter, np.inf)
