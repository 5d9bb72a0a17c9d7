"""Many small straight-line fits over fading time, advanced at once."""

from __future__ import annotations

import math

import numpy as np

from edgeguard.compiled import loops
from edgeguard.tracking.kalman import Slots
from edgeguard.types import F64


class TrendBank:
    """`capacity` least-squares lines y = level + slope·t per axis; a measurement's weight fades with its age.

    Unlike a constant-velocity filter it makes no assumption on accelerations: what it says of a slope is
    what the last `memory_s` seconds measured.
    """

    def __init__(self, capacity: int, axes: int, memory_s: float) -> None:
        self._memory_s = memory_s
        self._s = np.zeros((capacity, 3))
        self._y = np.zeros((capacity, axes, 2))

    def clear(self, slots: Slots) -> None:
        """Forget what was measured of `slots`."""
        self._s[slots] = 0.0
        self._y[slots] = 0.0

    def advance(self, dt_s: float) -> None:
        """Let `dt_s` >= 0 seconds pass: times are counted back from now."""
        loops.trend_advance(self._s, self._y, dt_s, math.exp(-dt_s / self._memory_s))

    def add(self, slots: Slots, measured: F64) -> None:
        """Add (S, axes) measurements of now."""
        self._s[slots, 0] += 1.0
        self._y[slots, :, 0] += measured

    def slope(self, slots: Slots) -> F64:
        """Return (S, axes) slopes per second; NaN where nothing tells."""
        return loops.trend_slope(self._s, self._y, slots)

    def mean(self, slots: Slots) -> F64:
        """Return (S, axes) weighted means; NaN where nothing was measured."""
        return loops.trend_mean(self._s, self._y, slots)

    def count(self, slots: Slots) -> F64:
        """Return (S,) measurements in memory, faded ones in part."""
        count: F64 = self._s[slots, 0]
        return count

    def slope_sigma(self, slots: Slots, sigma: F64) -> F64:
        """Return (S, axes) standard deviations of slopes for (S, axes) of independent measurements."""
        return loops.trend_slope_sigma(self._s, slots, sigma)
