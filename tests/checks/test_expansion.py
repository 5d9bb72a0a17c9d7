"""A box grows as fast as its object comes nearer, whatever it is and however it moves."""

from __future__ import annotations

import numpy as np
import stage

from edgeguard.checks.expansion import Expansion, ExpansionSettings
from edgeguard.scene import SceneBuilder, SceneSettings


def _scores(frames: object) -> np.ndarray:
    builder, check = SceneBuilder(SceneSettings()), Expansion(ExpansionSettings())
    return np.array([check.score(builder.build(f))[0].score[:1] for f in frames])[:, 0]


def _from(start_s: float, rate: float) -> object:
    return lambda t: float(np.exp(rate * np.clip(t - start_s, 0.0, 1.2)))


def test_braking_car_cut_in_and_child_are_as_they_should_be() -> None:
    braking = stage.Thing("car", lambda t: (0.3, 28.0 - 5.0 * t + 0.7 * t**2))
    cut_in = stage.Thing("car", lambda t: (4.5 - 1.1 * min(t, 3.0), 18.0 - 1.0 * t))
    child = stage.Thing("person", lambda t: (-4.0 + 0.8 * t, 16.0 - 2.0 * t), 0.4, 1.1, 0.4)
    for thing in (braking, cut_in, child):
        assert "expansion" not in stage.by(stage.alarms(stage.drive([thing], 4.0)))


def test_stopped_vehicle_behind_stopped_vehicle_is_observed_and_quiet() -> None:
    scores = _scores(stage.drive([stage.Thing("car", lambda t: (0.0, 12.0))], 3.0))
    assert np.all(np.isfinite(scores[10:]))
    assert np.mean(scores[10:]) < 1.8


def test_turning_vehicle_changes_width_but_not_height() -> None:
    def turn(t: float) -> tuple[float, float]:
        return (2.0 * np.sin(0.5 * t), 15.0 - 2.0 * t)

    assert not stage.alarms(stage.drive([stage.Thing("car", turn, width=2.6)], 3.0))


def test_box_that_shrinks_while_its_car_comes_nearer_is_seen_by_this_check_alone() -> None:
    """The planner's monocular time-to-contact says it drives away; size stays within what cars may be."""
    found = stage.alarms(
        stage.drive(
            [stage.Thing("car", lambda t: (0.3, 30.0 - 4.0 * t), 1.8, 1.9, scale=_from(2.0, -0.45))], 3.6
        )
    )
    assert stage.by(found) == {"expansion"}
    assert 2.0 < found[0][0] < 3.2
    assert found[0][1].measured["growth_per_s"] < found[0][1].measured["closing_per_s"]


def test_unknown_range_is_unobservable_and_a_sign_is_judged_by_own_speed() -> None:
    car = stage.Thing("car", lambda t: (0.0, 25.0 - 5.0 * t))
    assert np.all(np.isnan(_scores(stage.drive([car], 2.0, lidar=False, own_speed=5.0))))
    sign = stage.Thing("stop sign", lambda t: (3.0, 20.0 - 5.0 * t), 0.75, 0.75, 0.05, raised_m=1.8)
    honest = _scores(stage.drive([sign], 2.0, lidar=False, own_speed=5.0))
    assert np.isfinite(honest).any() and np.nanmean(honest) < 1.8
    assert np.isnan(_scores(stage.drive([sign], 2.0, lidar=False))).all()
    lying = _scores(stage.drive([sign], 2.0, lidar=False, own_speed=0.0))
    assert np.nanmean(lying) > np.nanmean(honest) + 1.8
