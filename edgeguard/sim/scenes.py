"""The drives that can be asked for by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgeguard.errors import EdgeGuardError
from edgeguard.rig import CameraModel
from edgeguard.sim import models, textures
from edgeguard.sim.world import Actor, Scene, Trajectory

WIDTH, HEIGHT, FOCAL = 640, 360, 480.0
LANE_Y = -1.75
"""Middle of the ego's lane, metres."""


def build_scene(name: str, seed: int = 0) -> Scene:
    """Return a scene of `SCENES`; the same name and seed give the same scene.

    Raises:
        EdgeGuardError: there is no such scene.
    """
    if name not in SCENES:
        raise EdgeGuardError(f"scene {name!r}: unknown. Choose one of: {', '.join(sorted(SCENES))}")
    return SCENES[name](seed)


def camera() -> CameraModel:
    """Return the world's camera: 640 x 360, 67 degrees wide, no distortion."""
    k = np.array([[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]])
    return CameraModel("camera_optical", WIDTH, HEIGHT, k)


def car_following(seed: int) -> Scene:
    """Follow a car through a street: parked rows, an oncoming car, a pedestrian, a stop sign at the end."""
    rng = np.random.default_rng([seed, 1])
    duration = 10.0
    t = np.arange(-1.0, duration + 1.0, 0.05)
    phase = float(rng.uniform(0, 2 * np.pi))
    ego_speed = 8.0 + 0.5 * np.sin(2 * np.pi * t / 9 + phase)
    lead_speed = 8.0 + 0.9 * np.sin(2 * np.pi * t / 7 + phase + 0.8)
    ego = Trajectory.along((0.0, LANE_Y), 0.0, t, ego_speed)
    gap = float(rng.uniform(14.0, 16.0))
    actors: list[Actor] = [models.car(0, Trajectory.along((gap, LANE_Y), 0.0, t, lead_speed), rng)]
    oncoming = Trajectory.along((float(rng.uniform(95, 110)), 1.75), np.pi, t, np.full(len(t), 7.0))
    actors.append(models.car(1, oncoming, rng))
    kerb_y, kerb_height = 6.0, 0.14
    walk = Trajectory.along((float(rng.uniform(48, 54)), -kerb_y - 1.0), np.pi, t, np.full(len(t), 1.3))
    actors.append(models.person(2, walk, rng, ground=kerb_height))
    actors.append(models.stop_sign(3, float(rng.uniform(92, 98)), -kerb_y - 0.5, kerb_height))
    for side, heading in ((-1, 0.0), (1, np.pi)):
        x = float(rng.uniform(4, 10))
        while x < 125:
            stand = Trajectory.standing(x, side * (kerb_y - 1.05 + float(rng.uniform(-0.1, 0.1))), heading)
            actors.append(models.car(len(actors), stand, rng))
            x += float(rng.choice([6.0, 6.8, 13.0, 20.0]))
    surfaces, boxes = models.street(rng, 230.0, kerb_y, kerb_height)
    return Scene(
        "car_following",
        seed,
        duration,
        ego,
        tuple(actors),
        tuple(surfaces),
        tuple(boxes),
        textures.sky(rng, HEIGHT, WIDTH),
        camera(),
        kerb_y=kerb_y,
        kerb_height=kerb_height,
    )


SCENES: dict[str, Callable[[int], Scene]] = {"car_following": car_following}
