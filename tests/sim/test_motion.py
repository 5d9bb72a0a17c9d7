"""Blur is as long as the way during the exposure; a rolling shutter skews by the motion between its rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from worlds import SHARP, car, empty, going, plain

from edgeguard.sim.camera import Renderer
from edgeguard.sim.sensors import Imager
from edgeguard.sim.trajectory import Trajectory
from edgeguard.sim.world import Scene

SPEED, RANGE_M, INDEX = 10.0, 10.0, 5
PX_PER_S = 480.0 * SPEED / (RANGE_M - 1.2)


def passing(imager: Imager) -> Scene:
    """Drive sideways past a white board that stands across."""
    scene = replace(empty(going(SPEED, np.pi / 2, (0.0, -10.0))), imager=imager)
    return scene.with_board(plain((255, 255, 255)), xy=(RANGE_M, 0.0), size_m=(2.0, 3.0))


def edges(image: np.ndarray, rows: range) -> np.ndarray:
    """Column, to a part of a pixel, at which each row turns from grey to white."""
    share = (image[rows.start : rows.stop, :320, 1].astype(float) - 128) / 127
    return 320 - share.sum(1)


def test_rolling_shutter_skews_an_upright_edge() -> None:
    rows = range(120, 220)
    still = edges(Renderer(passing(SHARP)).render(INDEX)[0], rows)
    readout = 0.03
    skewed = edges(Renderer(passing(replace(SHARP, readout_s=readout))).render(INDEX)[0], rows)
    slope = np.polyfit(np.array(rows), skewed, 1)[0]
    assert abs(np.polyfit(np.array(rows), still, 1)[0]) < 0.002
    # The vehicle goes left, so that the board goes right: the later a row, the farther.
    assert slope == pytest.approx(PX_PER_S * readout / 359, rel=0.1)
    middle = 180 - rows.start
    assert abs(skewed[middle] - still[middle]) < 0.5


def test_blur_is_as_long_as_the_way_during_the_exposure() -> None:
    exposure = 0.02
    image = Renderer(passing(replace(SHARP, exposure_s=exposure))).render(INDEX)[0]
    row = image[180, :320, 1].astype(float)
    width = np.count_nonzero((row > 128 + 6) & (row < 255 - 6))
    assert width == pytest.approx(PX_PER_S * exposure, rel=0.35)
    sharp = Renderer(passing(SHARP)).render(INDEX)[0][180, :320, 1].astype(float)
    assert np.count_nonzero((sharp > 134) & (sharp < 249)) <= 1


def test_what_rides_along_is_sharp_and_its_box_stays_put() -> None:
    follow = empty(going(SPEED), car(0, going(SPEED, start=(10.0, 0.0))))
    still = empty(Trajectory.standing(0, 0), car(0, Trajectory.standing(10.0, 0.0)))
    imager = replace(SHARP, exposure_s=0.02, readout_s=0.03)
    (moving, a), (standing, b) = (
        Renderer(replace(scene, imager=imager)).render(INDEX) for scene in (follow, still)
    )
    x0, y0, x1, y1 = b[0].xyxy.astype(int)
    assert np.abs(moving[y0:y1, x0:x1].astype(int) - standing[y0:y1, x0:x1]).max() <= 2
    assert np.abs(a[0].xyxy - b[0].xyxy).max() < 0.1


def test_the_true_box_is_where_the_shutter_caught_the_car() -> None:
    crossing = empty(Trajectory.standing(0, 0), car(0, going(12.0, np.pi / 2, (9.0, -12.0))))
    _, still = Renderer(crossing).render(INDEX)
    image, rolled = Renderer(replace(crossing, imager=replace(SHARP, readout_s=0.05))).render(INDEX)
    found = np.flatnonzero((image != 128).any(2).sum(0) > 12)
    assert abs(rolled[0].xyxy[0] - found[0]) < 2
    assert still[0].xyxy[0] - rolled[0].xyxy[0] > 5
