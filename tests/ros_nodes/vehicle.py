"""A vehicle's sensors and detector as a process of their own: a recording played round and round with today's
stamps and fresh sensor noise, each stream of which can be told to misbehave.

Commands come on stdin, one a line: `STREAM MODE [MS]` with the streams `camera` (its detections come with
it), `detections`, `lidar`, `camera_info`, `tf_static`, and, off until told otherwise, `radar`,
`lidar_detections` and `ego`, which see nothing and stand still; and the modes

    on       as recorded
    off      nothing
    freeze   the last message again and again, with new stamps
    late     stamps MS in the past
    future   stamps MS in the future
    reorder  each second message after the one that follows it
    nonsense messages that contradict themselves
    flood    as much as a sensor could ever send: 4K pictures, 1,000 boxes, 500,000 points

`rate HZ` to publish faster or slower than 10 Hz, and `rewind` to begin the recording anew. A line is
answered with `ok` once it is in force.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import queue
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import (
    Detection2D,
    Detection2DArray,
    Detection3D,
    Detection3DArray,
    ObjectHypothesisWithPose,
)

from edgeguard.bags import BagReader
from edgeguard.types import Channel
from ros_nodes import qos

PERIOD_NS = 100_000_000
STAMPING_NS = 2_000_000
"""What it takes to stamp a frame at least, so that it is ready when its time comes."""

STREAMS = (Channel.CAMERA, Channel.DETECTIONS, Channel.LIDAR)
QUIET = {
    Channel.RADAR: ("/radar/points", PointCloud2, qos.SENSOR),
    Channel.LIDAR_DETECTIONS: ("/lidar/detections", Detection3DArray, qos.RESULT),
    Channel.EGO: ("/odometry", Odometry, qos.SENSOR),
}
CALIBRATION = ("camera_info", "tf_static")
_STAMP_AT = 4
"""Where a header's stamp stands in a serialised message: behind the encapsulation."""


@dataclass
class Mode:
    """How a stream behaves."""

    name: str = "on"
    shift_ns: int = 0
    held: list[bytes] = field(default_factory=list)


class Vehicle(Node):
    """Publishes one frame a period."""

    def __init__(self, bag: Path, without: list[str]) -> None:
        super().__init__("vehicle")
        self._messages: dict[Channel, list[bytes]] = {c: [] for c in STREAMS}
        self._calibration = dict.fromkeys(CALIBRATION, b"")
        with BagReader(bag) as reader:
            by_topic = {topic: role for role, topic in reader.topics.items()}
            for raw in reader.raw_messages():
                role, data = by_topic.get(raw.connection.topic), bytes(raw.data)
                if role in self._messages:
                    self._messages[role].append(data)
                elif role in CALIBRATION:
                    self._calibration[role] = data
        self._noise = Noise(self._messages)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._static = self.create_publisher(TFMessage, "/tf_static", latched)
        self._infos = self.create_publisher(CameraInfo, "/camera/camera_info", qos.SENSOR)
        self._topics = {
            Channel.CAMERA: self.create_publisher(Image, "/camera/image", qos.SENSOR),
            Channel.DETECTIONS: self.create_publisher(Detection2DArray, "/camera/detections", qos.RESULT),
            Channel.LIDAR: self.create_publisher(PointCloud2, "/lidar/points", qos.SENSOR),
        } | {c: self.create_publisher(kind, topic, profile) for c, (topic, kind, profile) in QUIET.items()}
        self._modes = {c: Mode() for c in STREAMS} | {c: Mode("off") for c in QUIET}
        self._info_mode = "off" if "camera_info" in without else "on"
        if "tf_static" not in without:
            self._static.publish(self._calibration["tf_static"])
        self._period_ns = PERIOD_NS
        self._frame = 0
        self._commands: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._commands.put(line)

    def run(self) -> None:
        due_ns = time.time_ns()
        while rclpy.ok():
            while not self._commands.empty():
                self._obey(self._commands.get())
            self._renew()
            # A driver stamps what it has: what this process takes to copy is no latency of anybody's.
            due_ns = max(due_ns + self._period_ns, time.time_ns() + STAMPING_NS)
            ready = self._stamped(due_ns)
            time.sleep(max(0, due_ns - time.time_ns()) / 1e9)
            for publisher, data in ready:
                publisher.publish(data)
            self._frame += 1

    def _obey(self, line: str) -> None:
        stream, *mode = line.split()
        if stream == "rewind":
            self._frame = 0
        elif stream == "rate":
            self._period_ns = int(1e9 / float(mode[0]))
        elif stream == "camera_info":
            self._info_mode = mode[0]
        elif stream == "tf_static":
            self._static.publish(self._calibration[stream] if mode[0] == "on" else nonsense(stream))
        else:
            shift_ns = int(float(mode[1]) * 1e6) if len(mode) > 1 else 0
            change = Mode(mode[0], -shift_ns if mode[0] == "late" else shift_ns)
            self._modes[Channel(stream)] = change
            if stream == "camera":
                self._modes[Channel.DETECTIONS] = Mode(change.name, change.shift_ns)
        print("ok", flush=True)

    def _renew(self) -> None:
        for channel in STREAMS:
            mode, recorded = self._modes[channel], self._messages[channel]
            # A frozen camera shows what it last showed; the recording goes on behind it.
            frozen = mode.name == "freeze"
            if not frozen or not mode.held:
                mode.held.append(self._noise.renewed(channel, recorded[self._frame % len(recorded)]))
            del mode.held[:-2]

    def _stamped(self, now_ns: int) -> list[tuple[Publisher[Any], bytes]]:
        """Return all that goes out at that time."""
        ready: list[tuple[Publisher[Any], bytes]] = []
        if self._info_mode == "on":
            ready.append((self._infos, stamped(self._calibration["camera_info"], now_ns)))
        elif self._info_mode == "nonsense":
            ready.append((self._infos, nonsense("camera_info")))
        # The sweep first, as on a vehicle: the detector takes longer than the LiDAR.
        for channel in (Channel.LIDAR, *QUIET, Channel.CAMERA, Channel.DETECTIONS):
            messages = self._messages_of(channel, self._modes[channel], now_ns)
            ready += [(self._topics[channel], data) for data in messages]
        return ready

    def _messages_of(self, channel: Channel, mode: Mode, now_ns: int) -> list[bytes]:
        if mode.name == "off":
            return []
        if mode.name == "nonsense":
            return [nonsense(channel.value)]
        if mode.name == "flood":
            return [stamped(flood(channel.value), now_ns)]
        if mode.name == "reorder":
            pair = [stamped(mode.held[-1], now_ns), stamped(mode.held[0], now_ns - PERIOD_NS)]
            return pair if self._frame % 2 else []
        newest = mode.held[-1] if mode.held else quiet(channel.value)
        return [stamped(newest, now_ns + mode.shift_ns)]


class Noise:
    """What no sensor gives twice: a recording that comes round again must not pass for a replay attack."""

    def __init__(self, messages: dict[Channel, list[bytes]]) -> None:
        self._random = np.random.default_rng(0)
        image = deserialize_message(messages[Channel.CAMERA][0], Image)
        sweep = deserialize_message(messages[Channel.LIDAR][0], PointCloud2)
        self._image_bytes = len(image.data)
        self._point_step = sweep.point_step
        self._pixels = self._random.integers(-2, 3, 2 * self._image_bytes).astype(np.uint8)
        self._metres = self._random.normal(0, 0.003, 2**18).astype(np.float32)

    def renewed(self, channel: Channel, data: bytes) -> bytes:
        """Return a serialised message with other noise: up to 2 of 255 in pixels, 3 mm in range."""
        if channel is Channel.CAMERA:
            head, pixels = data[: -self._image_bytes], np.frombuffer(data[-self._image_bytes :], np.uint8)
            at = int(self._random.integers(self._image_bytes))
            return head + (np.clip(pixels, 2, 253) + self._pixels[at : at + len(pixels)]).tobytes()
        if channel is Channel.LIDAR:
            # Behind the points stands `is_dense`, one byte.
            size = len(deserialize_message(data, PointCloud2).data)
            points = np.frombuffer(data[-1 - size : -1], np.uint8).reshape(-1, self._point_step).copy()
            xyz = points[:, :12].copy().view(np.float32)
            at = int(self._random.integers(len(self._metres) - len(points)))
            xyz += self._metres[at : at + len(points), None]
            points[:, :12] = xyz.view(np.uint8)
            return data[: -1 - size] + points.tobytes() + data[-1:]
        return data


def stamped(data: bytes, stamp_ns: int) -> bytes:
    """Return a serialised message with another header stamp."""
    stamp = struct.pack("<iI", *divmod(stamp_ns, 1_000_000_000))
    view = memoryview(data)
    return b"".join((view[:_STAMP_AT], stamp, view[_STAMP_AT + 8 :]))


def cloud(points: np.ndarray, *fields: str) -> PointCloud2:
    """Return a float32 cloud in the LiDAR's frame."""
    msg = PointCloud2(
        height=1,
        width=len(points),
        fields=[PointField(name=f, offset=4 * i, datatype=7, count=1) for i, f in enumerate(fields)],
        point_step=4 * len(fields),
        row_step=4 * len(fields) * len(points),
    )
    msg.header.frame_id = "lidar"
    msg.data.frombytes(points.astype(np.float32).tobytes())
    return msg


@functools.cache
def quiet(stream: str) -> bytes:
    """Return a serialised message of a sensor that sees nothing."""
    made = {
        "radar": lambda: cloud(np.zeros((0, 4)), "x", "y", "z", "doppler"),
        "lidar_detections": Detection3DArray,
        "ego": Odometry,
    }
    return bytes(serialize_message(made[stream]()))


@functools.cache
def nonsense(stream: str) -> bytes:
    """Return a serialised message of the stream's type that contradicts itself."""
    message: Any
    nan = float("nan")
    if stream == "camera":
        message = Image(width=640, height=480, encoding="bgr8", step=1920)
    elif stream in ("lidar", "radar"):
        message = PointCloud2(width=1000, height=1, point_step=16, row_step=16000)
    elif stream == "lidar_detections":
        message = Detection3DArray(detections=[Detection3D()])
        message.detections[0].bbox.size.x = -1.0
    elif stream == "ego":
        message = Odometry()
        message.twist.twist.linear.x = nan
    elif stream == "camera_info":
        message = CameraInfo(width=0, height=0, distortion_model="of the lens")
    elif stream == "tf_static":
        message = TFMessage(transforms=[TransformStamped(child_frame_id="lidar")])
        message.transforms[0].transform.rotation.w = nan
    else:
        message = Detection2DArray(detections=[Detection2D()])
        message.detections[0].bbox.size_x = nan
    return bytes(serialize_message(message))


@functools.cache
def flood(stream: str) -> bytes:
    """Return a serialised message of the stream's type that is as large as any sensor's."""
    random = np.random.default_rng(1)
    message: Any
    if stream == "camera":
        message = Image(width=3840, height=2160, encoding="bgr8", step=3 * 3840)
        message.header.frame_id = "camera"
        message.data.frombytes(random.integers(0, 255, 3 * 3840 * 2160, np.uint8).tobytes())
    elif stream in ("lidar", "radar"):
        points = random.uniform(
            (-60, -30, -2, 0), (60, 30, 6, 1), (500_000 if stream == "lidar" else 5_000, 4)
        )
        message = cloud(points, "x", "y", "z", "doppler" if stream == "radar" else "intensity")
    else:
        kinds = Detection2D, Detection2DArray
        if stream == "lidar_detections":
            kinds = Detection3D, Detection3DArray
        message = kinds[1](detections=[kinds[0]() for _ in range(1000)])
        for found in message.detections:
            center = found.bbox.center.position
            center.x, center.y = random.uniform(0, (600, 200)).tolist()
            if stream == "detections":
                found.bbox.size_x, found.bbox.size_y = random.uniform(10, 60, 2).tolist()
            found.results.append(ObjectHypothesisWithPose())
            found.results[0].hypothesis.class_id, found.results[0].hypothesis.score = "car", 0.9
    return bytes(serialize_message(message))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bag", type=Path)
    parser.add_argument("--without", nargs="*", default=[], choices=CALIBRATION)
    arguments = parser.parse_args()
    rclpy.init()
    vehicle = Vehicle(arguments.bag, arguments.without)
    print("ok", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        vehicle.run()


if __name__ == "__main__":
    main()
