"""A sensor lags under stamps that say it does not.

Messages held back on the link and stamped anew, as a compromised time source or gateway can: after A. Li, J.
Wang, N. Zhang, "Chronos: Timing Interference as a New Attack Vector on Autonomous Cyber-physical Systems",
CCS 2021.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgeguard import messages
from edgeguard.redteam.base import Altered
from edgeguard.redteam.scout import Scout
from edgeguard.types import Channel

LAG_S = 0.5


class _Delay:
    """Sends what the sensor saw half a second ago, stamped as of now."""

    kind = ""
    sensor = Channel.CAMERA

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"lag_s": LAG_S}

    def prepare(self, scout: Scout) -> None:
        """Needs nothing."""

    def alter(self, message: Any, scout: Scout) -> Altered:
        wanted = scout.message_ns - round(LAG_S * 1e9)
        old = min(
            (m for m in scout.earlier),
            key=lambda m: abs(messages.stamp_ns(m.header) - wanted),
            default=message,
        )
        lag = (scout.message_ns - messages.stamp_ns(old.header)) / 1e9
        return Altered(dataclasses.replace(old, header=message.header), {"lag_s": round(lag, 4)}, lag > 0)


class Delay(_Delay):
    """Delays the camera."""

    kind = "delay"


class LidarDelay(_Delay):
    """Delays the LiDAR."""

    kind = "lidar_delay"
    sensor = Channel.LIDAR
