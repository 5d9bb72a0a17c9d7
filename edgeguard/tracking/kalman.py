"""Many small constant-velocity Kalman filters, stepped at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeguard.compiled import loops
from edgeguard.types import F64

Slots = NDArray[np.intp]


class KalmanBank:
    """`capacity` filters of `axes` independent axes; each axis has a position and a velocity.

    Noise is given with every call, so one bank serves objects of very different size. White-noise
    acceleration model (Bar-Shalom, Estimation with Applications to Tracking, §6.2.2).

    Attributes:
        state: (FILTER, capacity, axes) all of it, as compiled loops take it.
        position, velocity: (capacity, axes) of it.
    """

    def __init__(self, capacity: int, axes: int) -> None:
        self.state = np.zeros((loops.FILTER, capacity, axes))
        self.position, self.velocity, self._pp, self._pv, self._vv = self.state

    def start(self, slots: Slots, position: F64, sigma: F64, velocity_sigma: F64) -> None:
        """Begin filters at rest: (S, axes) positions with their standard deviations."""
        self.position[slots] = position
        self.velocity[slots] = 0.0
        self._pp[slots] = sigma**2
        self._pv[slots] = 0.0
        self._vv[slots] = velocity_sigma**2

    def predict(self, slots: Slots, dt_s: float, acceleration_sigma: F64) -> None:
        """Move filters ahead by `dt_s` >= 0 seconds; (S, axes) acceleration standard deviations."""
        loops.kalman_predict(self.state, slots, dt_s, acceleration_sigma)

    def update(self, slots: Slots, measured: F64, sigma: F64) -> tuple[F64, F64]:
        """Correct filters with (S, axes) measurements of standard deviation `sigma`.

        Returns:
            (S, axes) residuals of the measurements, and the variances that were expected of them.
        """
        return loops.kalman_update(self.state, slots, measured, sigma)
