from __future__ import annotations

import numpy as np
import pytest

from edgeguard.redteam.gradient.printing import BLACK, WHITE, Light, Spot, put

GREY = np.full((60, 80, 3), 120, np.uint8)
LIGHT = Light(20.0, 220.0)
SQUARE = np.array([[20.0, 10.0], [60.0, 10.0], [60.0, 50.0], [20.0, 50.0]])


def sheet(value: int) -> np.ndarray:
    return np.full((8, 8, 3), value, np.uint8)


@pytest.mark.parametrize(("value", "share"), [(0, BLACK), (255, WHITE)])
def test_ink_and_paper_show_in_the_light_that_is_there(value: int, share: float) -> None:
    out = put(GREY, sheet(value), SQUARE, LIGHT)
    assert out[30, 40] == pytest.approx(round(20 + 200 * share), abs=1)


def test_only_what_is_printed_on_changes() -> None:
    out = put(GREY, sheet(255), SQUARE, LIGHT)
    changed = (out != GREY).any(2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == (10, 49, 20, 59)
    assert changed[10:50, 20:60].all()


def test_a_print_is_not_mirrored_nor_turned() -> None:
    texture = np.zeros((8, 8, 3), np.uint8)
    texture[:4, 4:] = 255  # right top
    out = put(GREY, texture, SQUARE, LIGHT)
    assert out[15, 55, 0] > 150 > 60 > out[15, 25, 0]
    assert out[45, 55, 0] < 60


def test_half_opaque_is_half_way() -> None:
    whole = int(put(GREY, sheet(255), SQUARE, LIGHT)[30, 40, 0])
    half = int(put(GREY, sheet(255), SQUARE, LIGHT, opacity=0.5)[30, 40, 0])
    assert half == pytest.approx((whole + 120) / 2, abs=1)
    assert np.array_equal(put(GREY, sheet(255), SQUARE, LIGHT, opacity=0.0), GREY)


@pytest.mark.parametrize("shift", [(-50, 0), (70, 0), (0, -45), (0, 55), (-500, 0)])
def test_what_hangs_out_of_the_picture_is_cut_off(shift: tuple[int, int]) -> None:
    out = put(GREY, sheet(255), SQUARE + shift, LIGHT)
    assert out.shape == GREY.shape


def test_a_spot_is_where_it_says_on_the_box() -> None:
    corners = Spot(0.5, 0.75, 0.5, 0.25).on(np.array([100.0, 200.0, 140.0, 280.0]))
    assert corners.tolist() == [[110, 250], [130, 250], [130, 270], [110, 270]]


def test_light_is_measured_around_a_thing_and_changes_slowly() -> None:
    picture = GREY.copy()
    picture[:, 40:] = 200
    light = Light.around(picture, np.array([30.0, 20.0, 50.0, 40.0]))
    assert (light.low, light.high) == pytest.approx((120, 200), abs=1)
    assert Light(100.0, 200.0).after(Light(0.0, 100.0), share=0.1) == Light(10.0, 110.0)


def test_what_has_left_the_picture_is_lit_like_all_of_it() -> None:
    for box in ([-50.0, 5.0, -20.0, 20.0], [100.0, 5.0, 120.0, 20.0], [5.0, -40.0, 20.0, -20.0]):
        assert Light.around(GREY, np.array(box)).low == 120


def test_an_octagon_has_no_corners() -> None:
    out = put(GREY, sheet(255), SQUARE, LIGHT, octagon=True)
    covered = (out[10:50, 20:60, 0].astype(float) - 120) / (round(20 + 200 * WHITE) - 120)
    # A regular octagon fills 2 (sqrt 2 - 1) of its square: nothing in the corners, all of the edges' middles.
    assert covered.mean() == pytest.approx(2 * (2**0.5 - 1), abs=0.02)
    assert covered[0, 0] == covered[0, -1] == covered[-1, 0] == covered[-1, -1] == 0
    assert (covered[[0, -1], 20] == 1).all() and (covered[20, [0, -1]] == 1).all()
