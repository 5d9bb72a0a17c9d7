"""A vehicle's sensors and detector as a process of their own: a recording played round and round with today's
stamps and fresh sensor noise, each stream of which can be told to misbehave.

Commands come on stdin, one a line: `STREAM MODE [MS]` with the streams `camera` (its detections come with
it), `detections` and `lidar`, and the modes

    on       as recorded
    off      nothing
    freeze   the last message again and again, with new stamps
    late     stamps MS in the past
    future   stamps MS in the future
    reorder  each second message after the one that follows it
    nonsense messages that contradict themselves

and `rewind` to begin the recording anew. A line is answered with `ok` once it is in force.
"""

from __future__ import annotations

import argparse
import contextlib
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
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray

from edgeguard.bags import BagReader
from edgeguard.types import Channel
from ros_nodes import qos

PERIOD_NS = 100_000_000
STREAMS = (Channel.CAMERA, Channel.DETECTIONS, Channel.LIDAR)
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

    def __init__(self, bag: Path) -> None:
        super().__init__("vehicle")
        self._messages: dict[Channel, list[bytes]] = {c: [] for c in STREAMS}
        self._info = b""
        transforms = b""
        with BagReader(bag) as reader:
            by_topic = {topic: role for role, topic in reader.topics.items()}
            for raw in reader.raw_messages():
                role, data = by_topic.get(raw.connection.topic), bytes(raw.data)
                if role in self._messages:
                    self._messages[role].append(data)
                elif role == "camera_info":
                    self._info = data
                elif role == "tf_static":
                    transforms = data
        self._noise = Noise(self._messages)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._static = self.create_publisher(TFMessage, "/tf_static", latched)
        self._static.publish(transforms)
        self._infos = self.create_publisher(CameraInfo, "/camera/camera_info", qos.SENSOR)
        self._topics = {
            Channel.CAMERA: self.create_publisher(Image, "/camera/image", qos.SENSOR),
            Channel.DETECTIONS: self.create_publisher(Detection2DArray, "/camera/detections", qos.RESULT),
            Channel.LIDAR: self.create_publisher(PointCloud2, "/lidar/points", qos.SENSOR),
        }
        self._modes = {c: Mode() for c in STREAMS}
        self._frame = 0
        self._commands: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._commands.put(line)

    def run(self) -> None:
        due_ns = time.monotonic_ns()
        while rclpy.ok():
            while not self._commands.empty():
                self._obey(self._commands.get())
            self._publish_frame()
            due_ns = max(due_ns + PERIOD_NS, time.monotonic_ns())
            time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)

    def _obey(self, line: str) -> None:
        stream, *mode = line.split()
        if stream == "rewind":
            self._frame = 0
        else:
            shift_ns = int(float(mode[1]) * 1e6) if len(mode) > 1 else 0
            change = Mode(mode[0], -shift_ns if mode[0] == "late" else shift_ns)
            self._modes[Channel(stream)] = change
            if stream == "camera":
                self._modes[Channel.DETECTIONS] = Mode(change.name, change.shift_ns)
        print("ok", flush=True)

    def _publish_frame(self) -> None:
        now_ns = time.time_ns()
        self._infos.publish(stamped(self._info, now_ns))
        # The sweep first, as on a vehicle: the detector takes longer than the LiDAR.
        for channel in (Channel.LIDAR, Channel.CAMERA, Channel.DETECTIONS):
            mode, recorded = self._modes[channel], self._messages[channel]
            # A frozen camera shows what it last showed; the recording goes on behind it.
            frozen = mode.name == "freeze"
            if not frozen or not mode.held:
                mode.held.append(self._noise.renewed(channel, recorded[self._frame % len(recorded)]))
            self._publish(channel, mode, now_ns)
        self._frame += 1

    def _publish(self, channel: Channel, mode: Mode, now_ns: int) -> None:
        publisher = self._topics[channel]
        if mode.name == "nonsense":
            publisher.publish(nonsense(channel))
        elif mode.name == "reorder":
            if self._frame % 2:
                publisher.publish(stamped(mode.held[-1], now_ns))
                publisher.publish(stamped(mode.held[-2 % len(mode.held)], now_ns - PERIOD_NS))
        elif mode.name != "off":
            publisher.publish(stamped(mode.held[-1], now_ns + mode.shift_ns))
        del mode.held[:-2]


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
    return data[:_STAMP_AT] + stamp + data[_STAMP_AT + 8 :]


def nonsense(channel: Channel) -> bytes:
    """Return a serialised message of the stream's type that contradicts itself."""
    message: Any
    if channel is Channel.CAMERA:
        message = Image(width=640, height=480, encoding="bgr8", step=1920)
    elif channel is Channel.LIDAR:
        message = PointCloud2(width=1000, height=1, point_step=16, row_step=16000)
    else:
        from vision_msgs.msg import Detection2D

        message = Detection2DArray(detections=[Detection2D()])
        message.detections[0].bbox.size_x = float("nan")
    return bytes(serialize_message(message))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bag", type=Path)
    arguments = parser.parse_args()
    rclpy.init()
    vehicle = Vehicle(arguments.bag)
    print("ok", flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        vehicle.run()


if __name__ == "__main__":
    main()
