from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from edgeguard.engine.preprocess import place, to_tensor
from edgeguard.engine.spec import InputSpec, ResizeSpec
from edgeguard.engine.tiles import Region


def network(**keys: object) -> InputSpec:
    return InputSpec.model_validate({"width": 40, "height": 40, **keys})


@pytest.mark.parametrize(("align", "y"), [("top-left", 0), ("center", 15)])
def test_letterbox_keeps_the_aspect_and_pads(align: str, y: int) -> None:
    bgr = np.full((20, 80, 3), 200, np.uint8)
    spec = network(colour="bgr", resize={"rule": "letterbox", "pad": 7, "align": align})
    p = place(Region(0, 0, 80, 20), spec)
    tensor = to_tensor(bgr, [p], spec)
    assert tensor.shape == (1, 3, 40, 40)
    assert tensor.dtype == np.float32
    assert np.all(tensor[0, :, y : y + 10] == 200)
    assert tensor[0].sum() == 3 * 40 * (10 * 200 + 30 * 7)


def test_stretch_fills_the_input() -> None:
    spec = network(resize={"rule": "stretch"})
    p = place(Region(0, 0, 80, 20), spec)
    assert np.all(to_tensor(np.full((20, 80, 3), 200, np.uint8), [p], spec) == 200)


def test_colour_order_and_normalisation() -> None:
    bgr = np.broadcast_to(np.array([51, 102, 204], np.uint8), (40, 40, 3)).copy()
    spec = network(scale=1 / 255, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0))
    tensor = to_tensor(bgr, [place(Region(0, 0, 40, 40), spec)], spec)
    assert_allclose(tensor[0, :, 5, 5], [(0.8 - 0.1) / 0.5, 0.4 - 0.2, (0.2 - 0.3) / 2], rtol=1e-5)


def test_each_region_becomes_its_own_row() -> None:
    bgr = np.zeros((40, 80, 3), np.uint8)
    bgr[:, 40:] = 9
    spec = network()
    regions = [Region(0, 0, 40, 40), Region(40, 0, 40, 40)]
    tensor = to_tensor(bgr, [place(r, spec) for r in regions], spec)
    assert np.all(tensor[0] == 0)
    assert np.all(tensor[1] == 9)


def test_boxes_find_their_way_back() -> None:
    spec = network(resize=ResizeSpec(align="center"))
    p = place(Region(100, 50, 80, 20), spec)
    # The region lies at rows 15 to 25 of the input at half size.
    back = p.to_image(np.array([[10, 17, 30, 20], [-5, 0, 100, 40]], np.float32))
    assert_allclose(back, [[120, 54, 160, 60], [100, 50, 180, 70]])


def test_an_image_of_one_row_survives() -> None:
    spec = network()
    p = place(Region(0, 0, 4000, 1), spec)
    assert to_tensor(np.zeros((1, 4000, 3), np.uint8), [p], spec).shape == (1, 3, 40, 40)
