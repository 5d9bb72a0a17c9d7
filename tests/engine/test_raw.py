from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgeguard.engine import RawImage
from edgeguard.types import Image

BGR = cv2.resize(np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8), (64, 48))


def test_a_bgr_image_is_not_copied() -> None:
    raw = RawImage.of(Image(3, "camera", BGR))
    assert np.shares_memory(raw.data, BGR)
    assert np.array_equal(raw.to_bgr(), BGR)
    assert (raw.stamp_ns, raw.width, raw.height) == (3, 64, 48)


def test_rows_may_be_padded() -> None:
    padded = np.zeros((48, 200), np.uint8)
    padded[:, :192] = BGR[:, :, ::-1].reshape(48, 192)
    assert np.array_equal(RawImage(0, "camera", "rgb8", 64, 48, padded).to_bgr(), BGR)


def test_nv12_and_yuyv_give_the_colour_back() -> None:
    flat = np.broadcast_to(np.array([40, 120, 200], np.uint8), (48, 64, 3))
    planar = cv2.cvtColor(np.ascontiguousarray(flat), cv2.COLOR_BGR2YUV_I420)
    y, u, v = int(planar[0, 0]), int(planar[48, 0]), int(planar[60, 0])
    nv12 = np.full((72, 64), y, np.uint8)
    nv12[48:, 0::2], nv12[48:, 1::2] = u, v
    yuyv = np.tile(np.array([y, u, y, v], np.uint8), (48, 32))
    for encoding, data in (("nv12", nv12), ("yuyv", yuyv)):
        bgr = RawImage(0, "camera", encoding, 64, 48, data).to_bgr()  # type: ignore[arg-type]
        assert bgr.shape == (48, 64, 3)
        assert np.abs(bgr.astype(int) - [40, 120, 200]).max() <= 3


@pytest.mark.parametrize(
    ("encoding", "width", "height", "shape"),
    [
        ("bgr8", 64, 48, (48, 191)),
        ("nv12", 64, 48, (48, 64)),
        ("nv12", 63, 48, (72, 63)),
        ("nv12", 64, 47, (70, 64)),
        ("yuyv", 63, 48, (48, 126)),
        ("mono8", 64, 48, (47, 64)),
    ],
)
def test_data_that_do_not_fit_are_refused(
    encoding: str, width: int, height: int, shape: tuple[int, int]
) -> None:
    with pytest.raises(ValueError, match="RawImage"):
        RawImage(0, "camera", encoding, width, height, np.zeros(shape, np.uint8))  # type: ignore[arg-type]
