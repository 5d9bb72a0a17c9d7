"""Objects that come and go where objects may, and where they may not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from edgeguard.checks.birth_death import BirthDeath, BirthDeathSettings
from edgeguard.scene import SceneBuilder, SceneSettings
from edgeguard.types import Frame
from tests.checks.stage import Thing, drive


def scores(frames: Iterator[Frame]) -> list[float]:
    """The check's largest score on every frame, NaN where it could not tell."""
    builder, check = SceneBuilder(SceneSettings()), BirthDeath(BirthDeathSettings())
    out = []
    for frame in frames:
        values = check.score(builder.build(frame))[0].score
        out.append(float(np.nanmax(values)) if np.any(~np.isnan(values)) else float("nan"))
    return out


def from_(start: float, until: float, x: float = 0.5, z: float = 12.0) -> Thing:
    return Thing("car", lambda t: (x, z), score=lambda t: 0.9 if start <= t < until else 0.0)


def test_what_was_there_from_the_start_was_not_born() -> None:
    assert np.nanmax(scores(drive([from_(0, 9)], 2.0, lidar=False))) == 0


def test_a_large_object_that_stands_up_in_the_open_is_strange() -> None:
    found = scores(drive([from_(0, 9, -6.0, 20.0), from_(2.0, 9.0)], 3.0, lidar=False))
    assert max(found[20:24]) > 1.5
    assert np.nanmax(found[:20]) == 0


def test_an_object_that_comes_in_from_the_side_is_not() -> None:
    side = Thing("car", lambda t: (-12.5 + 2.0 * t, 14.0), score=lambda t: 0.9 if t > 1.5 else 0.0)
    assert np.nanmax(scores(drive([from_(0, 9, 3.0, 20.0), side], 3.0, lidar=False))) == 0


def test_a_held_object_that_vanishes_in_plain_view_is_strange() -> None:
    found = scores(drive([from_(0.0, 2.0)], 2.5, lidar=False))
    assert found[21] >= 1.0


def test_an_object_that_passes_behind_another_may_vanish() -> None:
    behind = Thing("car", lambda t: (0.5, 25.0), score=lambda t: 0.9 if t < 2.0 else 0.0)
    front = Thing("truck", lambda t: (min(0.5, -6.0 + 3.3 * t), 10.0), width=2.5, height=3.0)
    found = scores(drive([behind, front], 2.5, lidar=False))
    assert np.nanmax(found[20:]) == 0


def test_a_car_that_narrows_behind_a_corner_may_vanish() -> None:
    """A wall, which no detector boxes, hides it from one side on."""

    def turned(vanishing_s: float) -> float:
        frames = list(drive([Thing("car", lambda t: (0.5, 9.5))], 3.0, lidar=False))
        for i, frame in enumerate(frames):
            found = frame.detections
            assert found is not None
            left = 1.0 - np.clip((i / 10 - 1.5) / vanishing_s, 0.0, 1.0)
            xyxy = found.xyxy.copy()
            xyxy[:, 2] = xyxy[:, 0] + left * (xyxy[:, 2] - xyxy[:, 0])
            score = np.full_like(found.score, 0.9 if left > 0.3 else 0.0)
            frames[i] = replace(frame, detections=replace(found, xyxy=xyxy, score=score))
        return max(scores(iter(frames))[20:])

    assert turned(0.8) <= 3.0
    assert turned(1e-3) > 4.0
