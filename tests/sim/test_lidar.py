"""Rays return once, from the nearest thing, where the camera sees it too."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edgeguard.sim.lidar import RayCaster
from edgeguard.sim.scenes import build_scene
from edgeguard.sim.world import BACKGROUND, LidarModel, Scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    exact = LidarModel(range_sigma_m=0.0, drop_out=0.0)
    return dataclasses.replace(build_scene("car_following", 3), lidar=exact, pitch_deg=0.0)


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
    noisy = build_scene("car_following", 3)
    exact = dataclasses.replace(noisy, lidar=LidarModel(range_sigma_m=0.0, drop_out=0.0))
    a, b = RayCaster(noisy).sweep(5), RayCaster(exact).sweep(5)
    assert 0.97 < len(a.xyz) / len(b.xyz) < 0.99
    again = RayCaster(build_scene("car_following", 3)).sweep(5)
    assert np.array_equal(a.xyz, again.xyz)
