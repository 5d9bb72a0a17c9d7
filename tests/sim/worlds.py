"""Worlds to test in: an empty road that costs nothing, and the real scenes, built once."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np

from edgeguard.sim import models
from edgeguard.sim.scenes import HEIGHT, WIDTH, build_scene, camera
from edgeguard.sim.sensors import Imager, LidarModel, RadarModel
from edgeguard.sim.trajectory import Trajectory
from edgeguard.sim.world import Actor, Scene

LANE_Y = 0.0
SHARP = Imager(noise_sigma=0.0, exposure_s=0.0, readout_s=0.0)
EXACT_LIDAR = LidarModel(range_sigma_m=0.0, drop_out=0.0)
EXACT_RADAR = RadarModel(range_sigma_m=0.0, azimuth_sigma_deg=0.0, rate_sigma_mps=0.0, clutter=0.0)

built = functools.cache(build_scene)


def empty(ego: Trajectory, *actors: Actor) -> Scene:
    """A grey void with a road for LiDAR, ideal sensors and a body that does not pitch."""
    return Scene(
        "test", 1, 1.0, ego, actors, (), (), np.full((HEIGHT, WIDTH, 3), 128, np.uint8), camera(),
        imager=SHARP, lidar=EXACT_LIDAR, radar=EXACT_RADAR, pitch_deg=0.0,
    )  # fmt: skip


def going(speed: float, heading: float = 0.0, start: tuple[float, float] = (0.0, 0.0)) -> Trajectory:
    """Straight on; the vehicle looks along x whatever its heading."""
    t = np.arange(-0.5, 2.0, 0.05)
    way = Trajectory.along(start, heading, t, np.full(len(t), speed))
    return replace(way, yaw=np.zeros(len(t)))


def car(actor_id: int, trajectory: Trajectory) -> Actor:
    return models.car(actor_id, trajectory, np.random.default_rng(actor_id))


def plain(bgr: tuple[int, int, int], height: int = 8, width: int = 8) -> np.ndarray:
    texture = np.empty((height, width, 4), np.uint8)
    texture[:] = (*bgr, 255)
    return texture
