"""ROS messages to the types that flow, by duck typing: rclpy's message objects and rosbags' alike.

Every function raises `MessageError` where a message contradicts itself or cannot be understood; none
trusts a length, step or offset that a message states.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeguard.errors import MessageError
from edgeguard.rig import CameraModel, pose_matrix
from edgeguard.types import (
    F32,
    F64,
    I32,
    Detections,
    Detections3D,
    EgoMotion,
    Image,
    PointCloud,
    RadarTargets,
)

STAMP = slice(4, 12)
"""Where a header's stamp stands in a serialised message: behind the encapsulation."""

# ROS names a Bayer pattern by its first two rows, OpenCV by the second row's second and third pixel.
_CONVERSIONS: dict[str, tuple[int, int | None]] = {
    "bgr8": (3, None),
    "8uc3": (3, None),
    "rgb8": (3, cv2.COLOR_RGB2BGR),
    "bgra8": (4, cv2.COLOR_BGRA2BGR),
    "8uc4": (4, cv2.COLOR_BGRA2BGR),
    "rgba8": (4, cv2.COLOR_RGBA2BGR),
    "mono8": (1, cv2.COLOR_GRAY2BGR),
    "8uc1": (1, cv2.COLOR_GRAY2BGR),
    "mono16": (1, cv2.COLOR_GRAY2BGR),
    "bayer_rggb8": (1, cv2.COLOR_BayerBG2BGR),
    "bayer_bggr8": (1, cv2.COLOR_BayerRG2BGR),
    "bayer_gbrg8": (1, cv2.COLOR_BayerGR2BGR),
    "bayer_grbg8": (1, cv2.COLOR_BayerGB2BGR),
    "uyvy": (2, cv2.COLOR_YUV2BGR_UYVY),
    "yuv422": (2, cv2.COLOR_YUV2BGR_UYVY),
    "yuyv": (2, cv2.COLOR_YUV2BGR_YUY2),
    "yuv422_yuy2": (2, cv2.COLOR_YUV2BGR_YUY2),
    "nv12": (1, cv2.COLOR_YUV2BGR_NV12),
}
_POINT_FORMATS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
_INTENSITY_FIELDS = ("intensity", "reflectivity", "i")
DOPPLER_FIELDS = ("doppler", "velocity", "range_rate", "v_r")
_SNR_FIELDS = ("snr", "SNR")
_DISTORTIONS = {
    "plumb_bob": ("plumb_bob", (0, 4, 5)),
    "": ("plumb_bob", (0, 4, 5)),
    "none": ("plumb_bob", (0, 4, 5)),
    "rational_polynomial": ("rational_polynomial", (0, 4, 5, 8, 12, 14)),
    "equidistant": ("equidistant", (0, 4)),
    "fisheye": ("equidistant", (0, 4)),
    "kannala_brandt": ("equidistant", (0, 4)),
}


def stamp_ns(header: Any) -> int:
    """Return a `std_msgs/Header`'s stamp, nanoseconds."""
    return int(header.stamp.sec) * 1_000_000_000 + int(header.stamp.nanosec)


def image(msg: Any) -> Image:
    """Read a `sensor_msgs/Image`. A `bgr8` image without padding is a view of the message's memory.

    16-bit grey is scaled to 8 bits; `yuv422` is UYVY, as ROS defines it.
    """
    encoding, height, width, step = str(msg.encoding).lower(), int(msg.height), int(msg.width), int(msg.step)
    if encoding not in _CONVERSIONS:
        raise MessageError("Image", f"encoding {msg.encoding!r} is none of {', '.join(_CONVERSIONS)}")
    channels, code = _CONVERSIONS[encoding]
    dtype = np.dtype(np.uint8 if encoding != "mono16" else (">u2" if msg.is_bigendian else "<u2"))
    rows = height * 3 // 2 if encoding == "nv12" else height
    row_bytes = width * channels * dtype.itemsize
    data = np.frombuffer(msg.data, np.uint8)
    if height < 1 or width < 1:
        raise MessageError("Image", f"is {width}x{height} pixels")
    if step < row_bytes or len(data) < step * (rows - 1) + row_bytes:
        raise MessageError(
            "Image", f"{width}x{height} {encoding} with step {step} needs more than its {len(data)} bytes"
        )
    if (channels == 2 and width % 2) or (encoding == "nv12" and (width % 2 or height % 2)):
        raise MessageError("Image", f"{encoding} needs an even size, got {width}x{height}")
    if encoding.startswith("bayer") and min(width, height) < 3:
        raise MessageError("Image", f"{encoding} needs at least 3x3 pixels, got {width}x{height}")
    shape, strides = (rows, width, channels), (step, channels * dtype.itemsize, dtype.itemsize)
    pixels: NDArray[Any] = np.ndarray(shape, dtype, data, strides=strides)
    if dtype.itemsize == 2:
        pixels = (pixels >> 8).astype(np.uint8)
    bgr = np.ascontiguousarray(pixels)
    if code is not None:
        bgr = np.asarray(cv2.cvtColor(bgr, code), np.uint8)
    return Image(stamp_ns(msg.header), str(msg.header.frame_id), bgr)


def compressed_image(msg: Any) -> Image:
    """Read a `sensor_msgs/CompressedImage` in JPEG or PNG, with the `format` of image_transport."""
    text = str(msg.format)
    if "compressedDepth" in text:
        raise MessageError("CompressedImage", f"format {text!r} holds depth, not a camera image")
    data = np.frombuffer(msg.data, np.uint8)
    if not (bytes(data[:2]) == b"\xff\xd8" or bytes(data[:8]) == b"\x89PNG\r\n\x1a\n"):
        raise MessageError("CompressedImage", f"format {text!r}: its {len(data)} bytes are no JPEG or PNG")
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error as e:
        raise MessageError("CompressedImage", f"format {text!r}: cannot be decoded: {e.err}") from e
    if bgr is None:
        raise MessageError("CompressedImage", f"format {text!r}: {len(data)} bytes cannot be decoded")
    if "compressed rgb" in text:  # image_transport handed RGB to an encoder that takes BGR
        bgr = cv2.cvtColor(bgr, cv2.COLOR_RGB2BGR)
    return Image(stamp_ns(msg.header), str(msg.header.frame_id), bgr)  # type: ignore[arg-type]


def point_dtype(field: Any, big_endian: bool) -> np.dtype[Any]:
    """Return the dtype of a `sensor_msgs/PointField`."""
    kind = _POINT_FORMATS.get(int(field.datatype))
    if kind is None:
        raise MessageError("PointCloud2", f"field {field.name!r} has unknown datatype {field.datatype}")
    return np.dtype((">" if big_endian else "<") + kind)


def intensity_field(fields: Iterable[str]) -> str | None:
    """Return which of a cloud's fields is the intensity."""
    return next((name for name in _INTENSITY_FIELDS if name in fields), None)


def point_fields(msg: Any) -> dict[str, NDArray[Any]]:
    """Return a `sensor_msgs/PointCloud2`'s fields as (height, width) views of its memory, in its own dtypes.

    Fields with a count above 1 give their first element.
    """
    height, width = int(msg.height), int(msg.width)
    point_step, row_step = int(msg.point_step), int(msg.row_step)
    data = np.frombuffer(msg.data, np.uint8)
    if height * width and (row_step if height > 1 else point_step * width) < point_step * width:
        raise MessageError(
            "PointCloud2", f"row step {row_step} is below {width} points of {point_step} bytes"
        )
    if height * width and len(data) < row_step * (height - 1) + point_step * width:
        raise MessageError("PointCloud2", f"{height}x{width} points need more than its {len(data)} bytes")
    fields: dict[str, NDArray[Any]] = {}
    for f in msg.fields:
        dtype = point_dtype(f, bool(msg.is_bigendian))
        if int(f.offset) + dtype.itemsize * max(int(f.count), 1) > point_step:
            raise MessageError("PointCloud2", f"field {f.name!r} exceeds a point's {point_step} bytes")
        if height * width == 0:
            fields[str(f.name)] = np.zeros((height, width), dtype)
        else:
            fields[str(f.name)] = np.ndarray(
                (height, width), dtype, data, offset=int(f.offset), strides=(row_step, point_step)
            )
    return fields


def finite_points(fields: dict[str, NDArray[Any]]) -> tuple[F32, NDArray[np.intp] | None]:
    """Return the finite points as (N, 3) float32, and their flat indices; None where all are finite."""
    if missing := [name for name in "xyz" if name not in fields]:
        held = ", ".join(fields) or "none"
        raise MessageError("PointCloud2", f"has no field {', '.join(missing)}; it has {held}")
    xyz = np.empty((fields["x"].size, 3), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for axis, name in enumerate("xyz"):
            xyz[:, axis] = fields[name].reshape(-1)
    # Over all numbers at once first: along the short axis it takes twenty times as long.
    finite = np.isfinite(xyz)
    if finite.all():
        return xyz, None
    index = np.flatnonzero(finite[:, 0] & finite[:, 1] & finite[:, 2])
    return xyz[index], index


def point_cloud(msg: Any, *, intensity: bool = True) -> PointCloud:
    """Read a `sensor_msgs/PointCloud2`: any field order, padding, dtype, byte order, organised or not.

    Args:
        msg: the message.
        intensity: read it as well; no check does, and it is a third of the cost.
    """
    fields = point_fields(msg)
    xyz, index = finite_points(fields)
    found = _column(fields, _INTENSITY_FIELDS, index) if intensity else None
    return PointCloud(stamp_ns(msg.header), str(msg.header.frame_id), xyz, found, fields["x"].size)


def radar_targets(msg: Any) -> RadarTargets:
    """Read a radar's `sensor_msgs/PointCloud2`: x, y, z and one of `DOPPLER_FIELDS` (m/s)."""
    fields = point_fields(msg)
    xyz, index = finite_points(fields)
    rate = _column(fields, DOPPLER_FIELDS, index)
    if rate is None:
        raise MessageError("PointCloud2", f"is no radar: it has no field {', '.join(DOPPLER_FIELDS)}")
    snr = _column(fields, _SNR_FIELDS, index)
    known = np.isfinite(rate)
    return RadarTargets(
        stamp_ns(msg.header),
        str(msg.header.frame_id),
        xyz[known],
        rate[known],
        None if snr is None else snr[known],
    )


def radar_tracks(msg: Any) -> RadarTargets:
    """Read a `radar_msgs/RadarTracks`: of each track its place and its velocity along the line of sight.

    Velocities are taken as the message defines them, relative to the radar; a driver that adds the
    vehicle's own motion contradicts it.
    """
    values = np.empty((len(msg.tracks), 6))
    for row, track in zip(values, msg.tracks):
        p, v = track.position, track.velocity
        row[:] = p.x, p.y, p.z, v.x, v.y, v.z
    with np.errstate(over="ignore", invalid="ignore"):
        xyz = values[:, :3].astype(np.float32)
        distance = np.linalg.norm(values[:, :3], axis=1)
        rate = (np.einsum("ni,ni->n", values[:, :3], values[:, 3:]) / np.maximum(distance, 1e-6)).astype(
            np.float32
        )
    known = np.isfinite(xyz).all(axis=1) & np.isfinite(rate)
    return RadarTargets(stamp_ns(msg.header), str(msg.header.frame_id), xyz[known], rate[known])


def _column(
    fields: dict[str, NDArray[Any]], names: tuple[str, ...], index: NDArray[np.intp] | None
) -> F32 | None:
    name = next((n for n in names if n in fields), None)
    if name is None:
        return None
    flat = fields[name].reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        return (flat if index is None else flat[index]).astype(np.float32)


def is_rectified(topic: str) -> bool:
    """Return whether an image topic is named as image_proc names rectified ones, such as `image_rect`."""
    return not {"rect", "rectified"}.isdisjoint(re.split("[/_]", topic.lower()))


def camera_model(msg: Any, *, rectified: bool = False) -> CameraModel:
    """Read a `sensor_msgs/CameraInfo`, with its binning and region of interest.

    Args:
        msg: the message.
        rectified: the images are rectified: use the projection matrix P and no distortion.
    """
    name = str(msg.distortion_model).lower()
    if name not in _DISTORTIONS:
        known = ", ".join(k for k in _DISTORTIONS if k)
        raise MessageError("CameraInfo", f"distortion model {name!r} is none of {known}")
    model, lengths = _DISTORTIONS[name]
    distortion = np.zeros(0) if rectified else np.asarray(msg.d, np.float64)
    matrix = np.array(msg.p if rectified else msg.k, np.float64)
    k = matrix.reshape(3, 4 if rectified else 3)[:, :3]
    if not (np.isfinite(k).all() and np.isfinite(distortion).all() and k[0, 0] > 0 and k[1, 1] > 0):
        raise MessageError("CameraInfo", "the camera is not calibrated: its focal length is not positive")
    if np.any(distortion != 0) and len(distortion) not in lengths:
        raise MessageError("CameraInfo", f"{model} with {len(distortion)} distortion coefficients")
    if not (int(msg.width) > 0 and int(msg.height) > 0):
        raise MessageError("CameraInfo", f"the image is {msg.width}x{msg.height} pixels")
    binning = np.array([max(int(msg.binning_x), 1), max(int(msg.binning_y), 1)])
    roi = msg.roi
    offset = np.array([int(roi.x_offset), int(roi.y_offset)])
    size = np.array([int(roi.width) or int(msg.width), int(roi.height) or int(msg.height)]) // binning
    k[:2, 2] -= offset
    k[:2] /= binning[:, None]
    return CameraModel(str(msg.header.frame_id), int(size[0]), int(size[1]), k, model, distortion)


def odometry(msg: Any) -> EgoMotion:
    """Read a `nav_msgs/Odometry`: its twist, which is in the child frame (the vehicle)."""
    twist = msg.twist.twist
    linear, angular = _vector(twist.linear), _vector(twist.angular)
    if not (np.isfinite(linear).all() and np.isfinite(angular).all()):
        raise MessageError("Odometry", "its twist is not finite")
    return EgoMotion(stamp_ns(msg.header), linear, angular)


def transforms(msg: Any) -> list[tuple[str, str, F64]]:
    """Read a `tf2_msgs/TFMessage`: parent, child, and the (4, 4) pose of the child in the parent."""
    found = []
    for t in msg.transforms:
        p, q = t.transform.translation, t.transform.rotation
        values = (p.x, p.y, p.z, q.x, q.y, q.z, q.w)
        if not np.isfinite(values).all() or not any(values[3:]):
            raise MessageError("TFMessage", f"{t.header.frame_id} to {t.child_frame_id} is not a transform")
        found.append((str(t.header.frame_id), str(t.child_frame_id), pose_matrix(values[:3], values[3:])))
    return found


def detections(msg: Any, known: tuple[str, ...] = ()) -> Detections:
    """Read a `vision_msgs/Detection2DArray` in the layout of 4.0 and later or of those before.

    Of several hypotheses the one with the highest score counts. A rotated box gives the upright box around
    it. A class without a name keeps its number, as text; a detection without a hypothesis is `unknown`.

    Args:
        msg: the message.
        known: the vocabulary so far, so that a stream keeps its class numbers; new names are appended.
    """
    n, names = len(msg.detections), {c: i for i, c in enumerate(known)}
    values, score, class_id = np.empty((n, 5)), np.empty(n, np.float32), np.empty(n, np.int32)
    for i, d in enumerate(msg.detections):
        center = d.bbox.center
        position = getattr(center, "position", center)
        values[i] = position.x, position.y, center.theta, d.bbox.size_x, d.bbox.size_y
        score[i], class_id[i] = _best(d.results, names)
    return upright_boxes(stamp_ns(msg.header), values, score, class_id, tuple(names))


def upright_boxes(
    stamp_ns: int, values: F64, score: F32, class_id: I32, names: tuple[str, ...]
) -> Detections:
    """Return `vision_msgs/BoundingBox2D`s as what flows.

    Args:
        stamp_ns: header stamp.
        values: (N, 5) centre x and y, theta, size x and y: their order in the message.
        score: (N,).
        class_id: (N,).
        names: the vocabulary.
    """
    half, theta = values[:, 3:] / 2, values[:, 2]
    if not np.isfinite(values).all() or (half < 0).any() or not np.isfinite(score).all():
        raise MessageError("Detection2DArray", "a box or score is not finite, or a size is negative")
    if theta.any():
        c, s = np.abs(np.cos(theta)), np.abs(np.sin(theta))
        half = np.stack([c * half[:, 0] + s * half[:, 1], s * half[:, 0] + c * half[:, 1]], axis=1)
    xyxy = np.concatenate([values[:, :2] - half, values[:, :2] + half], axis=1).astype(np.float32)
    return Detections(stamp_ns, xyxy, score, class_id, names)


def detections_3d(msg: Any, known: tuple[str, ...] = ()) -> Detections3D:
    """Read a `vision_msgs/Detection3DArray` in either layout; as `detections`."""
    n, names = len(msg.detections), {c: i for i, c in enumerate(known)}
    values, score, class_id = np.empty((n, 10)), np.empty(n, np.float32), np.empty(n, np.int32)
    for i, d in enumerate(msg.detections):
        p, q, size = d.bbox.center.position, d.bbox.center.orientation, d.bbox.size
        values[i] = p.x, p.y, p.z, q.x, q.y, q.z, q.w, size.x, size.y, size.z
        score[i], class_id[i] = _best(d.results, names)
    stamp, frame = stamp_ns(msg.header), str(msg.header.frame_id)
    return oriented_boxes(stamp, frame, values, score, class_id, tuple(names))


def oriented_boxes(
    stamp_ns: int, frame_id: str, values: F64, score: F32, class_id: I32, names: tuple[str, ...]
) -> Detections3D:
    """Return `vision_msgs/BoundingBox3D`s as what flows.

    Args:
        stamp_ns: header stamp.
        frame_id: coordinate frame of the boxes.
        values: (N, 10) position, quaternion x, y, z, w and size: their order in the message.
        score: (N,).
        class_id: (N,).
        names: the vocabulary.
    """
    if not np.isfinite(values).all() or (values[:, 7:] < 0).any() or not np.isfinite(score).all():
        raise MessageError("Detection3DArray", "a box or score is not finite, or a size is negative")
    parts = values[:, :3], values[:, 7:], values[:, 3:7]
    return Detections3D(stamp_ns, frame_id, *parts, score, class_id, names)


def _best(results: Any, names: dict[str, int]) -> tuple[float, int]:
    """The highest score of a detection and its class number, adding to `names` where it is new."""
    if not len(results):
        return 1.0, names.setdefault("unknown", len(names))
    hypotheses = [getattr(r, "hypothesis", r) for r in results]
    best = hypotheses[0] if len(hypotheses) == 1 else max(hypotheses, key=lambda h: float(h.score))
    label = best.class_id if hasattr(best, "class_id") else best.id
    return best.score, names.setdefault(str(label).lower(), len(names))


def _vector(v: Any) -> F64:
    return np.array([v.x, v.y, v.z], np.float64)
