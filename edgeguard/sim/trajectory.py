"""Where things are over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeguard.types import F64


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """Where something is over time, linear between way points.

    Attributes:
        t: (K,) seconds, rising.
        xy: (K, 2) metres.
        yaw: (K,) radians.
    """

    t: F64
    xy: F64
    yaw: F64

    @classmethod
    def standing(cls, x: float, y: float, yaw: float = 0.0) -> Trajectory:
        return cls(np.array([0.0]), np.array([[x, y]]), np.array([yaw]))

    @classmethod
    def along(cls, start: tuple[float, float], yaw: float, t: F64, speed: F64) -> Trajectory:
        """Go straight from `start` at `speed` (m/s) over `t` (s)."""
        way = np.concatenate([[0.0], np.cumsum(np.diff(t) * (speed[1:] + speed[:-1]) / 2)])
        xy = np.array(start) + way[:, None] * np.array([np.cos(yaw), np.sin(yaw)])
        return cls(t, xy, np.full(len(t), yaw))

    def shifted(self, aside: F64) -> Trajectory:
        """Return this way, moved to its left by `aside` (K,) metres, and turned to where it leads."""
        xy = self.xy + aside[:, None] * np.column_stack([-np.sin(self.yaw), np.cos(self.yaw)])
        step = np.gradient(xy, self.t, axis=0)
        goes = np.hypot(*step.T) > 0.1
        return Trajectory(self.t, xy, np.where(goes, np.arctan2(step[:, 1], step[:, 0]), self.yaw))

    @property
    def moves(self) -> bool:
        return len(self.t) > 1

    def pose(self, t: float) -> tuple[float, float, float]:
        """Return x, y (metres) and yaw (radians) at `t`."""
        if not self.moves:
            return float(self.xy[0, 0]), float(self.xy[0, 1]), float(self.yaw[0])
        # np.interp for one number is mostly overhead, and every actor is asked several times a frame.
        i = min(max(int(self.t.searchsorted(t, "right")) - 1, 0), len(self.t) - 2)
        before, after = self.t[i : i + 2].tolist()
        share = min(max((t - before) / (after - before), 0.0), 1.0)
        (x0, y0), (x1, y1) = self.xy[i : i + 2].tolist()
        yaw0, yaw1 = self.yaw[i : i + 2].tolist()
        return x0 + share * (x1 - x0), y0 + share * (y1 - y0), yaw0 + share * (yaw1 - yaw0)

    def speed(self, t: float, dt: float = 0.05) -> float:
        """Return the speed at `t`, m/s."""
        a, b = self.pose(t - dt / 2), self.pose(t + dt / 2)
        return float(np.hypot(b[0] - a[0], b[1] - a[1]) / dt)
