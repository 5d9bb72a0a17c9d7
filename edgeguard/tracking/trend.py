"""Many small straight-line fits over fading time, advanced at once."""

from __future__ import annotations

import numpy as np

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
        s, y = self._s, self._y
        s[:, 2] += dt_s * (dt_s * s[:, 0] - 2.0 * s[:, 1])
        s[:, 1] -= dt_s * s[:, 0]
        y[:, :, 1] -= dt_s * y[:, :, 0]
        fade = np.exp(-dt_s / self._memory_s)
        s *= fade
        y *= fade

    def add(self, slots: Slots, measured: F64) -> None:
        """Add (S, axes) measurements of now."""
        self._s[slots, 0] += 1.0
        self._y[slots, :, 0] += measured

    def slope(self, slots: Slots) -> F64:
        """Return (S, axes) slopes per second; NaN where nothing tells."""
        s, y = self._s[slots], self._y[slots]
        s0, s1 = s[:, :1], s[:, 1:2]
        spread = s0 * s[:, 2:] - s1**2
        slope = s0 * y[:, :, 1]
        slope -= s1 * y[:, :, 0]
        # Nothing over NaN is NaN, without the warning that dividing by 0 gives.
        slope /= np.where(spread > 1e-9, spread, np.nan)
        return slope

    def mean(self, slots: Slots) -> F64:
        """Return (S, axes) weighted means; NaN where nothing was measured."""
        with np.errstate(divide="ignore", invalid="ignore"):
            mean: F64 = self._y[slots, :, 0] / self._s[slots, :1]
        return mean

    def count(self, slots: Slots) -> F64:
        """Return (S,) measurements in memory, faded ones in part."""
        count: F64 = self._s[slots, 0]
        return count

    def slope_sigma(self, slots: Slots, sigma: F64) -> F64:
        """Return (S, axes) standard deviations of slopes for (S, axes) of independent measurements."""
        s = self._s[slots]
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.maximum(s[:, 2] - s[:, 1] ** 2 / s[:, 0], 1e-12)
        out: F64 = sigma / np.sqrt(spread)[:, None]
        return out
