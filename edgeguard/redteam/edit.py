"""Messages with other pixels or points in them, and everything else as it was."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeguard import messages
from edgeguard.errors import MessageError
from edgeguard.types import F32, U8

JPEG_QUALITY = 95
_FROM_BGR = {
    "bgr8": None,
    "8uc3": None,
    "rgb8": cv2.COLOR_BGR2RGB,
    "bgra8": cv2.COLOR_BGR2BGRA,
    "8uc4": cv2.COLOR_BGR2BGRA,
    "rgba8": cv2.COLOR_BGR2RGBA,
    "mono8": cv2.COLOR_BGR2GRAY,
    "8uc1": cv2.COLOR_BGR2GRAY,
}


def with_pixels(msg: Any, bgr: U8) -> Any:
    """Return an image message, raw or compressed, with other pixels in the same encoding.

    Raises:
        MessageError: pixels of its encoding cannot be written.
    """
    if hasattr(msg, "format"):
        return dataclasses.replace(msg, data=_compressed(str(msg.format), bytes(msg.data[:4]), bgr))
    encoding = str(msg.encoding).lower()
    if encoding not in _FROM_BGR:
        raise MessageError(
            "Image", f"encoding {encoding!r} cannot be written; can be: {', '.join(_FROM_BGR)}"
        )
    conversion = _FROM_BGR[encoding]
    pixels = bgr if conversion is None else np.asarray(cv2.cvtColor(bgr, conversion), np.uint8)
    rows = np.zeros((int(msg.height), int(msg.step)), np.uint8)
    flat = pixels.reshape(int(msg.height), -1)
    rows[:, : flat.shape[1]] = flat
    return dataclasses.replace(msg, data=rows.ravel())


def _compressed(text: str, magic: bytes, bgr: U8) -> U8:
    # image_transport hands RGB to an encoder that takes BGR, and says so.
    if "compressed rgb" in text.lower():
        bgr = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    if magic.startswith(b"\x89PNG"):
        ok, data = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    elif magic.startswith(b"\xff\xd8"):
        ok, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    else:
        raise MessageError("CompressedImage", f"format {text!r} cannot be written; can be: png, jpeg")
    if not ok:
        raise MessageError("CompressedImage", f"format {text!r}: OpenCV could not encode the image")
    return np.asarray(data, np.uint8).ravel()


def without_points(msg: Any, gone: NDArray[np.bool_]) -> Any:
    """Return a point cloud without the finite points marked in `gone`.

    A list of points gets shorter; an organised cloud keeps its grid, with NaN where nothing came back.

    Args:
        gone: (N,) over the finite points, as `messages.point_cloud` counts them.
    """
    fields = messages.point_fields(msg)
    _, index = messages.finite_points(fields)
    flat = np.flatnonzero(gone) if index is None else index[gone]
    if int(msg.height) > 1:
        nan = np.full((len(flat), 3), np.nan, np.float32)
        return dataclasses.replace(_moved(msg, flat, nan), is_dense=False)
    rows = np.frombuffer(msg.data, np.uint8)[: int(msg.width) * int(msg.point_step)]
    rows = np.delete(rows.reshape(int(msg.width), int(msg.point_step)), flat, axis=0)
    return dataclasses.replace(msg, width=len(rows), row_step=rows.size, data=rows.ravel())


def with_moved_points(msg: Any, moved: NDArray[np.intp], xyz: F32) -> Any:
    """Return a point cloud with some finite points elsewhere; their other fields stay.

    Args:
        moved: (M,) indices among the finite points, as `messages.point_cloud` counts them.
        xyz: (M, 3) where they are now, metres, in the cloud's frame.
    """
    _, index = messages.finite_points(messages.point_fields(msg))
    return _moved(msg, moved if index is None else index[moved], xyz)


def _moved(msg: Any, flat: NDArray[np.intp], xyz: F32) -> Any:
    data = np.frombuffer(msg.data, np.uint8).copy()
    new = dataclasses.replace(msg, data=data)
    row, column = np.divmod(flat, int(msg.width))
    for axis, values in zip("xyz", xyz.T):
        view = messages.point_fields(new)[axis]
        view[row, column] = values
    return new


def with_added_points(msg: Any, xyz: F32, told: Mapping[str, float]) -> Any:
    """Return a point cloud, as a list, with more points behind those that it has.

    Args:
        xyz: (M, 3) metres, in the cloud's frame.
        told: values of the new points' other fields, by name; those not named are 0.
    """
    step, count = int(msg.point_step), int(msg.width) * int(msg.height)
    rows = np.frombuffer(msg.data, np.uint8)
    if int(msg.height) > 1:
        rows = rows.reshape(int(msg.height), int(msg.row_step))[:, : int(msg.width) * step].ravel()
    data = np.concatenate([rows[: count * step], np.zeros(len(xyz) * step, np.uint8)])
    total = count + len(xyz)
    new = dataclasses.replace(msg, height=1, width=total, row_step=total * step, data=data)
    fields = messages.point_fields(new)
    for axis, values in zip("xyz", xyz.T):
        fields[axis][0, count:] = values
    for name, value in told.items():
        if name in fields:
            fields[name][0, count:] = value
    return new
