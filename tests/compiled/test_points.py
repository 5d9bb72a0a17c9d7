"""The compiled passes over points find what NumPy's formulas find, whatever comes: empty, far, NaN."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import nbinom

from edgeguard.compiled import loops
from edgeguard.rig import CameraModel
from edgeguard.types import F32

K = np.array([[700.0, 0, 320], [0, 700.0, 180], [0, 0, 1]])
CAMERA = CameraModel("camera", 640, 360, K)
number = st.one_of(st.floats(-60, 60, width=32), st.sampled_from([float("nan"), float("inf"), 0.0]))
clouds = st.integers(0, 40).flatmap(lambda n: arrays(np.float32, (n, 3), elements=number))


@given(clouds)
def test_points_by_column_are_those_in_the_image(xyz: F32) -> None:
    xyz = loops.in_view(xyz, np.eye(4), *CAMERA.sides)
    uv, inside = CAMERA.project(xyz)
    row = np.flatnonzero(inside & (xyz[:, 2] > 0.5))
    row = row[np.argsort(uv[row, 0].astype(int), kind="stable")]
    for found in (
        loops.by_column(xyz, uv, inside, 0.5, CAMERA.width),
        CAMERA.view(xyz, np.eye(4), 0.5),
    ):
        np.testing.assert_array_equal(found[0], xyz[row])
        np.testing.assert_array_equal(np.column_stack(found[1:4]), np.column_stack([uv[row], xyz[row, 2]]))
        np.testing.assert_array_equal(
            found[4], np.searchsorted(uv[row, 0].astype(int), np.arange(CAMERA.width + 1))
        )


@given(clouds)
def test_a_view_from_another_place_is_that_of_the_points_brought_here(xyz: F32) -> None:
    turn = np.array([[0.0, -1, 0, 0.5], [0, 0, -1, -0.25], [1, 0, 0, 2.0], [0, 0, 0, 1]])
    there = loops.in_view(xyz, turn, *CAMERA.sides)
    for found, same in zip(CAMERA.view(xyz, turn, 0.5), CAMERA.view(there, np.eye(4), 0.5)):
        np.testing.assert_array_equal(found, same)


@pytest.mark.parametrize("count", [127, 128, 129, 1001])
def test_a_sweep_longer_than_a_block_is_seen_whole(count: int) -> None:
    xyz = np.random.default_rng(count).uniform(-30, 30, (count, 3)).astype(np.float32)
    part = loops.in_view(xyz, np.eye(4), *CAMERA.sides)
    wanted = loops.by_column(part, *CAMERA.project(part), 0.5, CAMERA.width)
    for found, same in zip(CAMERA.view(xyz, np.eye(4), 0.5), wanted):
        np.testing.assert_array_equal(found, same)


@given(clouds, st.lists(number, min_size=4, max_size=4))
def test_a_box_holds_the_points_inside_it(xyz: F32, box: list[float]) -> None:
    x0, y0, x1, y1 = box
    x0, y0, x1, y1 = 10 * x0 + 300, 10 * y0 + 180, 10 * x1 + 300, 10 * y1 + 180
    _, u, v, z, start = CAMERA.view(xyz, np.eye(4), 0.5)
    inside = np.flatnonzero((u >= x0) & (u < x1) & (v >= y0) & (v <= y1))
    np.testing.assert_array_equal(loops.in_box(u, v, start, x0, y0, x1, y1), inside)


@given(clouds, st.floats(2, 60), st.booleans())
def test_a_body_is_supported_by_what_lies_at_its_range(xyz: F32, at: float, known: bool) -> None:
    xyz = xyz * np.float32(0.3) + np.float32([0, 0, 8])
    _, u, v, z, start = CAMERA.view(xyz, np.eye(4), 0.5)
    above = z > 6
    box = np.array([[200.0, 90.0, 440.0, 270.0]])
    inside = (u >= 200) & (u < 440) & (v >= 90) & (v <= 270)
    mine = np.sort(z[inside & above])
    where, spread, length = np.array([at if known else np.nan]), np.full(1, 0.5), np.full(1, 4.0)
    on, before, behind, total, nearest = loops.body_support(
        u, v, z, above, start, box, where, spread, length, 1.12, 200
    )[:, 0]
    body = loops.nearest_body(mine, 3.0, 0.3, 1.12, 200)
    assert total == np.count_nonzero(inside)
    np.testing.assert_equal(nearest, body)
    if np.isfinite(body) and (not known or abs(np.log(body / at)) <= 0.5):
        at = body
    elif not known:
        assert on == before == behind == 0
        return
    near, far = np.float32(at * 0.88), np.float32(at * 1.12 + 2.0)
    assert (before, on, behind) == tuple(
        np.count_nonzero(part) for part in (mine < near, (mine >= near) & (mine < far), mine >= far)
    )


@given(clouds)
def test_cells_hold_the_nearest_and_farthest_of_their_returns(xyz: F32) -> None:
    _, u, v, z, _ = CAMERA.view(xyz, np.eye(4), 0.5)
    near, far, count, flat = loops.depth_cells(u, v, z, 45, 80, 8.0, 8.0)
    cell = (np.column_stack([u, v]) // 8).astype(int)
    for (a, b), r in zip(cell[:, ::-1], z):
        mine = z[(cell == (b, a)).all(axis=1)]
        assert (near[a, b], far[a, b], count[a, b]) == (mine.min(), mine.max(), len(mine))
        assert near[a, b] <= r <= far[a, b]
    assert count.sum() == len(z) and np.isinf(near[count == 0]).all() and not far[count == 0].any()
    np.testing.assert_array_equal(flat, cell[:, 1] * 80 + cell[:, 0])
    fine = loops.depth_cells(u, v, z, 45, 160, 4.0, 8.0)[:3]
    coarse = loops.depth_cells(u, v, z, 45, 80, 8.0, 8.0)[:3]
    for wide, wanted in zip(loops.wider_cells(*fine, 2), coarse):
        np.testing.assert_array_equal(wide, wanted)


@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 3), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_usual_counts_are_quantiles_of_groups(r: int, c: int, down: int, across: int, seed: int) -> None:
    count = np.random.default_rng(seed).integers(0, 9, (r, c))
    rows, columns = np.arange(0, r, down), np.arange(0, c, across)
    groups = np.add.reduceat(np.add.reduceat(count, rows, axis=0), columns, axis=1)
    found = loops.upper_counts(count, down, across, 0.7)
    np.testing.assert_allclose(found, np.quantile(groups, 0.7, axis=1), rtol=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_the_lowest_point_of_each_square_metre(seed: int) -> None:
    rng = np.random.default_rng(seed)
    xyz = rng.uniform((-18, -1, -3), (18, 3, 44), (400, 3)).astype(np.float32)
    counts = (xyz[:, 2] > 3) & (xyz[:, 2] < 40) & (np.abs(xyz[:, 0]) < 15) & (xyz[:, 1] > 0.3)
    cells: dict[tuple[int, int], float] = {}
    for x, y, z in xyz[counts]:
        key = int(np.floor(x + np.float32(15))), int(z)
        cells[key] = max(cells.get(key, 0.0), float(y))
    low, count = loops.lowest(xyz, 3.0, 40.0, 15)
    assert count == np.count_nonzero(counts)
    assert low.tolist() == [[a - 14.5, y, b + 0.5] for (a, b), y in sorted(cells.items())]


@given(st.lists(st.floats(1, 60, width=32), max_size=60, unique=True).map(sorted))
def test_the_nearest_body_is_the_first_that_holds_enough(ranges: list[float]) -> None:
    z = np.array(ranges, np.float32)
    count = [int(np.count_nonzero((z >= a) & (z <= a * np.float32(1.12)))) for a in z]
    first = next((i for i, c in enumerate(count) if c >= max(3.0, 0.3 * len(z))), None)
    found = loops.nearest_body(z, 3.0, 0.3, 1.12, 200)
    if first is None:
        assert np.isnan(found)
    else:
        assert found == z[first + count[first] // 2]


@given(st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_cells_that_touch_are_one_component(seed: int, full: float) -> None:
    rng = np.random.default_rng(seed)
    shape = rng.integers(1, 30, 2)
    for _ in range(2):  # what an earlier grid left behind is not seen
        grid = (rng.random(shape) < full).astype(np.uint8)
        count, wanted = cv2.connectedComponents(grid, connectivity=8)
        label, labels = loops.components(grid)
        here = grid.ravel() > 0
        assert labels == count
        pairs = np.unique(np.column_stack([label[: grid.size][here], wanted.ravel()[here]]), axis=0)
        assert len(pairs) == count - 1 == len(np.unique(pairs[:, 0]))  # one to one
        met = label[: grid.size][here]
        assert list(dict.fromkeys(met.tolist())) == list(range(1, labels))


def test_a_plane_is_found_among_things_that_stand_on_it() -> None:
    rng = np.random.default_rng(3)
    x, z = rng.uniform(-10, 10, 300), rng.uniform(4, 40, 300)
    y = 0.02 * x - 0.01 * z + 1.6 + rng.normal(0, 0.02, 300)
    y[:60] -= rng.uniform(0.4, 2.0, 60)
    fitted = loops.tukey_plane(
        np.column_stack([x, y, z]), np.array([0.0, 0.0, 1.6]), np.array([0.6, 0.4, 0.25]), 15
    )
    assert fitted is not None
    plane, carried = fitted
    assert plane == pytest.approx([0.02, -0.01, 1.6], abs=0.02) and 200 <= carried <= 300
    assert loops.tukey_plane(np.zeros((3, 3)), np.zeros(3), np.array([0.5]), 15) is None


def test_arrays_that_others_own_are_read_and_never_written() -> None:
    xyz = np.ones((4, 3), np.float32)
    xyz.flags.writeable = False
    assert len(loops.in_view(xyz, np.eye(4), -2.0, 2.0)) == 4


@given(clouds, st.floats(4, 30), st.floats(0, 5))
def test_what_is_seen_through_is_counted_by_column(xyz: F32, beyond: float, length: float) -> None:
    _, u, v, z, start = CAMERA.view(xyz, np.eye(4), 0.5)
    height = (1.6 - 0.05 * z).astype(np.float32)
    index = np.flatnonzero((u >= 100) & (u < 500) & (v >= 50) & (v <= 300))
    index = index[:: 1 + len(index) // 8]
    ground = height[index] < 0.25 + 0.01 * z[index]
    passed = z[index] > np.where(ground, beyond, beyond + length)
    told = passed | ~ground
    count = min(max(int(np.count_nonzero(told) / 4.0), 2), 6)
    column = np.minimum((u[index] - 100.0) * (count / 400.0), count - 1).astype(int)
    rays, through = (np.bincount(column[m], minlength=count) for m in (told, passed))
    is_open = "".join("x" if n >= 2 and p >= 0.8 * n else " " for n, p in zip(rays, through))
    room = np.empty(len(u), np.intp)
    width, share, total = loops.seen_through(
        u, v, z, height, start, 100.0, 50.0, 500.0, 300.0, beyond, length, 0.25, 0.01, 8, 2.0, 0.8, 2, 6, room
    )
    assert width == max(map(len, is_open.split(" "))) / count
    assert total == told.sum() and share == passed.sum() / max(told.sum(), 1)


@given(st.integers(0, 2**32 - 1))
def test_points_on_a_body_are_those_over_its_place(seed: int) -> None:
    rng = np.random.default_rng(seed)
    u = np.sort(rng.uniform(0, 40, 60)).astype(np.float32)
    v, height = rng.uniform(0, 20, 60).astype(np.float32), rng.uniform(0, 1, 60).astype(np.float32)
    xyz = rng.uniform(-2, 2, (60, 3)).astype(np.float32)
    cloud: Any = SimpleNamespace(u=u, v=v, xyz=xyz, height=height, start=np.searchsorted(u, np.arange(41)))
    box, center, size = np.array([5.0, 2, 30, 18]), np.array([0.2, 0, -0.3]), np.array([1.5, 1, 2.0])
    inside = (u >= 5) & (u < 30) & (v >= 2) & (v <= 18) & (height > 0.25)
    off = np.abs(xyz - center) - size / 2
    wanted = np.flatnonzero(inside & (off[:, 0] < 0.05) & (off[:, 2] < 0.05))
    np.testing.assert_array_equal(loops.on_body(cloud, box, center, size, 0.05, 0.25), wanted)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2))
def test_places_near_occupied_cells_are_those_of_the_grid_dilated(seed: int, reach: int) -> None:
    rng = np.random.default_rng(seed)
    grid = (rng.random((9, 12)) < 0.05).astype(np.uint8)
    at = rng.integers(-2, 14, (2, 40))
    inside = (at >= 0).all(axis=0) & (at[0] < 9) & (at[1] < 12)
    wide = cv2.dilate(grid, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    assert loops.near_occupied(grid, *at, reach) == np.count_nonzero(wide[tuple(at[:, inside])])


def test_a_hole_is_as_large_as_the_road_is_far() -> None:
    k = np.array([[700.0, 0, 600], [0, 700, 180], [0, 0, 1]])
    # 12 m ahead on a level road 1.6 m below: 93.3 pixels under the horizon.
    stats = np.array([[36, 10, 4, 3, 12]], np.int32)
    (width,), (height,), (range_m,), (lateral,) = loops.hole_sizes(
        stats, 3, 16.0, 1, k, np.array([0, 0, 1.6])
    )
    assert range_m == pytest.approx(1.6 * 700 / (17 * 16 - 180))
    metre = range_m / 700 * 16
    assert (width, height, lateral) == pytest.approx((4 * metre, 3 * metre, 0.5 * metre))


@given(st.integers(0, 400), st.floats(0.5, 400), st.floats(0.5, 20))
def test_few_returns_surprise_as_the_negative_binomial_says(
    found: int, expected: float, shape: float
) -> None:
    count, mean, told = np.full(2, float(found)), np.full(2, expected), np.array([1, 0], np.uint8)
    surprise, untold = loops.few_returns(count, mean, told, shape, 500.0)
    fewer = nbinom.cdf(min(found, np.ceil(expected)), shape, shape / (shape + expected))
    assert surprise == pytest.approx(-np.log(max(fewer, 1e-12)), rel=1e-6, abs=1e-9)
    assert np.isnan(untold)


def test_a_box_expects_returns_for_what_of_it_is_in_the_image() -> None:
    density = np.array([0.0, 0.02, 0.04])
    boxes = np.array([[10.0, 0, 30, 48], [-20, 20, 10, 40], [90, 16, 200, 32], [5, 5, 5, 40], [0, 60, 9, 90]])
    wanted = [20 * (16 * 0.02 + 16 * 0.04), 10 * (12 * 0.02 + 8 * 0.04), 10 * 16 * 0.02, 0, 0]
    np.testing.assert_allclose(loops.expected_returns(boxes, density, 16.0, 100.0), wanted)
