"""What `input_distribution` promises: fog and night are outside a calibration, a tunnel's exit is not."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from edgeguard.checks.input_distribution import InputDistribution, InputDistributionSettings, measure
from edgeguard.verdict import Cause
from tests.checks import stage
from tests.checks.street import scores, told

SKETCH = np.random.default_rng(0).integers(0, 200, (12, 40, 3)).astype(np.uint8)

BLOCKS = np.kron(SKETCH, np.ones((32, 32, 1), np.uint8))[: stage.HEIGHT, : stage.WIDTH]


def picture(gain: float = 1.0, offset: float = 0.0) -> np.ndarray:
    """Coarse blocks under an exposure; stands in for a street, whose measures do not matter here."""
    return cv2.convertScaleAbs(BLOCKS, alpha=gain, beta=offset)


def calibrated() -> InputDistribution:
    brightness, contrast, sharpness = measure(np.ascontiguousarray(picture()[::4, ::4, 1]))
    return InputDistribution(
        InputDistributionSettings(
            brightness_mean=brightness,
            brightness_spread=15.0,
            contrast_mean=contrast,
            contrast_spread=8.0,
            sharpness_mean=sharpness,
            sharpness_spread=0.5 * sharpness,
            detections_mean=1.0,
            detections_spread=1.0,
        )
    )


def drive(image: Callable[[float], np.ndarray], seconds: float = 10.0) -> list:
    car = stage.Thing("car", lambda t: (0.0, 15.0))
    return list(stage.drive([car], seconds, lidar=False, image=image))


def test_pictures_like_the_calibrated_ones_are_not_strange() -> None:
    assert told(scores(calibrated(), drive(lambda t: picture()))).max() < 0.5


def test_fog_and_darkness_are() -> None:
    for gain, offset in ((0.2, 150.0), (0.1, 0.0)):
        found = scores(calibrated(), drive(lambda t, g=gain, o=offset: picture(g, o)))
        assert told(found).min() > 2.5
        assert found[-1].cause == (Cause.WEATHER,)


def test_a_tunnel_exit_and_auto_exposure_pass() -> None:
    def exposure(t: float) -> np.ndarray:
        return picture(1.8 if 5.0 < t < 5.7 else 0.85 + 0.1 * np.sin(t))

    assert told(scores(calibrated(), drive(exposure))).max() < 1.8


def test_uncalibrated_it_tells_nothing() -> None:
    check = InputDistribution(InputDistributionSettings())
    assert len(told(scores(check, drive(lambda t: picture(0.1), 3.0)))) == 0


def test_the_reason_names_the_measure() -> None:
    check = calibrated()
    last = scores(check, drive(lambda t: picture(0.1)))[-1]
    measured = {k: float(v[0]) for k, v in last.detail.items()}
    assert check.reason(last.cause[0], measured).startswith(("brightness", "contrast", "sharpness"))
