"""Images and sweeps between two processes over ROS 2, to learn what arrives, and how late.

`python -m edgeguard.cli.transport TOPIC FRAMES` is the sending process.
"""

from __future__ import annotations

import array
import importlib
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

IMAGE_BYTES, SWEEP_BYTES = 1242 * 375 * 3, 115_000 * 16
"""As large as KITTI's."""

KINDS = {"image": IMAGE_BYTES, "sweep": SWEEP_BYTES}
RATE_HZ = 10.0
START_TIMEOUT_S = 20.0
_TAIL_S = 1.0


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What arrived of one kind of message.

    Attributes:
        sent: how many were sent.
        latency_ms: of each one that arrived, ms.
    """

    sent: int
    latency_ms: list[float] = field(default_factory=list)

    @property
    def lost(self) -> int:
        return self.sent - len(self.latency_ms)

    def percentile(self, share: float) -> float:
        """Return a percentile of the latency, ms; NaN where nothing arrived."""
        ordered = sorted(self.latency_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def measure(frames: int, topic: str = "/edgeguard_doctor") -> dict[str, Arrivals]:
    """Have another process send, at sensor-data quality, and count what arrives here.

    Args:
        frames: messages of each kind.
        topic: prefix of the topics used.
    """
    import rclpy
    from rclpy.qos import qos_profile_sensor_data

    context = rclpy.Context()
    context.init()
    node = rclpy.create_node("edgeguard_doctor", context=context)
    executor = rclpy.executors.SingleThreadedExecutor(context=context)
    executor.add_node(node)
    found = {kind: Arrivals(frames) for kind in KINDS}

    def take(kind: str, msg: Any) -> None:
        sent_ns = msg.header.stamp.sec * 1_000_000_000 + msg.header.stamp.nanosec
        found[kind].latency_ms.append((time.time_ns() - sent_ns) / 1e6)

    for kind in KINDS:
        node.create_subscription(
            _type(kind), f"{topic}/{kind}", lambda m, k=kind: take(k, m), qos_profile_sensor_data
        )
    sender = subprocess.Popen([sys.executable, "-m", __name__, topic, str(frames)])
    try:
        end = time.monotonic() + START_TIMEOUT_S + frames / RATE_HZ
        while sender.poll() is None and time.monotonic() < end:
            executor.spin_once(timeout_sec=0.1)
    finally:
        sender.kill()
        sender.wait()
        executor.shutdown()
        node.destroy_node()
        context.try_shutdown()
    return found


def send(topic: str, frames: int) -> None:
    """Publish `frames` of each kind at 10 Hz, once somebody listens."""
    import rclpy
    from rclpy.qos import qos_profile_sensor_data

    rclpy.init()
    node = rclpy.create_node("edgeguard_doctor_sender")
    publishers = {k: node.create_publisher(_type(k), f"{topic}/{k}", qos_profile_sensor_data) for k in KINDS}
    end = time.monotonic() + START_TIMEOUT_S
    while not all(p.get_subscription_count() for p in publishers.values()):
        if time.monotonic() > end:
            sys.exit("edgeguard doctor: the two processes did not find each other")
        time.sleep(0.02)
    messages = {kind: _type(kind)(data=array.array("B", bytes(size))) for kind, size in KINDS.items()}
    begin = time.monotonic()
    for i in range(frames):
        time.sleep(max(0.0, begin + i / RATE_HZ - time.monotonic()))
        for kind, publisher in publishers.items():
            stamp = messages[kind].header.stamp
            stamp.sec, stamp.nanosec = divmod(time.time_ns(), 1_000_000_000)
            publisher.publish(messages[kind])
    time.sleep(_TAIL_S)


def _type(kind: str) -> Any:
    return getattr(importlib.import_module("sensor_msgs.msg"), "Image" if kind == "image" else "PointCloud2")


if __name__ == "__main__":
    send(sys.argv[1], int(sys.argv[2]))
