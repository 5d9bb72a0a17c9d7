"""The last seconds before a stop, as a recording that replays to the same alarm."""

from __future__ import annotations

import importlib
import shutil
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from nav_msgs.msg import Odometry
from pydantic import Field
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, PointCloud2
from std_msgs.msg import Bool, UInt8MultiArray

from edgeguard.bags import BagWriter
from edgeguard.bags.connection import Connection
from edgeguard.config import Settings, flatten, updated
from edgeguard.errors import EdgeGuardError
from edgeguard.rig_file import load_rig
from ros_nodes import qos
from ros_nodes.clock import clock_ns
from ros_nodes.inputs import image_input, radar_input, vision_msgs
from ros_nodes.lean_spin import lean_spin
from ros_nodes.managed import descriptions
from ros_nodes.parameters import NODE_OPTIONS, SettingsParameters, Values
from ros_nodes.rig_msg import rig_messages
from ros_nodes.run import run

PERIOD_S = 0.1
PREFIX = "alarm_"
_LASTING = ("input/camera_info", "/tf_static")
"""Streams of which the latest message holds however old it is."""


class RecorderSettings(Settings):
    """What is kept, and how much of it."""

    folder: str = Field("alarms", min_length=1, description="Folder for the recordings, one folder each.")
    before_s: float = Field(10.0, gt=0, le=120, description="Seconds kept before a stop; held in memory.")
    after_s: float = Field(1.0, ge=0, le=30, description="Seconds kept after it.")
    max_memory_mb: float = Field(
        600.0, gt=0, description="MB held in memory at most; beyond, the oldest go early."
    )
    max_disk_mb: float = Field(
        4000.0, gt=0, description="MB on disk at most; the oldest recordings make room for a new one."
    )
    min_gap_s: float = Field(
        30.0, ge=0, description="Seconds between two recordings at least; stops in between are not recorded."
    )
    transport: str = Field("raw", pattern="^(raw|compressed)$", description="Type of input/image.")
    radar: str = Field("points", pattern="^(points|tracks)$", description="Type of input/radar.")
    rig: str = Field(
        "", description="Rig file, where the monitor has one: recorded as the messages that it stands for."
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """One message as it came."""

    log_ns: int
    topic: str
    msgtype: str
    data: bytes


class Ring:
    """The messages of the last seconds, within a bound of memory."""

    def __init__(self) -> None:
        self._messages: deque[Kept] = deque()
        self._lasting: dict[str, Kept] = {}
        self._bytes = 0

    def add(self, message: Kept, *, lasting: bool) -> None:
        """Keep a message."""
        self._messages.append(message)
        self._bytes += len(message.data)
        if lasting:
            self._lasting[message.topic] = message

    def trim(self, oldest_ns: int, max_bytes: float) -> None:
        """Let go of what is older, or too much."""
        while self._messages and (self._messages[0].log_ns < oldest_ns or self._bytes > max_bytes):
            self._bytes -= len(self._messages.popleft().data)

    def snapshot(self) -> list[Kept]:
        """Return all that is held, what lasts first, in the order of log times."""
        begin = self._messages[0].log_ns if self._messages else 0
        earlier = [
            Kept(begin, m.topic, m.msgtype, m.data) for m in self._lasting.values() if m.log_ns < begin
        ]
        return [*earlier, *self._messages]


class RecorderNode(Node):
    """Keeps what the monitor was given, and writes it down when the fail-safe trips."""

    def __init__(self) -> None:
        super().__init__("recorder_node", **NODE_OPTIONS)
        self._settings = RecorderSettings()
        SettingsParameters(
            self, accept=self._accept, apply=self._apply, describe=descriptions(self._settings)
        )
        self._ring = Ring()
        self._stop = True
        self._due_s: float | None = None
        self._written_s = float("-inf")
        self._writing: threading.Thread | None = None
        vision = vision_msgs()
        image_type, _ = image_input(self._settings.transport)
        radar_type, _ = radar_input(self._settings.radar)
        tf = importlib.import_module("tf2_msgs.msg").TFMessage
        table: tuple[tuple[str, Any, QoSProfile], ...] = (
            ("input/image", image_type, qos.SENSOR),
            ("input/points", PointCloud2, qos.SENSOR),
            ("input/detections", vision.Detection2DArray, qos.RESULT),
            ("input/lidar_detections", vision.Detection3DArray, qos.RESULT),
            ("input/odometry", Odometry, qos.SENSOR),
            ("input/radar", radar_type, qos.SENSOR),
            ("input/verdict", DiagnosticArray, qos.RESULT),
            ("input/snapshot", UInt8MultiArray, qos.RESULT),
        )
        if self._settings.rig:
            info, transforms = rig_messages(load_rig(Path(self._settings.rig)))
            self._sink("input/camera_info", CameraInfo)(serialize_message(info))
            self._sink("/tf_static", tf)(serialize_message(transforms))
        else:
            table += (("input/camera_info", CameraInfo, qos.SENSOR), ("/tf_static", tf, qos.LATCHED))
        for topic, kind, profile in table:
            self.create_subscription(kind, topic, self._sink(topic, kind), profile, raw=True)
        self.create_subscription(Bool, "input/fail_safe", self._hear, qos.FAIL_SAFE)

    def tick(self) -> None:
        """Forget what is old, and write what is due; call every `PERIOD_S`."""
        settings = self._settings
        kept_ns = int((settings.before_s + settings.after_s) * 1e9)
        self._ring.trim(self._now() - kept_ns, settings.max_memory_mb * 2**20)
        if self._due_s is None or time.monotonic() < self._due_s:
            return
        if self._writing is not None and self._writing.is_alive():
            return
        self._due_s, self._written_s = None, time.monotonic()
        path = Path(settings.folder) / f"{PREFIX}{self._now()}"
        arguments = path, self._ring.snapshot(), settings.max_disk_mb * 2**20
        self._writing = threading.Thread(target=self._write, args=arguments)
        self._writing.start()

    def _sink(self, topic: str, kind: Any) -> Callable[[bytes], None]:
        name = self.resolve_topic_name(topic)
        msgtype = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
        lasting = topic in _LASTING

        def keep(data: bytes) -> None:
            self._ring.add(Kept(self._now(), name, msgtype, data), lasting=lasting)

        return keep

    def _hear(self, msg: Bool) -> None:
        tripped = msg.data and not self._stop
        self._stop = msg.data
        due_s = time.monotonic() + self._settings.after_s
        if tripped and self._due_s is None and due_s - self._written_s >= self._settings.min_gap_s:
            self._due_s = due_s

    def _write(self, path: Path, messages: list[Kept], max_bytes: float) -> None:
        try:
            make_room(path.parent, max_bytes - sum(len(m.data) for m in messages))
            write(path, messages)
        except (EdgeGuardError, OSError) as e:
            # The vehicle drives on without a recording: a full disk is no reason to stop it.
            self.get_logger().error(f"alarm not recorded: {e}")
        else:
            self.get_logger().info(f"alarm recorded: {path}")

    def _now(self) -> int:
        return clock_ns(self)

    def _accept(self, changes: Values) -> Values:
        return flatten(updated(self._settings, changes, self.get_name()))

    def _apply(self, changes: Values) -> None:
        self._settings = updated(self._settings, changes, self.get_name())


def make_room(folder: Path, max_bytes: float) -> None:
    """Remove the oldest recordings of a folder until the rest is no larger than `max_bytes`."""
    sizes = {p: sum(f.stat().st_size for f in p.rglob("*") if f.is_file()) for p in folder.glob(f"{PREFIX}*")}
    total = sum(sizes.values())
    for path in sorted(sizes):
        if total <= max_bytes:
            return
        shutil.rmtree(path)
        total -= sizes[path]


def write(path: Path, messages: list[Kept]) -> None:
    """Write messages as a recording.

    Raises:
        EdgeGuardError, OSError: it cannot be written; then there is nothing under its name.
    """
    with BagWriter(path) as writer:
        for m in messages:
            writer.copy(Connection(m.topic, m.msgtype, definition="", digest="", count=0), m.log_ns, m.data)


def main() -> None:
    """Run the node until it is interrupted."""
    sys.exit(run(RecorderNode, spin=lambda node: lean_spin(node, node.tick, PERIOD_S)))


if __name__ == "__main__":
    main()
