"""Light falls where it should: tunnels, dipped beams, haze; and auto exposure takes its time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from worlds import SHARP, car, empty, going, plain

from edgeguard.sim.camera import Renderer
from edgeguard.sim.conditions import Light, Weather
from edgeguard.sim.light import Illumination
from edgeguard.sim.trajectory import Trajectory

GREY = plain((120, 120, 120))
STILL = Trajectory.standing(0, 0)


def test_haze_takes_the_contrast_of_what_is_far() -> None:
    """Koschmieder: at a third of the visibility, 1/e of the contrast to the air is left."""
    black, middle = plain((0, 0, 0)), (175, 320)
    scene = empty(STILL).with_board(black, xy=(21.2, 0.0), size_m=(4.0, 3.0))
    bgr = Renderer(replace(scene, weather=Weather(visibility_m=60.0))).render(0)[0]
    assert abs(bgr[middle][1] / 204.0 - (1 - np.exp(-1))) < 0.03
    assert Renderer(scene).render(0)[0][middle][1] == 0


def test_dipped_beams_light_what_is_near_and_below_the_horizon() -> None:
    night = replace(
        empty(STILL), light=Light(ambient=0.0, headlights=1.0), imager=replace(SHARP, max_gain=1.0)
    )
    near, far = (
        Renderer(night.with_board(GREY, xy=(x + 1.2, 0.0), size_m=(8.0, 6.0))).render(0)[0] for x in (10, 20)
    )
    assert abs(int(near[200, 320, 1]) - 4 * int(far[200, 320, 1])) < 12
    assert near[200, 320, 1] > 3 * near[140, 320, 1]
    assert near[200, 320, 1] > 2 * near[200, 40, 1]


def test_exposure_follows_the_light_into_a_tunnel_with_a_lag() -> None:
    scene = replace(
        empty(going(20.0)), light=Light(tunnel=(25.0, 400.0)), imager=replace(SHARP, adaptation_s=0.5)
    )
    gains = [Illumination(scene).gain(t) for t in (0.0, 1.0, 2.0)]
    assert abs(gains[0] - 1.0) < 0.1 and gains[0] < gains[1] < gains[2]
    at_once = Illumination(replace(scene, imager=replace(SHARP, adaptation_s=0.0)))
    assert at_once.gain(1.0) > gains[1]


def test_noise_grows_with_gain() -> None:
    dim = replace(
        empty(STILL, car(0, Trajectory.standing(10.0, 0.0))),
        light=Light(ambient=0.25),
        imager=replace(SHARP, noise_sigma=3.0, max_gain=6.0),
    )
    day = replace(dim, light=Light())
    dark, bright = (np.std(Renderer(s).render(0)[0][:100].astype(float) - 128) for s in (dim, day))
    assert 1.7 < dark / bright < 2.3
