"""The radar measures the true range rate, sees less of what is hidden, and repeats itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from worlds import EXACT_RADAR, built, car, empty, going, plain

from edgeguard.sim.conditions import Weather
from edgeguard.sim.radar import Radar
from edgeguard.sim.trajectory import Trajectory
from edgeguard.sim.world import BACKGROUND, Scene

INDEX = 5


def true_rate(scene: Scene, xyz: np.ndarray, velocity: tuple[float, float]) -> np.ndarray:
    own = np.array([scene.ego.speed(scene.time(INDEX)), 0.0])
    sight = xyz[:, :2] / np.linalg.norm(xyz[:, :2], axis=1, keepdims=True)
    return sight @ (np.array(velocity) - own)


def test_range_rate_is_the_true_one_whoever_moves() -> None:
    scene = empty(
        going(8.0),
        car(0, going(11.0, start=(14.0, 0.0))),
        car(1, going(-9.0, start=(60.0, 3.5))),
        car(2, Trajectory.standing(20.0, -5.0)),
        car(3, going(6.0, np.pi / 2, (24.0, -10.0))),
    )
    echoes = Radar(scene).cycle(INDEX)
    for owner, velocity in enumerate([(11.0, 0.0), (-9.0, 0.0), (0.0, 0.0), (0.0, 6.0)]):
        own = echoes.owner == owner
        assert own.any()
        # The radar measures in its own plane: what lies below it has a little less of the speed.
        expected = true_rate(scene, echoes.xyz[own].astype(float), velocity)
        assert np.abs(echoes.range_rate[own] - expected).max() < 0.05


def test_echoes_lie_on_their_car() -> None:
    scene = empty(Trajectory.standing(0, 0), car(0, Trajectory.standing(20.0, 2.0)))
    xyz = Radar(scene).cycle(INDEX).xyz + scene.radar_xyz
    assert len(xyz) and (np.abs(xyz[:, :2] - (20.0, 2.0)) <= (2.21, 0.91)).all()
    assert xyz[:, 0].min() < 18.0  # its rear


def test_walls_hide_and_cars_weaken_what_is_behind_them() -> None:
    scene = empty(Trajectory.standing(0, 0), car(0, Trajectory.standing(30.0, 0.0)))
    radar = Radar(scene)
    alone = np.median([radar.cycle(i).snr.max() for i in range(10)])
    behind_car = replace(scene, actors=(*scene.actors, car(1, Trajectory.standing(12.0, 0.0))))
    cycles = [Radar(behind_car).cycle(i) for i in range(10)]
    weaker = np.median([c.snr[c.owner == 0].max() for c in cycles])
    assert 6 < alone - weaker < 18
    walled = scene.with_board(plain((0, 0, 0)), xy=(12.0, 0.0), size_m=(6.0, 3.0))
    assert not (Radar(walled).cycle(INDEX).owner == 0).any()


def test_rain_takes_power_and_range_takes_more() -> None:
    def snr(range_m: float, rain: float) -> float:
        scene = empty(Trajectory.standing(0, 0), car(0, Trajectory.standing(range_m, 0.0)))
        scene = replace(scene, weather=Weather(rain_mm_h=rain))
        return float(Radar(scene).cycle(INDEX).snr.max())

    bumper = 2.3 + 2.2  # the radar's place and half a car
    expected = 40 * np.log10((40.0 - bumper) / (20.0 - bumper))
    assert snr(20.0, 0.0) - snr(40.0, 0.0) == pytest.approx(expected, abs=0.5)
    assert 0.3 < snr(40.0, 0.0) - snr(40.0, 30.0) < 3.0


def test_errors_are_as_configured_and_repeat() -> None:
    noisy = built("car_following", 3)
    a, b = Radar(noisy).cycle(INDEX), Radar(noisy).cycle(INDEX)
    assert np.array_equal(a.xyz, b.xyz) and np.array_equal(a.range_rate, b.range_rate)
    exact = Radar(replace(noisy, radar=EXACT_RADAR)).cycle(INDEX)
    n = len(exact.snr)
    assert np.array_equal(a.owner[:n], exact.owner) and (a.owner[n:] == BACKGROUND).all()
    assert 0.01 < np.std(a.range_rate[:n] - exact.range_rate) < 0.2
