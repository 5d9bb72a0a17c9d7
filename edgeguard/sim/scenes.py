"""The drives that can be asked for by name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgeguard.errors import EdgeGuardError
from edgeguard.sim import textures
from edgeguard.sim.conditions import Light, Weather
from edgeguard.sim.draft import FOCAL, HEIGHT, KERB_HEIGHT, KERB_Y, LANE_Y, WALK_MPS, WIDTH, Draft, camera
from edgeguard.sim.sensors import Imager
from edgeguard.sim.trajectory import Trajectory
from edgeguard.sim.world import Scene
from edgeguard.types import F64

__all__ = ["FOCAL", "HEIGHT", "LANE_Y", "SCENES", "WIDTH", "build_scene", "camera"]

GAPS = (6.0, 6.8, 13.0, 20.0)
VIEW_M = 150.0
"""The street goes on so far beyond where the ego would be at its mean speed."""


def build_scene(name: str, seed: int = 0, *, duration_s: float = 10.0) -> Scene:
    """Return a scene of `SCENES`; the same name, seed and duration give the same scene.

    Args:
        name: which.
        seed: of all that varies: paint, gaps, speeds, houses.
        duration_s: its length; some of what happens in a scene happens again in a longer one.

    Raises:
        EdgeGuardError: there is no such scene, or its duration is not above 0.
    """
    if name not in SCENES:
        raise EdgeGuardError(f"scene {name!r}: unknown. Choose one of: {', '.join(sorted(SCENES))}")
    if not duration_s > 0:
        raise EdgeGuardError(f"scene {name!r}: a duration of {duration_s} s. It must be above 0")
    return SCENES[name](Draft(name, seed, duration_s, list(SCENES).index(name)))


def _follow(d: Draft, mean: float, gap: tuple[float, float]) -> F64:
    """Add a car ahead and return the ego's speeds."""
    phase = d.draw(0, 2 * np.pi)
    lead = d.swaying(mean, 0.9, 7, phase + 0.8)
    d.car(d.draw(*gap), LANE_Y, 0.0, lead)
    return d.swaying(mean, 0.5, 9, phase)


def car_following(d: Draft) -> Scene:
    """Follow a car through a street: parked rows, an oncoming car, a pedestrian, a stop sign at the end."""
    ego = _follow(d, 8.0, (14.0, 16.0))
    end = 8.0 * d.duration_s + VIEW_M
    d.car(d.draw(95, 110), -LANE_Y, np.pi, np.full(len(d.t), 7.0))
    d.person(d.draw(48, 54), -KERB_Y - 1.0, np.pi, np.full(len(d.t), WALK_MPS), KERB_HEIGHT)
    d.stop_sign(d.draw(92, 98))
    d.parked(end - 105, GAPS)
    return d.scene(ego, end)


def crossing_person(d: Draft) -> Scene:
    """Stop for people who step into the road, some from behind a parked car."""
    cruise = d.draw(5.5, 8.5)
    end = cruise * d.duration_s + VIEW_M
    places = np.arange(d.draw(30, 40), end - 110, 62.0).tolist()
    ego = d.stopping(cruise, [(x - 8.0, d.draw(1.8, 3.0)) for x in places])
    arrival = _arrivals(d, ego, [x - 8.0 for x in places])
    for x, t in zip(places, arrival):
        side, pace = float(d.rng.choice([-1, 1])), d.draw(1.1, 1.6)
        begin = t - (KERB_Y + 1.0 - side * LANE_Y) / pace + d.draw(-0.4, 0.4)
        walk = np.where((d.t > begin) & (d.t < begin + 2 * (KERB_Y + 1) / pace), pace, 0.0)
        d.person(x, side * (KERB_Y + 1.0), -side * np.pi / 2, walk)
    d.walkers(int(d.rng.integers(1, 4)), end - 110)
    d.parked(end - 105, GAPS, [(x - 6.5, x + 3.0) for x in places])
    return d.scene(ego, end)


def stop_junction(d: Draft) -> Scene:
    """Stop at junctions with a stop sign while others cross."""
    cruise = d.draw(6.5, 9.0)
    end = cruise * d.duration_s + VIEW_M
    junctions = tuple((x, x + 7.0) for x in np.arange(d.draw(36, 44), end - 100, 70.0).tolist())
    stops = [a - 3.8 for a, _ in junctions]
    ego = d.stopping(cruise, [(x, d.draw(2.0, 3.5)) for x in stops])
    for (a, b), t in zip(junctions, _arrivals(d, ego, stops)):
        d.stop_sign(a - 1.6)
        for side in (-1, 1):
            speed = d.draw(5, 8)
            when = t + d.draw(-1.5, 1.0)
            x = (a + b) / 2 + side * 1.75
            d.car(x, -side * speed * (when - d.t[0]), side * np.pi / 2, np.full(len(d.t), speed))
    d.walkers(int(d.rng.integers(1, 4)), end - 110)
    d.parked(end - 105, GAPS, [(a - 14.0, b + 6.0) for a, b in junctions])
    return d.scene(ego, end, junctions=junctions)


def parked_row(d: Draft) -> Scene:
    """Pass dense rows of parked cars with nobody ahead."""
    cruise = d.draw(5.5, 9.5)
    end = cruise * d.duration_s + VIEW_M
    d.walkers(int(d.rng.integers(2, 5)), end - 110)
    d.parked(end - 105, (5.4, 5.8, 6.4, 12.0))
    return d.scene(d.swaying(cruise, 0.6, 8, d.draw(0, 2 * np.pi)), end)


def oncoming(d: Draft) -> Scene:
    """Meet a stream of oncoming cars, at their own speeds."""
    cruise = d.draw(7.0, 11.0)
    end = cruise * d.duration_s + VIEW_M
    x, speed = d.draw(40, 60), d.draw(6, 9)
    while x < (cruise + speed) * d.duration_s + 60:
        d.car(x, -LANE_Y + d.draw(-0.15, 0.15), np.pi, d.swaying(speed, 0.5, 8, d.draw(0, 2 * np.pi)))
        x += d.draw(18, 45)
    d.parked(end - 105, (6.0, 13.0, 20.0, 34.0))
    return d.scene(d.swaying(cruise, 0.5, 9, d.draw(0, 2 * np.pi)), end)


def tunnel(d: Draft) -> Scene:
    """Follow a car into a tunnel and, in a longer drive, out of it."""
    d.lit = True
    mean = d.draw(8.0, 10.5)
    ego = _follow(d, mean, (15.0, 20.0))
    end = mean * d.duration_s + VIEW_M
    start = d.draw(32, 44)
    d.car(d.draw(100, 130), -LANE_Y, np.pi, np.full(len(d.t), d.draw(7, 9)))
    d.parked(start - 6, GAPS)
    return d.scene(ego, end, light=Light(tunnel=(start, start + d.draw(110, 150))))


def night(d: Draft) -> Scene:
    """Follow a car through a street at night, by head lamps and street lamps."""
    ego, end = _lit_street(d, d.draw(7.0, 9.0), (13.0, 18.0))
    light = Light(ambient=0.07, headlights=0.9, lamp_spacing_m=28.0)
    return d.scene(ego, end, light=light, imager=Imager(exposure_s=0.012, max_gain=3.0))


def rain(d: Draft) -> Scene:
    """Follow a car through heavy rain."""
    ego, end = _lit_street(d, d.draw(6.5, 8.5), (15.0, 20.0))
    weather = Weather(rain_mm_h=d.draw(10, 35), visibility_m=d.draw(300, 600))
    return d.scene(ego, end, light=Light(ambient=0.6), weather=weather)


def crowd(d: Draft) -> Scene:
    """Drive slowly between dense crowds, and stop where many cross at once, before and behind each other."""
    d.vests = False
    cruise = d.draw(4.5, 6.5)
    end = cruise * d.duration_s + VIEW_M
    places = np.arange(d.draw(24, 30), end - 110, 55.0).tolist()
    ego = d.stopping(cruise, [(x - 9.0, d.draw(3.5, 5.0)) for x in places])
    for x, t in zip(places, _arrivals(d, ego, [x - 9.0 for x in places])):
        for _ in range(int(d.rng.integers(7, 13))):
            side, pace = float(d.rng.choice([-1, 1])), d.draw(0.9, 1.6)
            begin = t - KERB_Y / pace + d.draw(-2.5, 2.5)
            walk = np.where((d.t > begin) & (d.t < begin + 2 * (KERB_Y + 1) / pace), pace, 0.0)
            d.person(x + d.draw(-1.5, 1.5), side * (KERB_Y + 1.0), -side * np.pi / 2, walk)
    d.walkers(int(0.6 * (end - 90)), end - 90)
    d.parked(end - 105, GAPS, [(x - 9.0, x + 5.0) for x in places])
    return d.scene(ego, end)


def cut_in(d: Draft) -> Scene:
    """Be overtaken, again and again, by cars that cut in a few metres ahead."""
    mean = d.draw(7.0, 9.0)
    end = mean * d.duration_s + VIEW_M
    start = d.draw(1.5, 2.5)
    while start < d.duration_s:
        faster, gap = d.draw(3.5, 5.5), d.draw(5.0, 8.0)
        swing = np.clip((d.t - start) / d.draw(1.6, 2.4), 0, 1)
        speed = mean + np.maximum(faster * np.exp(-np.maximum(d.t - start, 0) / 1.5), 1.0)
        # At `start` its middle is so far ahead of the vehicle's origin, in the next lane.
        x = gap + 4.4 - faster * (start - float(d.t[0]))
        d.car(x, -LANE_Y, 0.0, speed, aside=2 * LANE_Y * swing**2 * (3 - 2 * swing))
        start += d.draw(7.0, 9.0)
    d.walkers(int(d.rng.integers(1, 4)), end - 110)
    d.parked(end - 105, GAPS)
    return d.scene(d.swaying(mean, 0.3, 9, d.draw(0, 2 * np.pi)), end)


def billboard(d: Draft) -> Scene:
    """Follow a car past boards by the road that show pictures of cars."""
    ego = _follow(d, 8.0, (16.0, 20.0))
    end = 8.0 * d.duration_s + VIEW_M
    d.walkers(int(d.rng.integers(1, 4)), end - 110)
    d.parked(end - 105, (13.0, 20.0, 34.0))
    scene = d.scene(ego, end)
    side, x = float(d.rng.choice([-1, 1])), d.draw(16, 26)
    while x < end - 60:
        width, height = d.draw(2.4, 3.2), d.draw(2.2, 2.8)
        picture = textures.poster(d.rng, width, height)
        scene = scene.with_board(
            picture, xy=(x, side * (KERB_Y + 2.0)), size_m=(width, height), bottom_m=d.draw(0.3, 1.0)
        )
        side, x = -side, x + d.draw(14, 24)
    return scene


def _lit_street(d: Draft, mean: float, gap: tuple[float, float]) -> tuple[F64, float]:
    """Follow a car, all lamps lit, past people and parked cars; the ego's speeds, and where it ends, m."""
    d.lit = True
    ego = _follow(d, mean, gap)
    end = mean * d.duration_s + VIEW_M
    d.car(d.draw(90, 115), -LANE_Y, np.pi, np.full(len(d.t), d.draw(6, 8)))
    d.walkers(int(d.rng.integers(1, 3)), 60)
    d.parked(end - 105, GAPS)
    return ego, end


def _arrivals(d: Draft, speed: F64, places: list[float]) -> list[float]:
    """Return when the ego comes near to each place, seconds; the end of the drive where it does not."""
    x = Trajectory.along((0.0, 0.0), 0.0, d.t, speed).xy[:, 0]
    return [float(d.t[np.argmax(x > p - 1.0)]) if x[-1] > p - 1.0 else float(d.t[-1]) for p in places]


SCENES: dict[str, Callable[[Draft], Scene]] = {
    scene.__name__: scene
    for scene in (
        car_following, crossing_person, stop_junction, parked_row, oncoming, tunnel, night, rain, crowd,
        cut_in, billboard,
    )
}  # fmt: skip
"""In an order that stays: a scene's place in it is part of its seed."""
