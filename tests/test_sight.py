"""How far what stands in the open must have come since the sweep before."""

from __future__ import annotations

import numpy as np
import pytest

from edgeguard.sight import CELL_PX, Sight, emerging_m

FOCAL, ROWS, COLUMNS = 400.0, 10, 80


def sweep(cover_from_px: float) -> Sight:
    """A sweep before that saw 40 m of free road, right of some column through the windows of a car at 5 m."""
    car = np.arange(COLUMNS) * CELL_PX >= cover_from_px
    near = np.tile(np.where(car, 5.0, 40.0).astype(np.float32), (ROWS, 1))
    return Sight(0, near, np.full_like(near, 40.0), np.ones((ROWS, COLUMNS), np.int64))


def body(left_px: float, right_px: float) -> tuple[np.ndarray, np.ndarray]:
    u = np.linspace(left_px, right_px, 60, dtype=np.float32)
    uv = np.column_stack([u, np.full(60, 3.0 * CELL_PX, np.float32)])
    return uv, np.full(60, 8.0, np.float32)


@pytest.mark.parametrize(
    ("left_px", "right_px", "come_px"),
    [(170.0, 250.0, 150.0), (220.0, 318.0, 100.0), (300.0, 460.0, 20.0)],
    ids=["far from cover", "just out of it", "hardly out of it"],
)
def test_a_body_comes_from_cover_as_far_as_it_stands_in_the_open(
    left_px: float, right_px: float, come_px: float
) -> None:
    uv, z = body(left_px, right_px)
    come_m = emerging_m(sweep(320.0), uv, z, FOCAL, 1.0)
    assert come_m == pytest.approx(come_px / FOCAL * 8.0, abs=1.5 * CELL_PX / FOCAL * 8.0)


def test_what_stands_where_cover_was_need_not_have_come() -> None:
    assert emerging_m(sweep(200.0), *body(220.0, 400.0), FOCAL, 1.0) == 0.0
