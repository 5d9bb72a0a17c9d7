"""Small recordings of every kind, written by `rosbags` itself and not by the code under test."""

from __future__ import annotations

import shutil
import sqlite3
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from edgeguard.bags import (
    to_camera_info_msg,
    to_detections_3d_msg,
    to_detections_msg,
    to_image_msg,
    to_odometry_msg,
    to_point_cloud_msg,
    to_tf_msg,
    typestore,
)
from edgeguard.rig import CameraModel
from edgeguard.types import Detections, Detections3D, EgoMotion, Image, PointCloud

STORE = typestore()
OLD_STORE = typestore(old_vision_msgs=True)
T0 = 1_700_000_000_000_000_000
PERIOD = 100_000_000
Message = tuple[str, str, int, Any]

IMAGE = "sensor_msgs/msg/Image"
CLOUD = "sensor_msgs/msg/PointCloud2"
INFO = "sensor_msgs/msg/CameraInfo"
BOXES = "vision_msgs/msg/Detection2DArray"
BOXES_3D = "vision_msgs/msg/Detection3DArray"
ODOMETRY = "nav_msgs/msg/Odometry"
TF = "tf2_msgs/msg/TFMessage"


def image(i: int, size: tuple[int, int] = (16, 12)) -> Image:
    pixels = np.random.default_rng(i).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image(T0 + i * PERIOD, "camera_optical", pixels)


def cloud(i: int) -> PointCloud:
    rng = np.random.default_rng(100 + i)
    xyz = rng.normal(size=(20, 3)).astype(np.float32)
    return PointCloud(T0 + i * PERIOD + 7, "lidar", xyz, rng.random(20).astype(np.float32), 20)


def boxes(i: int, n: int = 2) -> Detections:
    xyxy = np.array([[1 + i, 2, 5 + i, 8], [3, 3, 9, 11]], np.float32)[:n]
    scores, classes = np.array([0.75, 0.5], np.float32)[:n], np.array([0, 1], np.int32)[:n]
    return Detections(T0 + i * PERIOD, xyxy, scores, classes, ("car", "person"))


def boxes_3d(i: int) -> Detections3D:
    quaternion = np.array([[0, 0.6, 0, 0.8]])
    return Detections3D(
        T0 + i * PERIOD,
        "lidar",
        np.array([[1.0, 2, 30 + i]]),
        np.array([[4.0, 1.5, 2]]),
        quaternion,
        np.array([3.5], np.float32),
        np.array([0], np.int32),
        ("car",),
    )


CAMERA = CameraModel("camera_optical", 16, 12, np.array([[20.0, 0, 8], [0, 20, 6], [0, 0, 1]]))


def drive(frames: int = 4, *, size: tuple[int, int] = (16, 12), store: Any = STORE) -> list[Message]:
    """Everything that EdgeGuard reads, one of each a frame."""
    shift = np.eye(4)
    shift[:3, 3] = 1, 2, 3
    found: list[Message] = [("/tf_static", TF, T0, to_tf_msg(store, [("base", "lidar", shift)], T0))]
    for i in range(frames):
        at = T0 + i * PERIOD + 1000
        ego = EgoMotion(T0 + i * PERIOD, np.array([5.0, 0, 0]), np.array([0, 0, 0.1]))
        found += [
            ("/camera/image", IMAGE, at, to_image_msg(store, image(i, size))),
            ("/camera/camera_info", INFO, at, to_camera_info_msg(store, CAMERA, T0 + i * PERIOD)),
            ("/lidar/points", CLOUD, at + 1, to_point_cloud_msg(store, cloud(i))),
            ("/camera/boxes", BOXES, at + 2, to_detections_msg(store, boxes(i), "camera_optical")),
            ("/lidar/boxes", BOXES_3D, at + 3, to_detections_3d_msg(store, boxes_3d(i))),
            ("/odom", ODOMETRY, at + 4, to_odometry_msg(store, ego)),
        ]
    return found


def write(
    path: Path,
    messages: Iterable[Message],
    *,
    plugin: str = "mcap",
    compression: str = "none",
    little_endian: bool = True,
    store: Any = STORE,
    embed: bool = True,
) -> Path:
    """Write a rosbag2 folder; `embed` False removes the definitions, as in sqlite3 before Iron."""
    writer = Writer(path, version=9, storage_plugin=StoragePlugin[plugin.upper()])
    writer.set_compression(CompressionMode[compression.upper()], CompressionFormat.ZSTD)
    with writer:
        connections: dict[str, Any] = {}
        for topic, msgtype, log_ns, msg in messages:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, msgtype, typestore=store)
            data = store.serialize_cdr(msg, msgtype, little_endian=little_endian)
            writer.write(connections[topic], log_ns, data)
    if not embed:
        with sqlite3.connect(storage_file(path)) as db:
            db.executescript("DROP TABLE schema; DROP TABLE message_definitions;")
    return path


def storage_file(folder: Path) -> Path:
    return next(p for p in folder.iterdir() if p.name != "metadata.yaml")


def split(path: Path, messages: list[Message], **options: Any) -> Path:
    """Write a recording in two files, named so that their order by name is not their order in time."""
    half = len(messages) // 2
    path.mkdir(parents=True)
    names, total = [], 0
    for name, part in (("part_9", messages[:half]), ("part_10", messages[half:])):
        folder = write(path.parent / name, part, **options)
        info = yaml.safe_load((folder / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
        names += info["relative_file_paths"]
        total += info["message_count"]
        shutil.move(storage_file(folder), path)
    info |= {"relative_file_paths": names, "message_count": total}
    (path / "metadata.yaml").write_text(yaml.safe_dump({"rosbag2_bagfile_information": info}))
    return path


def write_unchunked(path: Path, messages: Iterable[Message], store: Any = STORE) -> Path:
    """Write an MCAP file without chunks, index or summary: what `ros2 bag record` writes at its fastest."""

    def text(s: str) -> bytes:
        return struct.pack("<I", len(s.encode())) + s.encode()

    def record(opcode: int, body: bytes) -> bytes:
        return struct.pack("<BQ", opcode, len(body)) + body

    out, ids = b"\x89MCAP0\r\n" + record(1, text("ros2") + text("test")), {}
    for topic, msgtype, log_ns, msg in messages:
        if topic not in ids:
            ids[topic] = i = len(ids) + 1
            definition, _ = store.generate_msgdef(msgtype, ros_version=2)
            out += record(3, struct.pack("<H", i) + text(msgtype) + text("ros2msg") + text(definition))
            out += record(4, struct.pack("<HH", i, i) + text(topic) + text("cdr") + struct.pack("<I", 0))
        head = struct.pack("<HIQQ", ids[topic], 0, log_ns, log_ns)
        out += record(5, head + bytes(store.serialize_cdr(msg, msgtype)))
    out += record(15, bytes(4)) + record(2, bytes(20)) + b"\x89MCAP0\r\n"
    path.write_bytes(out)
    return path
