"""The points on the nearest vehicle come back late: it seems to stand farther away.

After Z. Jin et al., "PLA-LiDAR: Physical Laser Attacks against LiDAR-based 3D Object Detection in Autonomous
Vehicle", IEEE S&P 2023, and T. Sato et al., "LiDAR Spoofing Meets the New-Gen", NDSS 2024: with the true
pulses overpowered, spoofed ones set the range. Rings and azimuths stay the sensor's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeguard.redteam.base import Altered, require_aim, require_vehicle
from edgeguard.redteam.edit import with_moved_points
from edgeguard.redteam.scout import Scout, follow
from edgeguard.types import F64, Channel

SHIFT_M = 8.0
_FEWEST = 10
"""Points that must move for the vehicle to have moved."""


class LidarShift:
    """Moves the vehicle's points away along their own rays."""

    kind = "lidar_shift"
    sensor = Channel.LIDAR

    def __init__(self) -> None:
        self._box: F64 = np.zeros(4)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"shift_m": SHIFT_M}

    def prepare(self, scout: Scout) -> None:
        require_aim(self.kind, scout)
        self._box = require_vehicle(self.kind, scout)

    def alter(self, message: Any, scout: Scout) -> Altered:
        view, points = scout.view, scout.points
        assert points is not None
        now = follow(self._box, view)
        self._box = self._box if now is None else now
        body = np.flatnonzero(view.body(self._box))
        xyz = points.xyz[body].astype(np.float64)
        reach = np.linalg.norm(xyz, axis=1, keepdims=True)
        moved = (xyz * (1.0 + SHIFT_M / np.maximum(reach, 1e-6))).astype(np.float32)
        record = {"box": self._box, "points_moved": len(body), "seen": now is not None}
        return Altered(with_moved_points(message, body, moved), record, len(body) >= _FEWEST)
