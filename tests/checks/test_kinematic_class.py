"""What a thing is called must fit its shape and its speed over time."""

from __future__ import annotations

import numpy as np
import pytest
import stage

from edgeguard.checks.kinematic_class import KinematicClass, KinematicClassSettings
from edgeguard.scene import SceneBuilder, SceneSettings


def _details(frames: object) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    builder, check = SceneBuilder(SceneSettings()), KinematicClass(KinematicClassSettings())
    out = [check.score(builder.build(f))[0] for f in frames]
    names = out[-1].detail
    return np.array([o.score[0] for o in out]), {k: np.array([o.detail[k][0] for o in out]) for k in names}


BENIGN = {
    "stopped car": stage.Thing("car", lambda t: (0.0, 12.0)),
    "car side-on, crossing": stage.Thing("car", lambda t: (-9.0 + 5.0 * t, 18.0), 4.2, 1.5, 1.7),
    "turning car": stage.Thing("car", lambda t: (4.0 * np.sin(0.4 * t), 16.0 - 2 * t), 2.8),
    "oncoming at 25 m/s": stage.Thing("car", lambda t: (-3.0, 75.0 - 25.0 * t)),
    "child": stage.Thing("person", lambda t: (-4.0 + 1.5 * t, 12.0), 0.42, 1.05, 0.4),
    "runner": stage.Thing("person", lambda t: (-6.0 + 4.0 * t, 15.0), 0.8, 1.75, 0.6),
    "rider, side-on": stage.Thing("bicycle", lambda t: (-9.0 + 6.0 * t, 16.0), 1.7, 1.75, 0.6),
    "bicycle without rider": stage.Thing("bicycle", lambda t: (3.0, 10.0), 1.7, 1.05, 0.6),
    "lorry with a ladder": stage.Thing("truck", lambda t: (0.0, 25.0), 2.5, 3.6, 8.0),
}


@pytest.mark.parametrize("name", BENIGN)
@pytest.mark.parametrize(("lidar", "own_speed"), [(True, None), (True, 0.0), (False, 0.0)])
def test_honest_road_users_are_quiet(name: str, lidar: bool, own_speed: float | None) -> None:
    frames = stage.drive([BENIGN[name]], 3.0, lidar=lidar, own_speed=own_speed)
    assert "kinematic_class" not in stage.by(stage.alarms(frames))


def test_car_called_a_person_from_the_first_frame_is_seen_by_this_check_alone() -> None:
    """Its class never flips and a car is as high as a person: neither class history nor size tells."""
    found = stage.alarms(stage.drive([stage.Thing("person", lambda t: (0.5, 14.0 - t), 1.75, 1.5)], 3.0))
    assert stage.by(found) == {"kinematic_class"}
    assert found[0][0] < 1.6
    assert "wide" in found[0][1].reason


def test_person_faster_than_people_are_needs_own_motion_to_be_told() -> None:
    fast = stage.Thing("person", lambda t: (1.0, 35.0 - 16.0 * t), 0.6, 1.7, 0.5)
    score, detail = _details(stage.drive([fast], 1.6, own_speed=0.0))
    assert np.nanmax(score) > 5.0
    assert detail["speed_mps"][-1] == pytest.approx(16.0, abs=2.5)
    # As fast as that is the vehicle itself, for all the monitor knows.
    unknown, _ = _details(stage.drive([fast], 1.6))
    assert np.nanmax(unknown) < 3.0
    walking, _ = _details(stage.drive([fast], 1.6, own_speed=15.0))
    assert np.nanmax(walking) < 3.0


def test_what_stops_within_a_blink_needs_own_motion_to_be_told() -> None:
    def jerk(t: float) -> tuple[float, float]:
        return (1.0, 20.0 + 15.0 * max(t - 1.0, 0.0) ** 2)

    car = stage.Thing("car", jerk)
    _, told = _details(stage.drive([car], 2.0, own_speed=0.0))
    assert np.nanmax(told["acceleration_mps2"]) > 15.0
    assert np.nanmax(told["acceleration_sigma"]) > 1.0
    _, granted = _details(stage.drive([car], 2.0))
    assert np.nanmax(granted["acceleration_sigma"]) < np.nanmax(told["acceleration_sigma"])


def test_few_frames_are_unobservable() -> None:
    score, _ = _details(stage.drive([BENIGN["stopped car"]], 0.4))
    assert np.isnan(score).all()
