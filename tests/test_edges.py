"""Outlines: where range jumps, how well brightness edges coincide with them, and where a profile peaks."""

from __future__ import annotations

import numpy as np
import pytest

from edgeguard import edges

SIZE = 400.0, 160.0


def wall_and_box() -> tuple[edges.DepthCells, np.ndarray]:
    """A wall at 20 m with a box at 10 m before it, from pixel column 160 to 240 and row 80 down."""
    u, v = (a.ravel().astype(np.float32) for a in np.meshgrid(np.arange(1, 400, 2), np.arange(2, 160, 4)))
    box = (u >= 160) & (u < 240) & (v >= 80)
    z = np.where(box, 10.0, 20.0).astype(np.float32)
    return edges.depth_cells(u, v, z, SIZE), z


def test_rims_lie_on_the_box_and_nowhere_else() -> None:
    cells, z = wall_and_box()
    sides = edges.side_rims(cells)
    assert set(sides[:, 0] * edges.STEP) == {160, 240}
    assert sides[:, 1].min() * edges.STEP >= 80
    tops = edges.top_rims(cells, z, np.ones(len(z), np.float32))
    assert set(tops[:, 1] * edges.STEP) == {80}
    assert 160 <= tops[:, 0].min() * edges.STEP <= tops[:, 0].max() * edges.STEP < 240


def test_the_road_has_no_upper_rims() -> None:
    cells, z = wall_and_box()
    assert not len(edges.top_rims(cells, z, np.zeros(len(z), np.float32)))


def test_coincidence_peaks_where_the_picture_shows_the_rims() -> None:
    cells, _ = wall_and_box()
    picture = np.zeros((40, 100), np.uint8)
    picture[20:, 43:63] = 200  # the box, three gradient pixels to the right
    steps = np.arange(-6, 7)
    shifts = np.column_stack([steps, np.zeros_like(steps)])
    strength = edges.gradient(picture, down=False)
    profile = edges.coincidence(strength, edges.side_rims(cells), shifts)
    assert edges.peak(profile) - 6 == pytest.approx(3.0, abs=0.75)


def test_without_edges_coincidence_is_not_a_number() -> None:
    nothing = np.zeros((0, 2), np.int64)
    assert np.isnan(edges.coincidence(np.ones((4, 4), np.float32), nothing, np.zeros((1, 2), np.int64))).all()


@pytest.mark.parametrize(("profile", "at"), [([0, 1, 3, 1, 0], 2.0), ([0, 2, 2, 0], 1.5), ([3, 1, 0], 0.0)])
def test_a_peak_lies_between_samples(profile: list[float], at: float) -> None:
    assert edges.peak(np.array(profile, np.float64)) == pytest.approx(at)
