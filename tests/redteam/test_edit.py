"""Edited messages keep their layout, whatever it is."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from edgeguard import messages
from edgeguard.bags.definitions import typestore
from edgeguard.errors import MessageError
from edgeguard.redteam.edit import with_moved_points, with_pixels, without_points

TYPES: Any = typestore().types


def header() -> Any:
    time = TYPES["builtin_interfaces/msg/Time"](sec=1, nanosec=2)
    return TYPES["std_msgs/msg/Header"](stamp=time, frame_id="f")


def cloud(height: int, *, nan_at: int | None = None) -> Any:
    """Eight points, y before x, a gap, float64 z, big-endian."""
    dtype = np.dtype(
        {"names": ["y", "x", "z"], "formats": [">f4", ">f4", ">f8"], "offsets": [0, 4, 16], "itemsize": 32}
    )
    table = np.zeros(8, dtype)
    table["x"], table["y"], table["z"] = np.arange(8), 10 + np.arange(8), 20 + np.arange(8)
    if nan_at is not None:
        table["x"][nan_at] = np.nan
    field = TYPES["sensor_msgs/msg/PointField"]
    fields = [
        field(name=n, offset=o, datatype=d, count=1) for n, o, d in (("y", 0, 7), ("x", 4, 7), ("z", 16, 8))
    ]
    return TYPES["sensor_msgs/msg/PointCloud2"](
        header=header(),
        height=height,
        width=8 // height,
        fields=fields,
        is_bigendian=True,
        point_step=32,
        row_step=32 * 8 // height,
        data=table.view(np.uint8),
        is_dense=nan_at is None,
    )


@pytest.mark.parametrize("height", [1, 2])
def test_points_go_and_others_stay(height: int) -> None:
    msg = cloud(height, nan_at=3)
    before = messages.point_cloud(msg).xyz
    assert len(before) == 7
    gone = np.zeros(7, bool)
    gone[[0, 5]] = True
    out = without_points(msg, gone)
    assert np.array_equal(messages.point_cloud(out).xyz, before[~gone])
    assert (out.height, out.width) == ((1, 6) if height == 1 else (2, 4))
    assert np.array_equal(messages.point_cloud(msg).xyz, before)


@pytest.mark.parametrize("height", [1, 2])
def test_points_move_where_told(height: int) -> None:
    msg = cloud(height, nan_at=3)
    before = messages.point_cloud(msg).xyz
    out = messages.point_cloud(with_moved_points(msg, np.array([4]), np.array([[1, 2, 3]], np.float32))).xyz
    assert out[4].tolist() == [1, 2, 3]
    assert np.array_equal(np.delete(out, 4, 0), np.delete(before, 4, 0))


@pytest.mark.parametrize("encoding", ["bgr8", "rgb8", "bgra8", "rgba8"])
def test_raw_pixels_come_back(encoding: str) -> None:
    channels = 4 if encoding.endswith("a8") else 3
    bgr = np.random.default_rng(0).integers(0, 255, (6, 5, 3)).astype(np.uint8)
    step = 5 * channels + 3
    msg = TYPES["sensor_msgs/msg/Image"](
        header=header(),
        height=6,
        width=5,
        encoding=encoding,
        is_bigendian=0,
        step=step,
        data=np.zeros(6 * step, np.uint8),
    )
    assert np.array_equal(messages.image(with_pixels(msg, bgr)).bgr, bgr)


def test_png_stays_png_and_exact() -> None:
    bgr = np.random.default_rng(0).integers(0, 255, (6, 5, 3)).astype(np.uint8)
    old = cv2.imencode(".png", np.zeros_like(bgr))[1].ravel()
    msg = TYPES["sensor_msgs/msg/CompressedImage"](
        header=header(), format="bgr8; png compressed bgr8", data=old
    )
    out = with_pixels(msg, bgr)
    assert bytes(out.data[:4]) == b"\x89PNG"
    assert np.array_equal(messages.compressed_image(out).bgr, bgr)


def test_an_encoding_that_cannot_be_written_is_named() -> None:
    msg = TYPES["sensor_msgs/msg/Image"](
        header=header(),
        height=2,
        width=2,
        encoding="bayer_rggb8",
        is_bigendian=0,
        step=2,
        data=np.zeros(4, np.uint8),
    )
    with pytest.raises(MessageError, match="bayer_rggb8"):
        with_pixels(msg, np.zeros((2, 2, 3), np.uint8))
