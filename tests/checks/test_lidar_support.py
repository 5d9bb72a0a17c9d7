"""Points expected on what the camera sees against points found there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.types import Channel, Frame, PointCloud
from edgeguard.verdict import Alarm, Cause
from tests.checks.stage import CAMERA_HEIGHT, Thing, drive

CAR = Thing("car", lambda t: (0.5, 14.0))
RNG = np.random.default_rng(0)


def rays() -> np.ndarray:
    """Directions of a 48-beam LiDAR at the camera, a fifth of a degree apart across."""
    elevation, azimuth = np.meshgrid(np.radians(np.linspace(-20, 4, 48)), np.radians(np.arange(-40, 40, 0.2)))
    x, y, z = np.tan(azimuth), -np.tan(elevation) / np.cos(azimuth), np.ones_like(azimuth)
    return np.stack([x, y, z], axis=-1).reshape(-1, 3)


def sweep(
    car: Thing | None, t: float, *, drop: Callable[[np.ndarray], np.ndarray] | None = None
) -> np.ndarray:
    """Where the rays end: on the car's back, on the road, or on a wall 60 m ahead."""
    d = rays()
    depth = np.full(len(d), 60.0)
    falling = d[:, 1] > 1e-3
    depth[falling] = np.minimum(depth[falling], CAMERA_HEIGHT / d[falling, 1])
    if car is not None:
        x, z = car.at(t)
        face = z - car.length / 2
        on = (np.abs(d[:, 0] * face - x) < car.width / 2) & (d[:, 1] * face < CAMERA_HEIGHT)
        on &= d[:, 1] * face > CAMERA_HEIGHT - car.height
        depth[on] = face
    points = d * depth[:, None] + RNG.normal(0, 0.02, d.shape)
    return points if drop is None else points[~drop(points)]


def watch(
    boxed: Thing, swept: Callable[[float], np.ndarray], seconds: float = 2.0
) -> list[tuple[float, Alarm]]:
    monitor = Monitor(MonitorSettings(calibration="none"))
    others = frozenset(monitor.check_names) - {"stream_integrity", "lidar_support"}
    found = []
    for frame in _with_points(boxed, swept, seconds):
        t = (frame.stamp_ns - _first_ns(boxed)) * 1e-9
        found += [(t, a) for a in monitor.step(frame, skip=others).alarms if a.check == "lidar_support"]
    return found


def _first_ns(boxed: Thing) -> int:
    return next(iter(drive([boxed], 0.1))).stamp_ns


def _with_points(boxed: Thing, swept: Callable[[float], np.ndarray], seconds: float) -> Iterator[Frame]:
    for i, frame in enumerate(drive([boxed], seconds, lidar=False)):
        cloud = PointCloud(frame.stamp_ns, "camera_optical", swept(i / 10).astype(np.float32))
        seen = {**frame.last_seen_ns, Channel.LIDAR: frame.now_ns}
        yield replace(frame, points=cloud, last_seen_ns=seen)


def test_a_car_with_its_points_is_no_alarm() -> None:
    assert watch(CAR, lambda t: sweep(CAR, t)) == []


def test_a_dark_car_that_returns_a_third_of_its_points_is_no_alarm() -> None:
    def dark(points: np.ndarray) -> np.ndarray:
        on = (points[:, 2] > 11) & (points[:, 2] < 13) & (points[:, 1] < CAMERA_HEIGHT - 0.1)
        return on & (RNG.uniform(size=len(points)) < 0.67)

    assert watch(CAR, lambda t: sweep(CAR, t, drop=dark)) == []


def test_a_phantom_that_lidar_sees_through_is_the_cameras_within_half_a_second() -> None:
    t, alarm = watch(CAR, lambda t: sweep(None, t))[0]
    assert t <= 0.5
    assert alarm.cause is Cause.CAMERA
    assert alarm.measured["found_points"] <= 0.1 * alarm.measured["expected_points"]
    assert "LiDAR points where" in alarm.reason


def test_points_that_vanish_from_a_car_that_had_them_are_the_lidars() -> None:
    def gone(points: np.ndarray) -> np.ndarray:
        x, z = CAR.at(0)
        shadow = np.abs(points[:, 0] / points[:, 2] * z - x) < 1.2
        return shadow & (points[:, 1] / points[:, 2] * z > -0.3)

    found = watch(CAR, lambda t: sweep(CAR, t, drop=gone if t >= 1.0 else None))
    t, alarm = found[0]
    assert 1.0 <= t <= 1.5
    assert alarm.cause is Cause.LIDAR


def test_too_far_to_expect_points_is_unobservable_not_pass() -> None:
    far = Thing("car", lambda t: (0.0, 90.0))
    monitor = Monitor(MonitorSettings(calibration="none"))
    for frame in _with_points(far, lambda t: sweep(None, t), 1.0):
        coverage = monitor.step(frame).coverage["lidar_support"]
        assert coverage.passed == coverage.failed == 0
    assert coverage.unobservable == 1


def test_hidden_behind_something_nearer_is_unobservable() -> None:
    wall = Thing("car", lambda t: (0.5, 8.0))
    assert watch(CAR, lambda t: sweep(wall, t)) == []
