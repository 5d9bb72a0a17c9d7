"""A scene in the making: every part is drawn from one stream of random numbers, in the order it is added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgeguard.rig import CameraModel
from edgeguard.sim import models, textures
from edgeguard.sim.street import build_street
from edgeguard.sim.trajectory import Trajectory
from edgeguard.sim.world import Actor, Scene
from edgeguard.types import F64

WIDTH, HEIGHT, FOCAL = 640, 360, 480.0
LANE_Y = -1.75
"""Middle of the ego's lane, metres."""
KERB_Y, KERB_HEIGHT = 6.0, 0.14
PARKED_Y = KERB_Y - 1.05
STEP_S = 0.05
WALK_MPS = 1.3


def camera() -> CameraModel:
    """Return the world's camera: 640 x 360, 67 degrees wide, no distortion."""
    k = np.array([[FOCAL, 0, (WIDTH - 1) / 2], [0, FOCAL, (HEIGHT - 1) / 2], [0, 0, 1]])
    return CameraModel("camera_optical", WIDTH, HEIGHT, k)


class Draft:
    """Adds actors to a straight street and makes a `Scene` of it.

    Args:
        name, seed, duration_s: as of the scene.
        stream: one per scene, so that two scenes of one seed have nothing in common.

    Attributes:
        lit: moving cars have their lamps on.
        vests: pedestrians wear one of high visibility.
    """

    def __init__(self, name: str, seed: int, duration_s: float, stream: int) -> None:
        self.lit, self.vests = False, True
        self.name, self.seed, self.duration_s = name, seed, duration_s
        self.rng = np.random.default_rng([seed, 1, stream])
        self.t = np.arange(-1.0, duration_s + 1.0, STEP_S)
        self.actors: list[Actor] = []

    def draw(self, low: float, high: float) -> float:
        """Return a number from `low` to `high`."""
        return float(self.rng.uniform(low, high))

    def swaying(self, mean: float, amplitude: float, period_s: float, phase: float) -> F64:
        """Return speeds around a mean, m/s."""
        return np.asarray(mean + amplitude * np.sin(2 * np.pi * self.t / period_s + phase), np.float64)

    def stopping(self, cruise: float, stops: Sequence[tuple[float, float]], start_x: float = 0.0) -> F64:
        """Return speeds that brake to rest at each (x, seconds to wait) and go on, m/s."""
        speed, x, waited, pending = np.empty(len(self.t)), start_x, 0.0, list(stops)
        v = cruise
        for i in range(len(self.t)):
            left = pending[0][0] - x if pending else np.inf
            v = min(v + 1.6 * STEP_S, cruise, float(np.sqrt(2 * 2.0 * max(left, 0.0))))
            if left < 0.25:
                v, waited = 0.0, waited + STEP_S
                if waited >= pending[0][1]:
                    pending.pop(0)
                    waited = 0.0
            speed[i] = v
            x += v * STEP_S
        return speed

    def ego(self, speed: F64) -> Trajectory:
        return Trajectory.along((0.0, LANE_Y), 0.0, self.t, speed)

    def car(
        self, x: float, y: float, heading: float, speed: F64 | None = None, *, aside: F64 | None = None
    ) -> None:
        """Add a car; without speeds (m/s, over `t`) it stands. `aside` is how far it is to the left (m)."""
        where = (
            Trajectory.standing(x, y, heading)
            if speed is None
            else Trajectory.along((x, y), heading, self.t, speed)
        )
        if aside is not None:
            where = where.shifted(aside)
        lit = self.lit and speed is not None
        self.actors.append(models.car(len(self.actors), where, self.rng, lit=lit))

    def person(self, x: float, y: float, heading: float, speed: F64, ground: float = 0.0) -> None:
        """Add a pedestrian who walks at `speed` (m/s, over `t`)."""
        walk = Trajectory.along((x, y), heading, self.t, speed)
        self.actors.append(models.person(len(self.actors), walk, self.rng, ground=ground, vest=self.vests))

    def walkers(self, count: int, end: float) -> None:
        """Add pedestrians on both pavements, either way."""
        for _ in range(count):
            side, heading = float(self.rng.choice([-1, 1])), float(self.rng.choice([0.0, np.pi]))
            pace = np.full(len(self.t), self.draw(0.9, 1.6))
            self.person(self.draw(8, end), side * (KERB_Y + self.draw(0.8, 2.8)), heading, pace, KERB_HEIGHT)

    def stop_sign(self, x: float) -> None:
        self.actors.append(models.stop_sign(len(self.actors), x, -KERB_Y - 0.5, KERB_HEIGHT))

    def parked(
        self,
        end: float,
        gaps: Sequence[float],
        free: Sequence[tuple[float, float]] = (),
        start: tuple[float, float] = (4.0, 10.0),
    ) -> None:
        """Add a row of parked cars at both kerbs.

        Args:
            end: x of the last.
            gaps: distances from one to the next to choose from, metres.
            free: (x from, x to) where none stands.
            start: x between which the first stands.
        """
        for side, heading in ((-1, 0.0), (1, np.pi)):
            x = self.draw(*start)
            while x < end:
                if not any(a < x < b for a, b in free):
                    self.car(x, side * (PARKED_Y + self.draw(-0.1, 0.1)), heading)
                x += float(self.rng.choice(gaps))

    def scene(self, ego_speed: F64, length_m: float, **other: Any) -> Scene:
        """Return the scene on a street of that length; `other` are fields of `Scene`."""
        light = other.get("light")
        surfaces, boxes = build_street(
            self.rng,
            length_m,
            KERB_Y,
            KERB_HEIGHT,
            junctions=other.get("junctions", ()),
            tunnel=light.tunnel if light else None,
            lamp_spacing_m=light.lamp_spacing_m if light else 0.0,
        )
        return Scene(
            self.name,
            self.seed,
            self.duration_s,
            self.ego(ego_speed),
            tuple(self.actors),
            tuple(surfaces),
            tuple(boxes),
            textures.sky(self.rng, HEIGHT, WIDTH),
            camera(),
            kerb_y=KERB_Y,
            kerb_height=KERB_HEIGHT,
            **other,
        )
