"""Rays return once, from the nearest thing, where the camera sees it too."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from worlds import built, car, empty

from edgeguard.sim.conditions import Weather
from edgeguard.sim.lidar import RayCaster
from edgeguard.sim.trajectory import Trajectory
from edgeguard.sim.world import BACKGROUND, LidarModel, Scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    exact = LidarModel(range_sigma_m=0.0, drop_out=0.0)
    return dataclasses.replace(built("car_following", 3), lidar=exact, pitch_deg=0.0)


def _world(scene: Scene, index: int, xyz: np.ndarray) -> np.ndarray:
    mount = np.eye(4)
    mount[:3, 3] = scene.lidar_xyz
    pose = scene.ego_matrix(scene.time(index)) @ mount
    return xyz @ pose[:3, :3].T + pose[:3, 3]


def test_returns_lie_on_what_they_hit(scene: Scene) -> None:
    sweep = RayCaster(scene).sweep(30)
    world = _world(scene, 30, sweep.xyz.astype(float))
    low = (sweep.owner == BACKGROUND) & (np.abs(world[:, 1]) < scene.kerb_y - 0.05)
    assert (
        np.abs(world[low, 2]).max() < 0.01
    )  # the road is level, nothing else of the background stands on it
    lead = scene.actors[0]
    local = np.linalg.inv(scene.actor_matrix(lead, scene.time(30)))
    on = world[sweep.owner == 0] @ local[:3, :3].T + local[:3, 3]
    assert len(on) > 100
    half = np.array(lead.size) / 2
    assert (np.abs(on[:, :2]) <= half[:2] + 0.01).all()
    assert (on[:, 0] < -half[0] + 0.6).mean() > 0.9  # its rear, not its far side


def test_each_ray_returns_once_and_a_car_throws_a_shadow(scene: Scene) -> None:
    sweep = RayCaster(scene).sweep(30)
    azimuth = np.rint(np.degrees(np.arctan2(sweep.xyz[:, 1], sweep.xyz[:, 0])) / scene.lidar.azimuth_step_deg)
    rays = np.stack([sweep.ring, azimuth.astype(int)], 1)
    assert len(np.unique(rays, axis=0)) == len(rays)
    lead = sweep.xyz[sweep.owner == 0]
    behind = (
        (sweep.owner == BACKGROUND)
        & (sweep.xyz[:, 0] > lead[:, 0].max() + 0.5)
        & (sweep.xyz[:, 0] < lead[:, 0].max() + 3)
        & (np.abs(sweep.xyz[:, 1]) < 0.7)
        & (sweep.xyz[:, 2] < -1.5)
    )
    assert not behind.any()


def test_noise_and_drop_out_are_as_configured_and_repeat() -> None:
    noisy = built("car_following", 3)
    exact = dataclasses.replace(noisy, lidar=LidarModel(range_sigma_m=0.0, drop_out=0.0))
    a, b = RayCaster(noisy).sweep(5), RayCaster(exact).sweep(5)
    assert 0.97 < len(a.xyz) / len(b.xyz) < 0.99
    again = RayCaster(built("car_following", 3)).sweep(5)
    assert np.array_equal(a.xyz, again.xyz)


def test_rain_and_haze_take_what_is_far_and_drops_come_back_from_near() -> None:
    scene = empty(Trajectory.standing(0, 0), car(0, Trajectory.standing(25.0, 0.0)))
    dry = RayCaster(scene).sweep(0)
    wet = RayCaster(dataclasses.replace(scene, weather=Weather(rain_mm_h=30.0))).sweep(0)
    hazy = RayCaster(dataclasses.replace(scene, weather=Weather(visibility_m=60.0))).sweep(0)
    far = [np.count_nonzero(np.linalg.norm(s.xyz, axis=1) > 25.0) for s in (dry, wet, hazy)]
    assert far[1] < 0.9 * far[0] and far[2] < 0.9 * far[0]
    in_the_air = (wet.xyz[:, 2] > -1.0) & (wet.owner == BACKGROUND)
    assert 20 < np.count_nonzero(in_the_air) < 0.01 * len(wet.xyz)
    assert not ((dry.xyz[:, 2] > -1.0) & (dry.owner == BACKGROUND)).any()


def test_there_is_no_kerb_where_a_side_road_joins() -> None:
    scene = dataclasses.replace(empty(Trajectory.standing(0, 0)), junctions=((-50.0, 5.0),))
    world = _world(scene, 0, RayCaster(scene).sweep(0).xyz.astype(float))
    beside = np.abs(world[:, 1]) > scene.kerb_y + 0.1
    joins = (world[:, 0] > -49.9) & (world[:, 0] < 4.9)
    assert np.abs(world[beside & joins, 2]).max() < 0.01
    assert np.abs(world[beside & (world[:, 0] > 5.1), 2] - scene.kerb_height).max() < 0.01
