"""A node's clock as a number."""

from __future__ import annotations

import time

from rclpy.node import Node


def clock_ns(node: Node) -> int:
    """Return the node's time, nanoseconds: simulated where `use_sim_time` is set.

    As `get_clock().now().nanoseconds`, without the two objects that it makes on the way: they were a seventh
    of what the fail-safe costs.
    """
    clock = node.get_clock().handle
    if clock.get_ros_time_override_is_enabled():
        return int(clock.get_now().nanoseconds)
    return time.time_ns()
