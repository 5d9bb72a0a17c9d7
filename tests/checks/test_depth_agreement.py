"""Size against LiDAR range."""

from __future__ import annotations

from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.verdict import Alarm
from tests.checks.stage import Thing
from tests.checks.test_lidar_support import _with_points, sweep


def raised(boxed: Thing, standing: Thing) -> list[Alarm]:
    """Alarms of depth_agreement where the camera boxes one thing and the LiDAR meets another."""
    monitor = Monitor(MonitorSettings(calibration="none"))
    others = frozenset(monitor.check_names) - {"stream_integrity", "depth_agreement"}
    frames = _with_points(boxed, lambda t: sweep(standing, t), 2.0)
    return [a for f in frames for a in monitor.step(f, skip=others).alarms if a.check == "depth_agreement"]


def car(z: float, scale: float = 1.0) -> Thing:
    return Thing("car", lambda t: (0.5, z), width=1.7 * scale, height=1.5 * scale)


def test_a_car_where_its_size_says_is_no_alarm() -> None:
    assert raised(car(14.0), car(14.0)) == []


def test_a_van_called_car_is_no_alarm() -> None:
    van = Thing("car", lambda t: (0.5, 14.0), width=2.0, height=2.3)
    assert raised(van, van) == []


def test_a_small_person_is_no_alarm() -> None:
    child = Thing("person", lambda t: (0.5, 8.0), width=0.4, height=1.15, length=0.4)
    assert raised(child, child) == []


def test_a_large_picture_of_a_car_far_behind_its_pretended_place_is_named() -> None:
    screen = Thing("car", lambda t: (0.5, 30.0), width=8.0, height=6.0, length=0.5)
    alarm = raised(Thing("car", lambda t: (0.5, 30.0), width=7.0, height=5.5, length=0.5), screen)[0]
    assert "but LiDAR finds its body at" in alarm.reason
    assert alarm.measured["size_range_m"] < 0.5 * alarm.measured["lidar_range_m"]
