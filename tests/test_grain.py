"""A picture shows shapes, or the noise that gain makes of the dark."""

from __future__ import annotations

import numpy as np
import pytest

from edgeguard.grain import noise, shows
from edgeguard.types import Image

BOX = np.array([[60.0, 40.0, 140.0, 90.0]])


def picture(light: float, sigma: float, seed: int = 0) -> np.ndarray:
    """A street of stripes with noise."""
    rng = np.random.default_rng(seed)
    stripes = light * np.where(np.arange(200) // 20 % 2, 1.2, 0.8)[None, :, None]
    return np.clip(stripes + rng.normal(0.0, sigma, (120, 200, 3)), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("sigma", [1.0, 3.0, 8.0])
def test_noise_is_measured_whatever_the_picture_shows(sigma: float) -> None:
    flat, striped = picture(100.0, sigma) * 0 + 100, picture(100.0, sigma)[..., 1]
    assert noise(striped) == pytest.approx(sigma, rel=0.35)
    assert noise(np.ascontiguousarray(flat[..., 1])) == 0.0
    assert np.isnan(noise(striped[:2]))


def test_a_bright_picture_shows_what_it_holds_and_a_dark_one_of_noise_does_not() -> None:
    assert shows(Image(0, "camera", picture(120.0, 5.0)), BOX).all()
    assert shows(Image(0, "camera", picture(30.0, 0.7)), BOX).all()
    assert not shows(Image(0, "camera", picture(8.0, 5.0)), BOX).any()
    assert shows(None, BOX).all()


def test_what_shines_in_the_dark_shows() -> None:
    bgr = picture(8.0, 5.0)
    bgr[35:95, 55:145] = picture(90.0, 5.0)[35:95, 55:145]
    assert shows(Image(0, "camera", bgr), BOX).all()


def test_noise_painted_into_a_bright_picture_hides_nothing() -> None:
    bgr = picture(120.0, 2.0)
    bgr[35:95, 55:145] = picture(8.0, 5.0)[35:95, 55:145]
    assert shows(Image(0, "camera", bgr), BOX).all()


def test_boxes_beside_the_picture_are_left_alone() -> None:
    outside = np.array([[300.0, 40.0, 340.0, 90.0], [-50.0, -50.0, -10.0, -10.0]])
    assert shows(Image(0, "camera", picture(120.0, 5.0)), outside).all()
