"""What `patch_saliency` promises: colour noise on a car stands out, what real streets carry does not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeguard.checks.patch_saliency import PatchSaliency, PatchSaliencySettings
from edgeguard.compiled import loops
from tests.checks.street import boxed_street, on_near_boxes, painted, scores, street, told

N = 64


def saliency() -> PatchSaliency:
    return PatchSaliency(PatchSaliencySettings())


def patch() -> np.ndarray:
    """Noise at two scales in all colours, as optimised patches look."""
    rng = np.random.default_rng(0)
    fine, coarse = (rng.integers(0, 256, (n, n, 3)).astype(np.uint8) for n in (N, N // 4))
    rough = cv2.resize(coarse, (N, N), interpolation=cv2.INTER_NEAREST)
    return cv2.addWeighted(fine, 0.5, rough, 0.5, 0)


def grille() -> np.ndarray:
    out = np.zeros((N, N, 3), np.uint8)
    out[::4] = out[1::4] = 200
    return out


def foliage() -> np.ndarray:
    shade = np.random.default_rng(1).uniform(0.3, 1.7, (N, N, 1))
    return np.clip(np.array([40, 110, 50]) * shade, 0, 255).astype(np.uint8)


def plate() -> np.ndarray:
    out = np.full((N, N, 3), 230, np.uint8)
    cv2.putText(out, "EG 42", (2, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (20, 20, 20), 2)
    return out


def test_real_cars_are_not_strange(shared: Path) -> None:
    found = told(scores(saliency(), boxed_street(shared)))
    assert len(found) > 30
    assert found.max() < 1.8  # so that evidence cannot grow


def test_a_colour_noise_patch_on_a_car_is(shared: Path) -> None:
    frames = painted(boxed_street(shared), on_near_boxes(patch()))
    found = told(scores(saliency(), frames))
    assert np.median(found) > 3.0


@pytest.mark.parametrize("texture", [grille(), foliage(), plate()], ids=["grille", "foliage", "plate"])
def test_benign_texture_on_a_car_is_not(shared: Path, texture: np.ndarray) -> None:
    found = told(scores(saliency(), painted(boxed_street(shared), on_near_boxes(texture))))
    assert np.mean(found) < 1.8


def test_a_billboard_is_not(shared: Path) -> None:
    image = street(shared)[0].image
    assert image is not None
    photo = image.bgr[100:228, 900:1028]
    found = told(scores(saliency(), painted(boxed_street(shared), on_near_boxes(photo))))
    assert found.max() < 1.8


def test_a_slim_body_in_a_bright_vest_is_all_rim_and_tells_nothing() -> None:
    cells = np.full((20, 40), 5.0, np.float32)
    cells[8:12, 18:20] = 120.0
    slim, wide, outside = (
        [280.0, 100.0, 316.0, 220.0],
        [260.0, 100.0, 380.0, 220.0],
        [-30.0, -40.0, -5.0, -1.0],
    )
    level = loops.patch_energy(cells, np.array([slim, wide, outside]), 16.0, 0.1, 20)
    assert np.isnan(level[[0, 2]]).all() and level[1] == 120.0


def test_a_camera_without_colour_tells_nothing(shared: Path) -> None:
    def grey(bgr: np.ndarray, _: object) -> np.ndarray:
        return cv2.cvtColor(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)

    assert len(told(scores(saliency(), painted(boxed_street(shared), grey)))) == 0
