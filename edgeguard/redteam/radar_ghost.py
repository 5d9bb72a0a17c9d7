"""Radar reports a target that is not there, standing in the way.

After R. Komissarov, A. Wool, "Spoofing Attacks Against Vehicular FMCW Radar", ASHES 2021: a replayed chirp
with the delay and the shift in frequency of one's choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeguard import messages
from edgeguard.redteam.base import Altered, AttackError
from edgeguard.redteam.edit import with_added_points
from edgeguard.redteam.scout import Scout
from edgeguard.types import Channel

RANGE_M = 25.0
IN_FRONT_M = 4.0
"""So much nearer than what stands in the way: behind it, a target would be nothing to wonder at."""
CLOSING_M_S = -12.0
"""Range rate, negative when approaching."""
NEAREST_M = 4.0
RETURNS = 3
SPREAD_M = 0.3
SNR_DB = 22.0


class RadarGhost:
    """Adds a cluster of returns straight ahead that closes in, and stops short of the bumper."""

    kind = "radar_ghost"
    sensor = Channel.RADAR

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)
        self._range_m = RANGE_M

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"range_m": round(self._range_m, 2), "range_rate_m_s": CLOSING_M_S, "returns": RETURNS}

    def prepare(self, scout: Scout) -> None:
        self._rng = np.random.default_rng([scout.seed, 18])
        free = scout.ahead[0].free_m() if scout.ahead[0].rig is not None else np.inf
        self._range_m = float(np.clip(free - IN_FRONT_M, NEAREST_M, RANGE_M))

    def alter(self, message: Any, scout: Scout) -> Altered:
        if not hasattr(message, "fields"):
            raise AttackError(
                self.kind, "the radar's topic is no sensor_msgs/PointCloud2", "Choose a bag with one"
            )
        distance = max(self._range_m + CLOSING_M_S * scout.elapsed_s, NEAREST_M)
        rate = CLOSING_M_S if distance > NEAREST_M else 0.0
        xyz = self._rng.normal(0.0, SPREAD_M, (RETURNS, 3)) * (1.0, 1.0, 0.0) + (distance, 0.0, 0.0)
        told = dict.fromkeys(messages.DOPPLER_FIELDS, rate) | dict.fromkeys(("snr", "SNR"), SNR_DB)
        new = with_added_points(message, xyz.astype(np.float32), told)
        return Altered(new, {"range_m": round(distance, 2), "range_rate_m_s": rate}, True)
