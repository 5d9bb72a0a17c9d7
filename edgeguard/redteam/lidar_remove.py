"""The points on the nearest vehicle do not come back.

After Y. Cao et al., "You Can't See Me: Physical Removal Attacks on LiDAR-based Autonomous Vehicles Driving
Frameworks", USENIX Security 2023: a laser makes the sensor discard a sector's returns. The shadow on the road
stays: what was hidden behind the vehicle is hidden still.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeguard.redteam.base import Altered, AttackError, require_aim, require_vehicle
from edgeguard.redteam.edit import without_points
from edgeguard.redteam.scout import CAR_SIZE, Scout, follow
from edgeguard.types import F64, Channel


class LidarRemove:
    """Removes what stands in the nearest vehicle's place, sweep by sweep; the road under it stays."""

    kind = "lidar_remove"
    sensor = Channel.LIDAR

    def __init__(self) -> None:
        self._box: F64 | None = None

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"target": [] if self._box is None else [round(float(v), 1) for v in self._box]}

    def prepare(self, scout: Scout) -> None:
        require_aim(self.kind, scout)
        self._box = require_vehicle(self.kind, scout)
        if not scout.ahead[0].body(self._box).any():
            raise AttackError(
                self.kind, "the LiDAR has no points on the nearest vehicle", "Give another --start"
            )

    def alter(self, message: Any, scout: Scout) -> Altered:
        view = scout.view
        assert self._box is not None
        now = follow(self._box, view)
        self._box = self._box if now is None else now
        body = view.body(self._box)
        if not body.any():
            return Altered(None, {"box": self._box, "points_removed": 0}, False)
        low, high = view.xyz[body].min(0), view.xyz[body].max(0)
        # Between a bumper and a roof no point may lie: what is within a car's length is the same car.
        high[2] = max(high[2], low[2] + CAR_SIZE[0])
        x, z = view.xyz[:, 0], view.xyz[:, 2]
        gone = body | (
            (x > low[0] - 0.2)
            & (x < high[0] + 0.2)
            & (z > low[2] - 0.2)
            & (z < high[2] + 0.2)
            & (view.height > 0.12)
            & (view.height < 4.5)
        )
        record = {"box": self._box, "center": (low + high) / 2, "points_removed": int(np.count_nonzero(gone))}
        return Altered(without_points(message, gone), record, True)
