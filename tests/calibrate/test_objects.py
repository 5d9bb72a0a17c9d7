"""Attacks on detections do what they say, where they say, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from edgeguard.redteam.objects import KINDS, plan
from tests.calibrate.conftest import Drive, make


@pytest.mark.parametrize("kind", KINDS)
def test_an_attack_lasts_a_second_and_touches_one_thing(drive: Drive, kind: str) -> None:
    frames = drive()
    planned = plan(frames, kind, 2, np.random.default_rng(0))
    assert planned
    for attack in planned:
        label = attack.label
        assert label.kind == kind
        assert 0.8e9 <= label.end_ns - label.onset_ns <= 1.0e9
        assert set(label.boxes) == set(attack.frames)
        before = {f.stamp_ns: f for f in frames}
        for stamp, frame in attack.frames.items():
            old = before[stamp]
            camera = len(frame.detections) - len(old.detections)
            lidar = len(frame.lidar_detections) - len(old.lidar_detections)
            expected = {
                "camera_drop": (-1, 0),
                "lidar_drop": (0, -1),
                "camera_ghost": (1, 0),
                "lidar_ghost": (0, 1),
            }
            assert (camera, lidar) == expected.get(kind, (0, 0))
            if kind == "class_flip":
                assert frame.detections.labels == ["person"] and old.detections.labels == ["car"]
                assert np.array_equal(frame.detections.xyxy, old.detections.xyxy)


def test_a_box_drifts_by_its_width_in_a_second(drive: Drive) -> None:
    frames = drive()
    attack = plan(frames, "box_drift", 1, np.random.default_rng(0))[0]
    before = {f.stamp_ns: f for f in frames}
    moved = [
        abs(float(new.detections.xyxy[0, 0] - before[t].detections.xyxy[0, 0]))
        / float(before[t].detections.xyxy[0, 2] - before[t].detections.xyxy[0, 0])
        for t, new in attack.frames.items()
    ]
    assert moved == pytest.approx(np.arange(1, len(moved) + 1) / 10, abs=0.02)


def test_targets_were_held_by_both_sensors_before(drive: Drive) -> None:
    frames = drive(6.0, lost=(2.0, 2.5))
    onsets = {
        round((a.label.onset_ns - frames[0].stamp_ns) / 1e8)
        for kind in ("camera_drop", "lidar_drop")
        for a in plan(frames, kind, 100, np.random.default_rng(0))
    }
    assert onsets
    assert not onsets & set(range(21, 30)), "within half a second of the camera's own loss"
    assert min(onsets) >= 5


def test_ghosts_stand_in_the_open_on_the_road() -> None:
    frames = make(8.0)
    for attack in plan(frames, "lidar_ghost", 20, np.random.default_rng(1)):
        for frame in attack.frames.values():
            car, ghost = frame.lidar_detections.center
            assert np.hypot(*(ghost - car)[[0, 2]]) > 3.5
            assert 7 < ghost[2] < 30 and abs(ghost[0]) < 3.5


def test_the_same_seed_makes_the_same_attacks(drive: Drive) -> None:
    frames = drive()
    one, two = (plan(frames, "camera_ghost", 3, np.random.default_rng(5)) for _ in range(2))
    assert [a.label.onset_ns for a in one] == [a.label.onset_ns for a in two]
    for a, b in zip(one, two):
        for t in a.frames:
            assert np.array_equal(a.frames[t].detections.xyxy, b.frames[t].detections.xyxy)
