"""The air's own light is told from bright things, and weather from somebody's lamp."""

from __future__ import annotations

import numpy as np
import pytest

from edgeguard.veil import airlight, clear_of, excuse, hides, settled
from tests.checks.stage import HEIGHT, WIDTH, hazy

AT_20_M = np.array([[600.0, 180.0, 680.0, 247.0]])
CLEAR, FOG = (np.ascontiguousarray(hazy(visibility)(0.0)[::4, ::4, 1]) for visibility in (20e3, 150.0))


def hidden(pixels: np.ndarray) -> float:
    return float(hides(airlight(pixels), AT_20_M, HEIGHT)[0])


def test_fog_hides_what_clear_air_shows() -> None:
    assert hidden(CLEAR) == 0.0
    assert hidden(FOG) == 1.0
    near = np.array([[400.0, 250.0, 800.0, 370.0]])
    assert hides(airlight(FOG), near, HEIGHT)[0] < 0.2
    assert hides(None, AT_20_M, HEIGHT)[0] == 0.0


def test_a_bright_wall_or_sky_is_no_fog() -> None:
    bright = CLEAR.copy()
    bright[: len(bright) // 3] = 230
    bright[len(bright) // 2 :, 60:200] = 210
    assert hidden(bright) == 0.0


def test_what_bright_road_lies_below_dark_things_is_no_fog() -> None:
    road = CLEAR.copy()
    road[int(0.55 * len(road)) :] = np.maximum(road[int(0.55 * len(road)) :], 150)
    assert hidden(road) == 0.0


def test_a_veil_of_a_moment_is_no_weather() -> None:
    before, lamp = airlight(CLEAR), airlight(FOG)
    light = before
    for _ in range(20):
        light = settled(light, lamp, 0.1)
    assert hides(light, AT_20_M, HEIGHT)[0] == 0.0
    for _ in range(200):
        light = settled(light, lamp, 0.1)
    assert hides(light, AT_20_M, HEIGHT)[0] == 1.0
    # What clears is gone at once; another camera begins anew.
    assert (settled(light, before, 0.1) <= before).all()
    assert (settled(light, lamp[::2], 0.1) == lamp[::2]).all()


@pytest.mark.parametrize("box", [[-50.0, -90.0, -10.0, -20.0], [0.0, HEIGHT + 5.0, WIDTH, HEIGHT + 90.0]])
def test_boxes_beside_the_picture_have_an_answer(box: list[float]) -> None:
    assert 0.0 <= hides(airlight(FOG), np.array([box]), HEIGHT)[0] <= 1.0


def test_outlines_are_taken_all_or_none() -> None:
    rows = np.arange(len(FOG))
    high, low = np.column_stack([rows, rows])[40:60], np.column_stack([rows, rows])[-20:]
    both = np.concatenate([high, low[:5]])
    assert len(clear_of(airlight(FOG), both)) == 0
    assert len(clear_of(airlight(FOG), low)) == len(low)
    assert len(clear_of(airlight(CLEAR), both)) == len(clear_of(None, both)) == len(both)


def test_what_is_wholly_excused_was_not_observed() -> None:
    surprise = np.array([8.0, 8.0, 8.0, np.nan])
    excuse(surprise, np.array([0.0, 0.25, 1.0, 0.0]))
    assert surprise[:2].tolist() == [8.0, 6.0] and np.isnan(surprise[2:]).all()
