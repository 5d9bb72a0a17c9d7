"""A node's clock as a number."""

from __future__ import annotations

from rclpy.node import Node


def clock_ns(node: Node) -> int:
    """Return the node's time, nanoseconds: simulated where `use_sim_time` is set.

    As `get_clock().now().nanoseconds`, without the two objects that it makes on the way: they were a seventh
    of what the fail-safe costs.
    """
    return int(node.get_clock().handle.get_now().nanoseconds)
