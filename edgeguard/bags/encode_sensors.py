"""Images and point clouds, back to ROS messages of a `rosbags` type store.

`edgeguard.messages` reads what these write. Where an original message is given, its encoding or layout is
kept, so that an altered recording differs from the original only in what was altered.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rosbags.typesys.store import Typestore

from edgeguard.bags.build import header, make
from edgeguard.errors import MessageError
from edgeguard.messages import finite_points, intensity_field, point_dtype, point_fields
from edgeguard.types import F32, U8, Image, PointCloud, RadarTargets

_JPEG_QUALITY = 95
_FROM_BGR = {
    "rgb8": cv2.COLOR_BGR2RGB,
    "bgra8": cv2.COLOR_BGR2BGRA,
    "8uc4": cv2.COLOR_BGR2BGRA,
    "rgba8": cv2.COLOR_BGR2RGBA,
    "mono8": cv2.COLOR_BGR2GRAY,
    "8uc1": cv2.COLOR_BGR2GRAY,
    "mono16": cv2.COLOR_BGR2GRAY,
    "uyvy": cv2.COLOR_BGR2YUV_UYVY,
    "yuv422": cv2.COLOR_BGR2YUV_UYVY,
    "yuyv": cv2.COLOR_BGR2YUV_YUY2,
    "yuv422_yuy2": cv2.COLOR_BGR2YUV_YUY2,
    "nv12": cv2.COLOR_BGR2YUV_I420,
}


def to_image_msg(store: Typestore, image: Image, *, original: Any = None) -> Any:
    """Return a `sensor_msgs/Image` in the encoding and byte order of `original`; `bgr8` without one."""
    encoding = "bgr8" if original is None else str(original.encoding)
    big_endian = original is not None and bool(original.is_bigendian)
    pixels = _encoded(image.bgr, encoding.lower())
    if encoding.lower() == "mono16":
        pixels = (pixels.astype(np.uint16) * 257).astype(">u2" if big_endian else "<u2")
    width, height = image.size
    return make(
        store,
        "sensor_msgs",
        "Image",
        header=header(store, image.stamp_ns, image.frame_id),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=int(big_endian),
        step=pixels.nbytes // len(pixels),
        data=np.ascontiguousarray(pixels).view(np.uint8).reshape(-1),
    )


def to_compressed_image_msg(store: Typestore, image: Image, *, original: Any = None) -> Any:
    """Return a `sensor_msgs/CompressedImage`, JPEG or PNG as `original`; PNG without one."""
    text, is_jpeg = "png", False
    bgr: U8 = image.bgr
    if original is not None:
        text, is_jpeg = str(original.format), bytes(np.frombuffer(original.data, np.uint8)[:2]) == b"\xff\xd8"
        if "compressed rgb" in text:
            bgr = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)  # type: ignore[assignment]
    options = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY] if is_jpeg else [cv2.IMWRITE_PNG_COMPRESSION, 1]
    _, data = cv2.imencode(".jpg" if is_jpeg else ".png", bgr, options)
    return make(
        store,
        "sensor_msgs",
        "CompressedImage",
        header=header(store, image.stamp_ns, image.frame_id),
        format=text,
        data=data.reshape(-1),
    )


def to_point_cloud_msg(store: Typestore, cloud: PointCloud) -> Any:
    """Return a `sensor_msgs/PointCloud2` of x, y, z and, where known, intensity; float32."""
    columns = dict(zip("xyz", cloud.xyz.T))
    if cloud.intensity is not None:
        columns["intensity"] = cloud.intensity
    return _cloud(store, cloud.stamp_ns, cloud.frame_id, columns)


def to_radar_msg(store: Typestore, targets: RadarTargets) -> Any:
    """Return a `sensor_msgs/PointCloud2` of x, y, z, `range_rate` and, where known, `snr`; float32."""
    columns = dict(zip("xyz", targets.xyz.T)) | {"range_rate": targets.range_rate}
    if targets.snr is not None:
        columns["snr"] = targets.snr
    return _cloud(store, targets.stamp_ns, targets.frame_id, columns)


def edited_point_cloud_msg(
    store: Typestore,
    original: Any,
    *,
    keep: NDArray[np.bool_] | None = None,
    added_xyz: F32 | None = None,
    added_intensity: F32 | None = None,
) -> Any:
    """Return a copy of a `sensor_msgs/PointCloud2` with points removed and added, in the original's layout.

    Points that are not finite stay. An organised cloud (height above 1) stays organised while points are
    only removed: they become NaN, as where a LiDAR has no return. Fields of added points that are not told
    (ring, time) are 0.

    Args:
        store: the types to build on.
        original: the message.
        keep: (N,) bool over the points that `point_cloud(original)` gives; all by default.
        added_xyz: (M, 3) points to add, metres.
        added_intensity: (M,) their intensities, in the sensor's own scale; 0 by default.
    """
    fields, step = point_fields(original), int(original.point_step)
    height, width = int(original.height), int(original.width)
    records = _records(original)
    removed = _removed(fields, keep)
    floats = all(fields[axis].dtype.kind == "f" for axis in "xyz")
    if added_xyz is None and height > 1 and floats:
        for axis in "xyz":
            _field(original, axis, records)[removed] = np.nan
    else:
        added = np.zeros((0 if added_xyz is None else len(added_xyz), step), np.uint8)
        if added_xyz is not None:
            for i, axis in enumerate("xyz"):
                _field(original, axis, added)[:] = added_xyz[:, i]
            name = intensity_field(fields)
            if added_intensity is not None and name is not None:
                _field(original, name, added)[:] = added_intensity
        records = np.concatenate([records[~removed], added])
        height, width = 1, len(records)
    return make(
        store,
        "sensor_msgs",
        "PointCloud2",
        header=original.header,
        height=height,
        width=width,
        fields=original.fields,
        is_bigendian=original.is_bigendian,
        point_step=step,
        row_step=step * width,
        data=records.reshape(-1),
        is_dense=bool(original.is_dense and not (height > 1 and removed.any())),
    )


def _encoded(bgr: U8, encoding: str) -> U8:
    """The (rows, width, …) bytes of an image in a ROS encoding of 8 bits a channel."""
    if encoding in ("bgr8", "8uc3"):
        return bgr
    if encoding.startswith("bayer_") and encoding.endswith("8"):
        mosaic = np.empty(bgr.shape[:2], np.uint8)
        for i, letter in enumerate(encoding[len("bayer_") : -1]):
            at = np.s_[i // 2 :: 2, i % 2 :: 2]
            mosaic[at] = bgr[..., "bgr".index(letter)][at]
        return mosaic
    if encoding not in _FROM_BGR:
        raise MessageError("Image", f"cannot be written as {encoding!r}")
    out: U8 = cv2.cvtColor(bgr, _FROM_BGR[encoding])  # type: ignore[assignment]
    if encoding == "nv12":
        height, width = bgr.shape[:2]
        u, v = out[height:].reshape(2, -1)
        out[height:] = np.stack([u, v], axis=1).reshape(height // 2, width)
    return out


def _cloud(store: Typestore, stamp_ns: int, frame_id: str, columns: Mapping[str, F32]) -> Any:
    data = np.stack([np.asarray(c, "<f4") for c in columns.values()], axis=1)
    n, step = len(data), 4 * len(columns)
    fields = [
        make(store, "sensor_msgs", "PointField", name=name, offset=4 * i, datatype=7, count=1)
        for i, name in enumerate(columns)
    ]
    return make(
        store,
        "sensor_msgs",
        "PointCloud2",
        header=header(store, stamp_ns, frame_id),
        height=1,
        width=n,
        fields=fields,
        is_bigendian=False,
        point_step=step,
        row_step=step * n,
        data=np.ascontiguousarray(data).view(np.uint8).reshape(-1),
        is_dense=True,
    )


def _records(msg: Any) -> U8:
    """A copy of a cloud's points as (height * width, point_step) bytes, without the padding of rows."""
    height, width, step = int(msg.height), int(msg.width), int(msg.point_step)
    if height * width == 0:
        return np.zeros((0, step), np.uint8)
    data = np.frombuffer(msg.data, np.uint8)
    strides = (int(msg.row_step), step, 1)
    return np.ndarray((height, width, step), np.uint8, data, strides=strides).reshape(-1, step).copy()


def _field(msg: Any, name: str, records: U8) -> NDArray[Any]:
    """A writable view of one field of (N, point_step) records laid out as `msg`'s."""
    field = next(f for f in msg.fields if f.name == name)
    dtype = point_dtype(field, bool(msg.is_bigendian))
    return np.ndarray(len(records), dtype, records, offset=int(field.offset), strides=(records.shape[1],))


def _removed(fields: dict[str, NDArray[Any]], keep: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Which of all points are to go, from which of the finite points are to stay."""
    xyz, index = finite_points(fields)
    removed = np.zeros(fields["x"].size, np.bool_)
    if keep is not None:
        if keep.shape != (len(xyz),):
            raise ValueError(f"keep: expected shape ({len(xyz)},), got {keep.shape}")
        removed[np.arange(len(xyz)) if index is None else index] = ~keep
    return removed
