"""Ground, clusters and density of sweeps whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.edges import depth_cells
from edgeguard.lidar import Clusters, DensityMap, LidarSettings, cluster, fit_ground
from edgeguard.rig import CameraModel
from edgeguard.sight import Sight, look
from edgeguard.types import F32

CAMERA = CameraModel("camera_optical", 1242, 375, np.array([[720.0, 0, 620], [0, 720, 187], [0, 0, 1]]))
SETTINGS = LidarSettings()


def road(rng: np.random.Generator, plane: tuple[float, float, float], n: int = 6000) -> F32:
    x, z = rng.uniform(-14, 14, n), rng.uniform(3, 39, n)
    y = plane[0] * x + plane[1] * z + plane[2] + rng.normal(0, 0.02, n)
    return np.column_stack([x, y, z]).astype(np.float32)


def body(rng: np.random.Generator, at: tuple[float, float], n: int = 300) -> F32:
    """Points on something 1.8 m wide, 1.4 m high and 1 m deep that stands on a level road 1.65 m below."""
    low, high = (at[0] - 0.9, 0.1, at[1]), (at[0] + 0.9, 1.5, at[1] + 1.0)
    return rng.uniform(low, high, (n, 3)).astype(np.float32)


def heights(xyz: F32) -> F32:
    return (np.float32(1.65) - xyz[:, 1]).astype(np.float32)


def clusters_of(xyz: F32) -> Clusters:
    uv, _ = CAMERA.project(xyz)
    u, v = np.ascontiguousarray(uv.T)
    found, occupied = cluster(xyz, u, v, heights(xyz), heights(xyz) > 0.25, SETTINGS)
    assert occupied.dtype == np.uint8
    return found


@pytest.mark.parametrize("plane", [(0, 0, 1.65), (0.03, -0.02, 1.6), (-0.02, 0.04, 0.9)])
def test_the_road_is_found_under_what_stands_on_it(plane: tuple[float, float, float]) -> None:
    rng = np.random.default_rng(2)
    things = np.concatenate([body(rng, (x, z)) for x, z in ((0, 8), (-5, 12), (6, 20))])
    ground = fit_ground(np.concatenate([road(rng, plane), things]), None)
    assert ground is not None
    at = np.array([[0, 0, 5], [5, 0, 20], [-8, 0, 35]], np.float32)
    truth = plane[0] * at[:, 0] + plane[1] * at[:, 2] + plane[2]
    a, b, c = ground.plane
    np.testing.assert_allclose(a * at[:, 0] + b * at[:, 2] + c, truth, atol=0.12)
    again = fit_ground(road(rng, plane), ground)
    assert again is not None and np.abs(again.plane - ground.plane).max() < 0.15


def test_no_road_where_none_is_seen() -> None:
    rng = np.random.default_rng(2)
    assert fit_ground(np.zeros((0, 3), np.float32), None) is None
    wall = np.column_stack([rng.uniform(-3, 3, 900), rng.uniform(-2, 0.2, 900), np.full(900, 10.0)])
    assert fit_ground(wall.astype(np.float32), None) is None


@given(st.sets(st.tuples(st.integers(-4, 4), st.integers(2, 9)), min_size=0, max_size=8), st.integers(0, 99))
@settings(deadline=None, max_examples=30)
def test_every_body_is_one_cluster(cells: set[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = [(4.0 * x, 5.0 * z) for x, z in cells]
    parts = [road(rng, (0, 0, 1.65), 2000)] + [body(rng, p) for p in places]
    found = clusters_of(rng.permutation(np.concatenate(parts)))
    assert len(found) == len(places)
    bodies = [part[heights(part) > 0.25] for part in parts[1:]]
    for c, mine in zip(np.lexsort(found.low.T), sorted(bodies, key=lambda p: p.min(axis=0)[::-1].tolist())):
        assert len(mine) == found.points[c]
        np.testing.assert_array_equal(found.low[c], mine.min(axis=0))
        np.testing.assert_array_equal(found.high[c], mine.max(axis=0))
        uv, _ = CAMERA.project(mine)
        np.testing.assert_array_equal(found.xyxy[c], [*uv.min(axis=0), *uv.max(axis=0)])
        assert found.nearest[c] == mine[:, 2].min()
        assert found.bottom[c] == pytest.approx(1.65 - mine[:, 1].max(), abs=1e-5)


def part(rng: np.random.Generator, z: float, low_m: float, top_m: float, deep_m: float = 0.2) -> F32:
    """Points from low to top above the road, as wide as a car."""
    low, high = (-0.85, 1.65 - top_m, z), (0.85, 1.65 - low_m, z + deep_m)
    return rng.uniform(low, high, (200, 3)).astype(np.float32)


def test_a_bonnet_that_returns_no_ray_parts_no_car() -> None:
    rng = np.random.default_rng(5)
    front, cabin = part(rng, 22.0, 0.4, 0.8), part(rng, 23.3, 0.7, 1.5)
    found = clusters_of(np.concatenate([front, cabin]))
    assert len(found) == 1 and found.points[0] == 400
    both = np.concatenate([front, cabin])
    np.testing.assert_array_equal(found.low[0], both.min(axis=0))
    np.testing.assert_array_equal(found.high[0], both.max(axis=0))
    assert found.bottom[0] == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize(("z", "top"), [(25.5, 1.5), (23.3, 0.5)], ids=["next in the queue", "lower still"])
def test_other_things_behind_a_low_one_are_others(z: float, top: float) -> None:
    rng = np.random.default_rng(5)
    assert len(clusters_of(np.concatenate([part(rng, 22.0, 0.3, 0.8), part(rng, z, 0.3, top)]))) == 2


def test_few_points_make_no_cluster() -> None:
    rng = np.random.default_rng(0)
    assert len(clusters_of(body(rng, (0, 10), SETTINGS.min_cluster_points - 1))) == 0


@pytest.mark.parametrize("cell", [0.13, 0.3, 0.7])
def test_cells_of_any_size_hold_the_rim_of_the_grid(cell: float) -> None:
    rim = np.array([[39.89, 0.0, 59.99], [-39.89, 0.0, 0.0]], np.float32).repeat(30, axis=0)
    (u, v), height = np.zeros((2, 60), np.float32), np.ones(60, np.float32)
    found, _ = cluster(rim, u, v, height, height > 0.25, LidarSettings(cell_m=cell))
    assert found.points.tolist() == [30, 30]


def seen(uv: F32) -> Sight:
    """What a sweep of so many pixels holds, all at 10 m."""
    return look(0, depth_cells(*uv.T.copy(), np.full(len(uv), 10.0, np.float32), (1242, 375)))


def test_density_expects_what_a_solid_box_returns() -> None:
    rng = np.random.default_rng(4)
    density = DensityMap(CAMERA)
    box = np.array([[300.0, 100, 500, 250], [0, 0, 0, 0], [-500, 100, -100, 250]])
    assert density.expected(box).tolist() == [0, 0, 0]
    per_pixel = 0.02
    n = int(per_pixel * 1242 * 375)
    for _ in range(20):
        uv = np.column_stack([rng.uniform(0, 1242, n), rng.uniform(0, 375, n)]).astype(np.float32)
        density.update(seen(uv))
    solid, empty, outside = density.expected(box)
    assert solid == pytest.approx(per_pixel * 200 * 150, rel=0.2)
    assert empty == outside == 0


def test_density_is_the_upper_quantile_of_each_row() -> None:
    rng = np.random.default_rng(4)
    uv = rng.uniform((0, 0), (1242, 375), (3000, 2)).astype(np.float32)
    density = DensityMap(CAMERA)
    density.update(seen(uv))
    rows, columns = 24, 26
    count, _, _ = np.histogram2d(uv[:, 1], uv[:, 0], (np.arange(rows + 1) * 16, np.arange(columns + 1) * 48))
    wanted = np.quantile(count, 0.7, axis=1) / (16 * 48)
    boxes = np.array([[0.0, 16 * r, 100, 16 * (r + 1)] for r in range(rows)])
    np.testing.assert_allclose(density.expected(boxes), 100 * 16 * wanted, rtol=1e-6)
