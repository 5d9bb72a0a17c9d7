"""What `calibration_drift` promises, on a real street: the extrinsics' error in degrees, no attack cried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeguard.checks.calibration_drift import CalibrationDrift, CalibrationDriftSettings
from edgeguard.evidence.accumulate import NEUTRAL_SCORE
from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.scene import SceneBuilder, SceneSettings
from edgeguard.types import Frame
from edgeguard.verdict import Cause, Level
from tests.checks.street import late_lidar, painted, scores, street, told, turned_lidar


def drift() -> CalibrationDrift:
    return CalibrationDrift(CalibrationDriftSettings())


def test_a_sound_calibration_is_not_strange(shared: Path) -> None:
    check = drift()
    found = told(scores(check, street(shared)))
    assert len(found) > 10
    assert found.max() < 1.0
    assert np.abs(check.bias_px).max() < 3.0


@pytest.mark.parametrize(
    ("turn", "axis", "sign"),
    [({"yaw_deg": 1.0}, "right", 1), ({"yaw_deg": -1.0}, "right", -1), ({"pitch_deg": -1.0}, "down", 1)],
)
def test_a_degree_off_is_measured_and_borne(
    shared: Path, turn: dict[str, float], axis: str, sign: int
) -> None:
    found = scores(drift(), turned_lidar(street(shared), **turn))
    assert found[-1].detail[f"bias_{axis}_deg"][0] == pytest.approx(sign, abs=0.3)
    assert told(found).max() < NEUTRAL_SCORE


def test_it_asks_for_caution_and_names_calibration(shared: Path) -> None:
    monitor = Monitor(MonitorSettings(calibration="none"))
    verdicts = [monitor.step(f) for f in turned_lidar(street(shared), yaw_deg=1.8)]
    own = [a for v in verdicts for a in v.alarms if a.check == "calibration_drift"]
    assert own
    assert {a.cause for a in own} == {Cause.CALIBRATION}
    assert max(a.level for a in own) == Level.CAUTION


def test_a_mount_that_gives_way_is_stranger_than_one_that_is_askew(shared: Path) -> None:
    frames = street(shared)
    turns = [min(max(1.2 * ((f.stamp_ns - frames[0].stamp_ns) * 1e-9 - 1.9), 0.0), 1.8) for f in frames]
    moving = [turned_lidar([f], yaw_deg=turn)[0] for f, turn in zip(frames, turns, strict=True)]
    askew = turned_lidar(frames, yaw_deg=1.8)
    assert told(scores(drift(), moving)).max() > told(scores(drift(), askew)).max() + 1.0


def test_an_axis_that_accused_is_not_cleared_by_the_other(
    shared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, check = street(shared)[0], drift()
    builder = SceneBuilder(SceneSettings())
    across = iter([-8.0, math.nan, math.nan, 0.0])
    monkeypatch.setattr(check._across, "shift", lambda settings: next(across))
    monkeypatch.setattr(check._down, "shift", lambda settings: 0.5)
    found = [float(check.score(builder.build(frame))[0].score[0]) for _ in range(4)]
    assert found[0] > NEUTRAL_SCORE and np.isnan(found[1:3]).all() and found[3] < NEUTRAL_SCORE


def test_a_lag_is_no_drift(shared: Path) -> None:
    assert told(scores(drift(), late_lidar(street(shared), 3))).max() < 1.8


def test_few_outlines_tell_nothing(shared: Path) -> None:
    few = [
        replace(f, points=replace(f.points, xyz=f.points.xyz[::200], intensity=None))
        for f in street(shared)
        if f.points is not None
    ]
    assert len(told(scores(drift(), few))) == 0


def test_fog_hides_the_tops_of_things(shared: Path) -> None:
    def foggy(bgr: np.ndarray, frame: Frame) -> np.ndarray:
        assert frame.rig is not None
        k, rows = frame.rig.camera.k, np.arange(len(bgr))
        depth = np.minimum(k[1, 1] * 1.65 / np.maximum(rows - k[1, 2], 1e-3), 80.0)
        through = np.exp(-np.log(20.0) / 80.0 * depth)[:, None, None]
        return (bgr * through + 205.0 * (1.0 - through)).astype(np.uint8)

    def down(frames: Sequence[Frame]) -> np.ndarray:
        return np.concatenate([s.detail["bias_down_deg"] for s in scores(drift(), frames)])

    off = turned_lidar(street(shared), pitch_deg=-1.8)
    assert np.nanmedian(down(off)) == pytest.approx(1.8, abs=0.3)
    assert np.isnan(down(painted(off, foggy))).all()
