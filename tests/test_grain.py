"""A picture shows shapes, or the noise that gain makes of the dark."""

from __future__ import annotations

import numpy as np
import pytest

from edgeguard.grain import believed, noise, shows
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


def sureness(bgr: np.ndarray, confidence: float) -> float:
    return float(believed(Image(0, "camera", bgr), BOX, np.array([confidence]))[0])


@pytest.mark.parametrize("confidence", [0.5, 0.75, 0.95])
def test_by_day_a_box_is_a_claim_whatever_it_holds(confidence: float) -> None:
    flat = picture(110.0, 2.0)
    flat[35:95, 55:145] = 110
    assert sureness(picture(110.0, 2.0), confidence) == sureness(flat, confidence) == 1.0
    assert believed(None, BOX, np.array([confidence])) == 1.0
    # Whose two middle bytes add up to more than a byte.
    assert sureness(picture(170.0, 2.0), confidence) == 1.0


def test_in_the_dark_a_network_must_be_surer() -> None:
    night = picture(16.0, 0.7)
    night[35:95, 55:145] *= np.where(np.arange(90) // 10 % 2, 4, 1).astype(np.uint8)[None, :, None]
    told = [sureness(night, confidence) for confidence in (0.55, 0.75, 0.85, 0.95)]
    assert told[0] == 0.0 and 0.3 < told[1] < told[2] < 1.0 and told[3] == 1.0


def test_in_the_dark_a_bare_surface_takes_all_but_certainty() -> None:
    assert sureness(picture(16.0, 0.7), 0.9) < 0.05 < 0.95 < sureness(picture(16.0, 0.7), 0.995)


def test_darkness_comes_by_degrees() -> None:
    told = [sureness(picture(light, 0.7), 0.8) for light in (60.0, 44.0, 40.0, 36.0, 30.0)]
    assert told[0] == 1.0 and told[-1] == 0.0 and sorted(told, reverse=True) == told
    assert len(set(told)) == 5


def test_boxes_beside_a_dark_picture_are_left_alone() -> None:
    outside = np.array([[300.0, 40.0, 340.0, 90.0]])
    assert believed(Image(0, "camera", picture(16.0, 0.7)), outside, np.array([0.95])) == 1.0
