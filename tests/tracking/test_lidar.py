"""LiDAR objects: one identity a thing over sweeps, boxes where the detector said."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard.rig import CameraModel, Rig
from edgeguard.tracking.lidar import CAPACITY, LidarBoxes, LidarObjects, LidarTracker, LidarTrackerSettings
from edgeguard.types import Detections3D

T0 = 1_700_000_000_000_000_000
MS = 1_000_000
CAMERA = CameraModel("camera_optical", 1242, 375, np.array([[720.0, 0, 620], [0, 720, 187], [0, 0, 1]]))
RIG = Rig(CAMERA, {"camera_optical": np.eye(4)})
NAMES = ("car", "person")


def detections(
    *rows: tuple[float, float, float, float, int], frame_id: str = "camera_optical"
) -> Detections3D:
    """Cars' sizes at (x, y, z), yaw about the vertical axis, class."""
    a = np.array(rows, np.float64).reshape(-1, 5)
    n = len(a)
    quaternion = np.column_stack([np.zeros(n), np.sin(a[:, 3] / 2), np.zeros(n), np.cos(a[:, 3] / 2)])
    size = np.tile([4.0, 1.5, 1.8], (n, 1))
    return Detections3D(
        T0, frame_id, a[:, :3], size, quaternion, np.full(n, 0.9, np.float32), a[:, 4].astype(np.int32), NAMES
    )


def measured(*rows: tuple[float, float, float, float, int]) -> LidarBoxes:
    found = LidarBoxes.from_detections(detections(*rows), RIG, logits=False)
    assert found is not None
    return found


def scene(t: float) -> list[tuple[float, float, float, float, int]]:
    return [(0.0, 1.0, 15.0 + 3 * t, 0.0, 0), (4.0 - t, 1.0, 25.0, 0.3, 0), (-6.0, 1.0, 18.0 - 5 * t, 0.0, 1)]


def same(a: LidarObjects, b: LidarObjects) -> bool:
    return all(
        np.array_equal(getattr(a, f.name), getattr(b, f.name), equal_nan=f.name in ("xyxy", "bottom"))
        for f in dataclasses.fields(LidarObjects)
    )


def test_a_turned_box_in_another_frame_lands_where_it_is() -> None:
    matrix = np.eye(4)
    matrix[:3, :3] = [[0, -1, 0], [0, 0, -1], [1, 0, 0]]  # REP 103: lidar to optical
    rig = Rig(CAMERA, {"lidar": matrix, "camera_optical": np.eye(4)})
    half = np.pi / 4  # yaw of 90 degrees about z
    d = Detections3D(
        T0,
        "lidar",
        np.array([[10.0, 2.0, 0.5]]),
        np.array([[4.0, 1.8, 1.5]]),
        np.array([[0, 0, np.sin(half), np.cos(half)]]),
        np.array([2.0], np.float32),
        np.array([0], np.int32),
        NAMES,
    )
    box = LidarBoxes.from_detections(d, rig, logits=True)
    assert box is not None
    np.testing.assert_allclose(box.center, [[-2.0, -0.5, 10.0]])
    np.testing.assert_allclose(box.size, [[4.0, 1.5, 1.8]], atol=1e-12)
    np.testing.assert_allclose(box.corners.mean(axis=1), box.center, atol=1e-12)
    np.testing.assert_allclose(box.probability, 1 / (1 + np.exp(-2.0)))
    assert LidarBoxes.from_detections(dataclasses.replace(d, frame_id="nowhere"), rig, logits=True) is None


@given(st.lists(st.integers(20, 250), min_size=3, max_size=30))
@settings(deadline=None)
def test_identities_hold_over_irregular_sweeps(intervals_ms: list[int]) -> None:
    tracker, now = LidarTracker(LidarTrackerSettings()), 0
    for dt in intervals_ms:
        now += dt
        seen = tracker.update(T0 + now * MS, measured(*scene(min(now / 1e3, 3.0))), RIG)
        assert seen.id.tolist() == [1, 2, 3] and seen.matched.all()
        np.testing.assert_allclose(seen.center, [r[:3] for r in scene(min(now / 1e3, 3.0))], atol=1e-9)


def test_between_sweeps_objects_move_on_and_stay_matched_to_the_sweep_in_use() -> None:
    tracker = LidarTracker(LidarTrackerSettings())
    for i in range(10):
        tracker.update(T0 + i * 100 * MS, measured(*scene(i / 10)), RIG)
    between = tracker.update(T0 + 950 * MS, None, RIG)
    assert between.id.tolist() == [1, 2, 3] and between.matched.all()
    assert 17.6 < between.center[0, 2] < 18.0
    gone = tracker.update(T0 + 1000 * MS, measured(), RIG)
    assert gone.id.tolist() == [1, 2, 3] and not gone.matched.any()
    assert len(tracker.update(T0 + 1700 * MS, measured(), RIG)) == 0


def test_what_is_behind_the_camera_has_no_box_in_the_image() -> None:
    seen = LidarTracker(LidarTrackerSettings()).update(T0, measured((0, 1, 20, 0, 0), (0, 1, -5, 0, 0)), RIG)
    assert np.isfinite(seen.xyxy[0]).all() and np.isnan(seen.xyxy[1]).all()
    x0, y0, x1, y1 = seen.xyxy[0]
    assert x0 < 620 < x1 and y0 < 187 + 720 * 1.0 / 20 < y1


@given(st.lists(st.tuples(st.integers(-150, 400), st.integers(0, 2**32 - 1)), min_size=1, max_size=20))
@settings(deadline=None, max_examples=40)
def test_any_input_gives_sane_objects_and_the_same_input_the_same_ones(steps: list[tuple[int, int]]) -> None:
    first, second = (LidarTracker(LidarTrackerSettings()) for _ in range(2))
    now, known = 0, 0
    for dt, seed in steps:
        now += dt
        rng = np.random.default_rng(seed)
        n = int(rng.integers(0, 12))
        rows = np.column_stack(
            [
                rng.uniform(-30, 30, n),
                np.ones(n),
                rng.uniform(-5, 60, n),
                rng.uniform(-4, 4, n),
                rng.integers(0, 2, n),
            ]
        )
        boxes = measured(*map(tuple, rows)) if seed % 4 else None
        a, b = (t.update(T0 + now * MS, boxes, RIG) for t in (first, second))
        assert same(a, b)
        assert (np.diff(a.id) > 0).all() and len(np.unique(a.slot)) == len(a)
        assert np.array_equal(a.is_new, a.id > known)
        known = max(known, int(a.id.max(initial=0)))
        assert np.isfinite(a.center).all() and np.isfinite(a.velocity).all()
        if boxes is not None:
            assert sorted(a.measurement[a.matched]) == list(range(n))


def test_a_flood_of_objects_is_bounded() -> None:
    rng, tracker = np.random.default_rng(3), LidarTracker(LidarTrackerSettings())
    for i in range(6):
        rows = np.column_stack(
            [rng.uniform(-300, 300, 1000), np.ones(1000), rng.uniform(1, 900, 1000), np.zeros((1000, 2))]
        )
        seen = tracker.update(T0 + i * 100 * MS, measured(*map(tuple, rows)), RIG)
        assert len(seen) <= CAPACITY and seen.matched.sum() <= 128
