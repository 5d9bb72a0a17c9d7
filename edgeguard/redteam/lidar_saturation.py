"""A strong light saturates the LiDAR in a sector ahead: returns are lost, and noise comes in their place.

After H. Shin, D. Kim, Y. Kwon, Y. Kim, "Illusion and Dazzle: Adversarial Optical Channel Exploits against
Lidars for Automotive Applications", CHES 2017: a light source of the LiDAR's own wavelength blinds the
directions that it shines into.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeguard.redteam.base import Altered, require_aim
from edgeguard.redteam.edit import with_moved_points, without_points
from edgeguard.redteam.scout import Scout
from edgeguard.types import Channel

HALF_SECTOR_DEG = 15.0
LOST = 0.7
"""Share of the sector's returns that are lost; the others come from anywhere."""
NOISE_M = (1.0, 40.0)


class LidarSaturation:
    """Blinds thirty degrees ahead."""

    kind = "lidar_saturation"
    sensor = Channel.LIDAR

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"half_sector_deg": HALF_SECTOR_DEG, "lost": LOST, "noise_m": list(NOISE_M)}

    def prepare(self, scout: Scout) -> None:
        require_aim(self.kind, scout)
        self._rng = np.random.default_rng([scout.seed, 16])

    def alter(self, message: Any, scout: Scout) -> Altered:
        view, points = scout.view, scout.points
        assert points is not None
        angle = np.degrees(np.arctan2(view.xyz[:, 0], view.xyz[:, 2]))
        blind = np.abs(angle) < HALF_SECTOR_DEG
        gone = blind & (self._rng.random(len(blind)) < LOST)
        noisy = np.flatnonzero(blind & ~gone)
        direction = points.xyz[noisy] / np.maximum(
            np.linalg.norm(points.xyz[noisy], axis=1, keepdims=True), 1e-6
        )
        ranges = self._rng.uniform(*NOISE_M, len(noisy)).astype(np.float32)
        noise = with_moved_points(message, noisy, direction * ranges[:, None])
        record = {"points_lost": int(gone.sum()), "points_noisy": len(noisy)}
        return Altered(without_points(noise, gone), record, bool(gone.sum() >= 50))
