"""Plays a recording into DDS: /clock and every topic's own bytes, at the pace of its log times.

A process of its own, as a driver is. Waits until each topic that --wait names has a subscriber. Where
`ros2 bag play` is installed it would do the same; it is not on PyPI.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from pathlib import Path

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock

from edgeguard.bags import BagReader
from ros_nodes.verdict_msg import to_time

CLOCK_PERIOD_NS = 5_000_000
LEAD_IN_NS = 300_000_000
SENSORS = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage", "sensor_msgs/msg/PointCloud2")


class Player(Node):
    """Publishes what a recording holds."""

    def __init__(self, bag: Path) -> None:
        super().__init__("player")
        with BagReader(bag) as reader:
            self.messages = [(m.log_ns, m.connection, bytes(m.data)) for m in reader.raw_messages()]
        self._clock_topic = self.create_publisher(
            Clock, "/clock", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        )
        self.publishers_by_topic = {
            c.topic: self.create_publisher(_type(c.msgtype), c.topic, _qos(c.msgtype))
            for _, c, _ in self.messages
        }

    def wait_for_subscribers(self, topics: list[str], timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while missing := [t for t in topics if not self.publishers_by_topic[t].get_subscription_count()]:
            if time.monotonic() > end:
                sys.exit(f"player: nobody subscribed to {missing} in {timeout_s} s")
            # A node that takes its time from here may wait for it before it subscribes.
            self._clock_topic.publish(Clock(clock=to_time(self.messages[0][0] - LEAD_IN_NS)))
            rclpy.spin_once(self, timeout_sec=0.02)

    def play(self, hold_s: float, rate: float) -> None:
        first, last = self.messages[0][0], self.messages[-1][0] + int(hold_s * 1e9)
        # Simulated time runs before the first message, as a clock does.
        begin_ns = time.monotonic_ns() + LEAD_IN_NS / rate
        clock_ns = first - LEAD_IN_NS
        for log_ns, connection, data in [*self.messages, (last, None, b"")]:
            while clock_ns < log_ns:
                self._tell_time(clock_ns, begin_ns + (clock_ns - first) / rate)
                clock_ns += CLOCK_PERIOD_NS
            self._tell_time(log_ns, begin_ns + (log_ns - first) / rate)
            if connection is not None:
                self.publishers_by_topic[connection.topic].publish(data)

    def _tell_time(self, ros_ns: int, steady_ns: float) -> None:
        if (wait_ns := steady_ns - time.monotonic_ns()) > 0:
            time.sleep(wait_ns / 1e9)
        self._clock_topic.publish(Clock(clock=to_time(ros_ns)))


def _type(msgtype: str) -> type:
    package, _, name = msgtype.split("/")
    return getattr(importlib.import_module(f"{package}.msg"), name)


def _qos(msgtype: str) -> QoSProfile:
    if msgtype == "tf2_msgs/msg/TFMessage":
        return QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    if msgtype in SENSORS:
        return QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
    return QoSProfile(depth=10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bag", type=Path)
    parser.add_argument("--wait", nargs="*", default=[], help="topics that must have a subscriber first")
    parser.add_argument("--hold", type=float, default=0.15, help="seconds that /clock runs on at the end")
    parser.add_argument("--rate", type=float, default=1.0, help="simulated seconds per second")
    arguments = parser.parse_args()
    rclpy.init()
    player = Player(arguments.bag)
    try:
        player.wait_for_subscribers(arguments.wait, timeout_s=20)
        player.play(arguments.hold, arguments.rate)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass


if __name__ == "__main__":
    main()
