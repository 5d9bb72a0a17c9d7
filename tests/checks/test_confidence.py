"""Scores may vary with distance and light; one object's score may not sink in plain view."""

from __future__ import annotations

import numpy as np
import pytest
import stage

from edgeguard.checks.confidence import Confidence, ConfidenceSettings
from edgeguard.scene import SceneBuilder, SceneSettings


def _noisy(level: object, seed: int) -> object:
    rng = np.random.default_rng(seed)

    def score(t: float) -> float:
        logit = level(t) + rng.normal(0, 0.25)
        return float(1 / (1 + np.exp(-logit)))

    return score


def _car(level: object, z: object = lambda t: 15.0, x: float = 0.0, seed: int = 1) -> stage.Thing:
    return stage.Thing("car", lambda t: (x, z(t)), score=_noisy(level, seed))


def test_leaving_and_coming_nearer_are_no_loss_of_faith() -> None:
    leaving = _car(lambda t: 2.0 - 1.0 * np.log((12 + 4 * t) / 12), lambda t: 12.0 + 4.0 * t)
    coming = _car(lambda t: 1.0 + 0.2 * t, lambda t: 30.0 - 4.0 * t)
    for car in (leaving, coming):
        assert "confidence" not in stage.by(stage.alarms(stage.drive([car], 5.0)))


def test_stopped_vehicle_of_mediocre_score_is_quiet() -> None:
    assert not stage.alarms(stage.drive([_car(lambda t: 0.4)], 6.0))


def test_sun_that_dazzles_takes_from_all_and_accuses_none() -> None:
    def dazzled(t: float) -> float:
        return 2.2 if t < 2.5 else 0.3

    cars = [_car(dazzled, x=x, seed=k) for k, x in enumerate((-7.0, -2.5, 2.5, 7.0))]
    assert "confidence" not in stage.by(stage.alarms(stage.drive(cars, 5.0)))


def test_passing_behind_another_is_unobservable() -> None:
    far = _car(lambda t: 2.0 if t < 2.0 else 0.2, lambda t: 25.0, x=3.0)
    near = stage.Thing("car", lambda t: (-4.0 + 2.5 * t, 10.0))
    found = stage.alarms(stage.drive([far, near], 3.0))
    assert "confidence" not in stage.by(found)


def test_score_pulled_down_in_plain_view_is_seen_by_this_check_alone() -> None:
    """The box stays, so nothing else tells; the planner is about to lose the car ahead."""
    found = stage.alarms(stage.drive([_car(lambda t: 2.4 if t < 2.5 else 0.1)], 5.0))
    assert stage.by(found) == {"confidence"}
    assert 2.5 < found[0][0] < 3.7
    assert found[0][1].measured["fall_logit"] > 1.0


@pytest.mark.parametrize("age_s", [0.5, 0.9])
def test_young_track_is_unobservable(age_s: float) -> None:
    builder, check = SceneBuilder(SceneSettings()), Confidence(ConfidenceSettings())
    for frame in stage.drive([_car(lambda t: 2.0)], age_s):
        assert np.isnan(check.score(builder.build(frame))[0].score).all()


@pytest.mark.parametrize(("visibility_m", "told"), [(20e3, True), (150.0, False)], ids=["clear", "fog"])
def test_scores_that_fog_takes_are_no_loss_of_faith(visibility_m: float, told: bool) -> None:
    fading = _car(lambda t: 2.4 if t < 2.0 else 0.1)
    found = stage.alarms(stage.drive([fading], 3.6, image=stage.hazy(visibility_m)))
    assert ("confidence" in stage.by(found)) == told
