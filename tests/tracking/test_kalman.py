"""The bank against textbook filters, one axis at a time, in matrices."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.tracking.kalman import KalmanBank
from edgeguard.types import F64


class Reference:
    """A constant-velocity Kalman filter of one axis (Bar-Shalom, §6.2.2), Joseph form."""

    def __init__(self, position: float, sigma: float, velocity_sigma: float) -> None:
        self.x = np.array([position, 0.0])
        self.p = np.diag([sigma**2, velocity_sigma**2])

    def predict(self, dt: float, acceleration: float) -> None:
        f = np.array([[1, dt], [0, 1]])
        q = acceleration**2 * dt * np.array([[dt**2 / 3, dt / 2], [dt / 2, 1]])
        self.x, self.p = f @ self.x, f @ self.p @ f.T + q

    def update(self, z: float, sigma: float) -> tuple[float, float]:
        h, r = np.array([[1.0, 0.0]]), sigma**2
        residual, variance = z - self.x[0], float((h @ self.p @ h.T)[0, 0]) + r
        gain = (self.p @ h.T / variance)[:, 0]
        keep = np.eye(2) - np.outer(gain, h[0])
        self.x = self.x + gain * residual
        self.p = keep @ self.p @ keep.T + np.outer(gain, gain) * r
        return float(residual), variance


STEPS = st.lists(
    st.tuples(st.floats(0, 2), st.booleans(), st.integers(0, 2**32 - 1)), min_size=1, max_size=25
)


@given(STEPS)
def test_it_is_the_textbook_filter_on_every_axis(steps: list[tuple[float, bool, int]]) -> None:
    rng = np.random.default_rng(0)
    slots, axes = np.array([5, 0, 3]), 4
    start, sigma, speed = rng.normal(0, 50, (3, axes)), rng.uniform(1, 5, (3, axes)), np.full((3, axes), 8.0)
    bank = KalmanBank(6, axes)
    bank.start(slots, start, sigma, speed)
    plain = [[Reference(start[s, a], sigma[s, a], 8.0) for a in range(axes)] for s in range(3)]
    for dt, measured, seed in steps:
        rng = np.random.default_rng(seed)
        acceleration = rng.uniform(0.5, 4, (3, axes))
        bank.predict(slots, dt, acceleration)
        for s, a in np.ndindex(3, axes):
            plain[s][a].predict(dt, acceleration[s, a])
        if measured:
            z, noise = rng.normal(0, 60, (3, axes)), rng.uniform(0.2, 4, (3, axes))
            residual, variance = bank.update(slots, z, noise)
            wanted = [[plain[s][a].update(z[s, a], noise[s, a]) for a in range(axes)] for s in range(3)]
            np.testing.assert_allclose(residual, np.array(wanted)[..., 0], rtol=1e-6, atol=1e-6)
            np.testing.assert_allclose(variance, np.array(wanted)[..., 1], rtol=1e-6)
    state = np.array([[f.x for f in row] for row in plain])
    np.testing.assert_allclose(bank.position[slots], state[..., 0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(bank.velocity[slots], state[..., 1], rtol=1e-6, atol=1e-6)


def test_filters_that_are_not_named_stay_as_they_are() -> None:
    bank = KalmanBank(4, 2)
    one = np.ones((1, 2))
    for slot in range(4):
        bank.start(np.array([slot]), slot * one, one, one)
    others: F64 = bank.position[[0, 1, 3]].copy()
    bank.predict(np.array([2]), 0.1, one)
    bank.update(np.array([2]), 9 * one, one)
    assert np.array_equal(bank.position[[0, 1, 3]], others)
    assert (bank.position[2] > 2.0).all()
