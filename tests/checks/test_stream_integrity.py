"""Streams that freeze, repeat, go blind, fall silent or lose their clock; and such as only stand still."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.types import Channel, Detections, EgoMotion, Frame, Image, PointCloud
from edgeguard.verdict import Alarm, Cause, Level
from tests.checks.stage import RIG

MS = 1_000_000
WORLD = np.random.default_rng(7).integers(30, 220, (375, 2600, 3), np.uint8)


def scenery(i: int, *, noise: float = 2.0) -> np.ndarray:
    """A picture that moves two pixels a frame, with sensor noise."""
    picture = WORLD[:, 2 * i : 2 * i + 1242].astype(np.float32)
    grain = np.random.default_rng(i).normal(0, noise, picture.shape) if noise else 0.0
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def sweep(i: int, *, moving: bool = True, points: int = 8000) -> np.ndarray:
    """Walls on both sides and a road: nearer by half a metre a frame when moving."""
    rng = np.random.default_rng(1)
    shift = 0.5 * i if moving else 0.0
    z = rng.uniform(4, 40, points)
    side = rng.choice([-8.0, 8.0], points)
    wall = np.column_stack([side, rng.uniform(-2, 1.5, points), z + 0.8 * np.sin(z + shift)])
    wall[::2] = np.column_stack([rng.uniform(-7, 7, points), np.full(points, 1.65), z])[::2]
    return (wall + np.random.default_rng(100 + i).normal(0, 0.01, wall.shape)).astype(np.float32)


def frames(
    n: int,
    picture: Callable[[int], np.ndarray] = scenery,
    *,
    cloud: Callable[[int], np.ndarray] | None = sweep,
    stamp_ms: Callable[[int], float] = lambda i: 100.0 * i,
    speed: float | None = None,
) -> Iterator[Frame]:
    for i in range(n):
        now = round(i * 100 * MS) + 10**15
        stamp = round(stamp_ms(i) * MS) + 10**15
        seen = {Channel.CAMERA: now, Channel.DETECTIONS: now}
        stamps = {Channel.CAMERA: stamp, Channel.DETECTIONS: stamp}
        if cloud is not None:
            seen[Channel.LIDAR], stamps[Channel.LIDAR] = now, stamp
        yield Frame(
            stamp,
            now,
            Image(stamp, "camera_optical", picture(i)),
            Detections.empty(stamp),
            PointCloud(stamp, "camera_optical", cloud(i)) if cloud is not None else None,
            ego=EgoMotion(stamp, np.array([speed, 0, 0]), np.zeros(3)) if speed is not None else None,
            rig=RIG,
            last_stamp_ns=stamps,
            last_seen_ns=seen,
        )


def raised(drive: Iterator[Frame]) -> list[tuple[int, Alarm]]:
    """Alarms of stream_integrity, with the number of the frame."""
    monitor = Monitor(MonitorSettings(calibration="none"))
    others = frozenset(monitor.check_names) - {"stream_integrity"}
    return [(i, a) for i, frame in enumerate(drive) for a in monitor.step(frame, skip=others).alarms]


def first(found: list[tuple[int, Alarm]]) -> tuple[int, Alarm]:
    assert found, "no alarm"
    return found[0]


def test_a_moving_picture_is_no_alarm() -> None:
    assert raised(frames(30)) == []


def test_a_frozen_picture_while_the_world_moves_is_the_cameras() -> None:
    i, alarm = first(raised(frames(30, lambda i: scenery(min(i, 15)))))
    assert 16 <= i <= 20
    assert (alarm.cause, alarm.level, alarm.subject.id) == (Cause.CAMERA, Level.FAIL_SAFE, "camera")
    assert "frozen" in alarm.reason


def test_a_frozen_picture_of_a_noisy_camera_tells_without_lidar() -> None:
    i, _ = first(raised(frames(30, lambda i: scenery(min(i, 15)), cloud=None)))
    assert i <= 20


def test_standing_still_with_an_unchanging_picture_is_no_alarm() -> None:
    def still(i: int) -> np.ndarray:
        return scenery(min(i, 10), noise=0.0)

    stopped = frames(40, still, cloud=lambda i: sweep(min(i, 10), moving=True), speed=0.0)
    assert [a for i, a in raised(stopped) if a.subject.id == "camera"] == []


def test_an_earlier_stretch_shown_again_is_named_with_its_age() -> None:
    i, alarm = first(raised(frames(40, lambda i: scenery(i if i < 20 else i - 15))))
    assert 20 <= i <= 24
    assert alarm.reason == "shows again what it showed 1.5 s ago"


@pytest.mark.parametrize("value", [0, 255])
def test_a_picture_without_content_is_blindness(value: int) -> None:
    def blind(i: int) -> np.ndarray:
        noise = np.random.default_rng(i).integers(0, 3, (375, 1242, 3))
        return np.clip(abs(value - noise), 0, 255).astype(np.uint8) if i >= 15 else scenery(i)

    i, alarm = first(raised(frames(30, blind)))
    assert 15 <= i <= 20
    assert alarm.reason.startswith("blinded: 100%") and alarm.cause is Cause.CAMERA


def test_a_covered_lens_whose_sensor_still_makes_noise_is_blindness() -> None:
    def covered(i: int) -> np.ndarray:
        if i < 15:
            return scenery(i)
        dark = 0.02 * scenery(i).astype(np.float64) + np.random.default_rng(i).normal(6, 2, scenery(i).shape)
        return np.clip(dark, 0, 255).astype(np.uint8)

    i, alarm = first(raised(frames(30, covered)))
    assert 15 <= i <= 19 and alarm.cause is Cause.CAMERA
    assert alarm.reason.startswith("blinded: contrast")


def boxed(drive: Iterator[Frame], count: Callable[[int], int]) -> Iterator[Frame]:
    for i, frame in enumerate(drive):
        n = count(i)
        corner = np.random.default_rng(i).uniform(0, 300, (n, 2)).astype(np.float32)
        xyxy = np.hstack([corner, corner + 40.0]).astype(np.float32)
        found = Detections(frame.stamp_ns, xyxy, np.full(n, 0.9, np.float32), np.zeros(n, np.int32), ("car",))
        yield replace(frame, detections=found)


def test_a_flood_of_boxes_is_the_cameras() -> None:
    i, alarm = first(raised(boxed(frames(30), lambda i: 1000 if i >= 15 else 6)))
    assert 15 <= i <= 19
    assert (alarm.cause, alarm.level, alarm.subject.id) == (Cause.CAMERA, Level.FAIL_SAFE, "detections")
    assert alarm.reason == "1000 boxes in one picture, where 6 are usual"


def test_a_flood_since_the_start_is_one_too() -> None:
    assert raised(boxed(frames(10), lambda i: 1000))


def test_a_crowd_that_comes_into_view_is_no_flood() -> None:
    assert raised(boxed(frames(40), lambda i: 2 if i < 10 else 24 if i < 20 else 60)) == []


def test_a_tunnel_exit_is_no_blindness() -> None:
    def exposed(i: int) -> np.ndarray:
        gain = 0.25 if i < 15 else 1.6 if i < 18 else 1.0
        return np.clip(scenery(i) * gain, 0, 255).astype(np.uint8)

    assert raised(frames(40, exposed)) == []


def test_silence_is_a_fact_at_once_and_named() -> None:
    *_, last = frames(10)
    monitor = Monitor(MonitorSettings(calibration="none"))
    for frame in frames(10):
        monitor.step(frame)
    now = last.now_ns + 240 * MS
    tick = Frame(now, now, last_seen_ns=last.last_seen_ns, last_stamp_ns=last.last_stamp_ns, silent=True)
    verdict = monitor.step(tick)
    assert verdict.level is Level.FAIL_SAFE and not verdict.has_image
    assert verdict.alarms[0].reason == "silent for 0.24 s"


def test_silence_since_the_start_is_named_too() -> None:
    verdict = Monitor(MonitorSettings(calibration="none")).step(Frame(10**15, 10**15, silent=True))
    assert verdict.level is Level.FAIL_SAFE
    assert verdict.alarms[0].reason == "silent since the start"


def test_a_lidar_that_stops_is_named_while_the_camera_goes_on() -> None:
    def stopped() -> Iterator[Frame]:
        for i, frame in enumerate(frames(20)):
            if i < 10:
                held = frame
                yield frame
            else:
                seen = {**frame.last_seen_ns, Channel.LIDAR: held.last_seen_ns[Channel.LIDAR]}
                stamps = {**frame.last_stamp_ns, Channel.LIDAR: held.last_stamp_ns[Channel.LIDAR]}
                yield replace(frame, points=None, last_seen_ns=seen, last_stamp_ns=stamps)

    i, alarm = first(raised(stopped()))
    assert i in (13, 14), "400 ms is the default time-out"
    assert (alarm.subject.id, alarm.cause) == ("lidar", Cause.LIDAR)
    assert alarm.reason.startswith("silent for")


def test_a_clock_that_runs_back_is_a_fact() -> None:
    i, alarm = first(raised(frames(20, stamp_ms=lambda i: 100.0 * i if i != 12 else 900.0)))
    assert i == 12
    assert (alarm.cause, alarm.reason) == (Cause.CLOCK, "stamps ran back by 0.200 s")


def test_stamps_from_the_future_are_the_clocks() -> None:
    _, alarm = first(raised(frames(30, stamp_ms=lambda i: 100.0 * i + (300.0 if i > 10 else 0.0))))
    assert alarm.cause is Cause.CLOCK


def test_old_stamps_are_told_with_their_age() -> None:
    found = raised(frames(30, stamp_ms=lambda i: 100.0 * i - 800.0))
    assert "0.80 s old" in first(found)[1].reason


def test_irregular_frames_are_no_alarm() -> None:
    jitter = np.random.default_rng(3).uniform(-40, 40, 60)
    assert raised(frames(60, stamp_ms=lambda i: 100.0 * i + min(jitter[i], 0.0))) == []


def test_a_thin_sweep_is_the_lidars() -> None:
    i, alarm = first(raised(frames(30, cloud=lambda i: sweep(i, points=8000 if i < 15 else 2000))))
    assert 15 <= i <= 20
    assert (alarm.subject.id, alarm.cause) == ("lidar", Cause.LIDAR)
    assert "of its usual points" in alarm.reason


def test_the_same_sweep_under_new_stamps_is_the_lidars() -> None:
    i, alarm = first(raised(frames(30, cloud=lambda i: sweep(min(i, 15)))))
    assert 16 <= i <= 20
    assert alarm.reason == "sweep is the same as the one before"


def test_a_lidar_that_lags_from_now_on_shows_its_last_sweeps_again() -> None:
    i, alarm = first(raised(frames(30, cloud=lambda i: sweep(i if i < 15 else i - 5))))
    assert 15 <= i <= 19
    assert (alarm.subject.id, alarm.cause) == ("lidar", Cause.LIDAR)
    assert alarm.reason == "shows again what it showed 0.5 s ago"


def test_when_sight_returns_the_alarm_ends_and_keeps_its_reason_until_then() -> None:
    found = raised(frames(50, lambda i: scenery(min(i, 15) if i < 25 else i)))
    assert {a.reason for _, a in found} == {"picture is frozen while the world moves"}
    assert max(i for i, _ in found) < 35


def test_a_sector_of_the_sweep_that_is_swamped_with_light_is_the_lidars() -> None:
    def swamped(i: int) -> np.ndarray:
        xyz = sweep(i, points=20000)
        if i < 15:
            return xyz
        rng = np.random.default_rng(i)
        ahead = np.abs(xyz[:, 0]) < 0.27 * xyz[:, 2]
        xyz[ahead] *= (rng.uniform(2, 40, ahead.sum()) / xyz[ahead, 2])[:, None]
        return xyz

    clean = raised(frames(30, cloud=lambda i: sweep(i, points=20000)))
    assert [a for _, a in clean if a.subject.id == "lidar"] == []
    i, alarm = first([f for f in raised(frames(30, cloud=swamped)) if f[1].subject.id == "lidar"])
    assert 15 <= i <= 19 and alarm.cause is Cause.LIDAR
    assert "no common range" in alarm.reason
