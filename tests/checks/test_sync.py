"""What `sync` promises, on a real street: whole sweeps of lag from content, or that none can be told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeguard.checks.sync import Sync, SyncSettings
from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.types import Frame
from tests.checks.street import late_lidar, scores, standing, street, told, turned_lidar


def sync() -> Sync:
    return Sync(SyncSettings())


def test_sensors_in_step_are_not_strange(shared: Path) -> None:
    found = told(scores(sync(), street(shared)))
    assert len(found) > 15
    assert found.max() == 0.0


@pytest.mark.parametrize("sweeps", [1, 3, 5])
def test_a_late_lidar_is_told_by_content_whatever_its_stamps(shared: Path, sweeps: int) -> None:
    found = scores(sync(), late_lidar(street(shared), sweeps))
    assert told(found)[5:].min() > 2.0
    assert found[-1].detail["lag_sweeps"][0] == sweeps
    assert found[-1].detail["lag_s"][0] == pytest.approx(0.1 * sweeps, abs=0.01)


def test_a_late_camera_is_told_from_a_late_lidar(shared: Path) -> None:
    frames = street(shared)
    late: list[Frame] = [
        replace(f, image=replace(old.image, stamp_ns=f.stamp_ns))
        for old, f in zip(frames, frames[3:])
        if old.image is not None
    ]
    check = sync()
    last = scores(check, late)[-1]
    assert last.detail["lag_sweeps"][0] == -3
    assert "the camera" in check.reason(last.cause[0], {k: float(v[0]) for k, v in last.detail.items()})


def test_only_sync_sees_a_late_lidar_and_nothing_sees_a_clean_drive(shared: Path) -> None:
    def alarms(frames: list[Frame]) -> set[str]:
        monitor = Monitor(MonitorSettings(calibration="none"))
        return {alarm.check for frame in frames for alarm in monitor.step(frame).alarms}

    assert alarms(late_lidar(street(shared), 3)) == {"sync"}
    assert alarms(list(street(shared))) == set()


def test_standing_still_tells_no_lag(shared: Path) -> None:
    frames = street(shared)
    assert len(told(scores(sync(), standing(frames[5], frames)))) == 0


def test_a_bent_mount_is_no_lag(shared: Path) -> None:
    found = told(scores(sync(), turned_lidar(street(shared), yaw_deg=1.0)))
    assert found.size == 0 or np.mean(found) < 1.8


def test_without_points_or_picture_there_is_nothing_to_tell(shared: Path) -> None:
    frames = street(shared)[:15]
    assert len(told(scores(sync(), [replace(f, points=None) for f in frames]))) == 0
    assert len(told(scores(sync(), [replace(f, image=None) for f in frames]))) == 0


def test_a_gap_begins_afresh(shared: Path) -> None:
    frames = street(shared)
    check = sync()
    scores(check, frames[:30])
    jump = [
        replace(f, stamp_ns=f.stamp_ns + 10**10, points=replace(f.points, stamp_ns=f.stamp_ns + 10**10))
        for f in frames[30:34]
        if f.points is not None
    ]
    assert len(told(scores(check, jump))) == 0
