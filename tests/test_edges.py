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
    rims = edges.side_rims(cells)
    profile, count = edges.coincidence(strength, rims, shifts)
    assert 0 < count <= len(rims)
    assert edges.peak(profile) - 6 == pytest.approx(3.0, abs=0.75)


def test_every_outline_counts_alike() -> None:
    """One body of strong contrast does not outvote three that stand elsewhere."""
    picture = np.full((40, 100), 100, np.uint8)
    picture[:10, 20:] = 250
    for row in (10, 20, 30):
        picture[row : row + 10, 23:] = 108
    rims = np.column_stack([np.full(40, 20), np.arange(40)])
    steps = np.arange(-6, 7)
    shifts = np.column_stack([steps, np.zeros_like(steps)])
    profile, _ = edges.coincidence(edges.gradient(picture, down=False), rims, shifts)
    assert edges.peak(profile) - 6 == pytest.approx(2.5, abs=0.6)


def test_a_veil_over_some_rows_does_not_move_upper_outlines() -> None:
    """Fog leaves less contrast above the horizon than below it: the roof is where it was."""
    rng = np.random.default_rng(0)
    picture = rng.normal(120.0, 8.0, (60, 100))
    picture[20:50, 30:60] -= 60.0  # a body
    picture[26, 30:60] += 30.0  # the rim of its window
    veil = np.where(np.arange(60) < 24, 0.15, 1.0)[:, None]
    foggy = (picture * veil + 205.0 * (1.0 - veil)).astype(np.uint8)
    rims = np.column_stack([np.arange(30, 60), np.full(30, 20)])
    steps = np.arange(-8, 9)
    shifts = np.column_stack([np.zeros_like(steps), steps])
    profile, _ = edges.coincidence(edges.gradient(foggy, down=True), rims, shifts)
    assert edges.peak(profile) - 8 == pytest.approx(-0.5, abs=1.0)


def test_without_edges_nothing_coincides() -> None:
    nothing = np.zeros((0, 2), np.int64)
    profile, count = edges.coincidence(np.ones((4, 4), np.float32), nothing, np.zeros((1, 2), np.int64))
    assert count == 0 and profile.tolist() == [0.0]


@pytest.mark.parametrize(("profile", "at"), [([0, 1, 3, 1, 0], 2.0), ([0, 2, 2, 0], 1.5), ([3, 1, 0], 0.0)])
def test_a_peak_lies_between_samples(profile: list[float], at: float) -> None:
    assert edges.peak(np.array(profile, np.float64)) == pytest.approx(at)
