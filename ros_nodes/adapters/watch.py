"""The fail-safe as its subscribers must read it: what is not heard stops the vehicle."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from std_msgs.msg import Bool

from ros_nodes import qos

SILENCE_S = 0.2
"""Four of the fail-safe's periods, and above its lease: what the transport tells comes first."""


class FailSafeWatch:
    """Whether the vehicle must stop: by the fail-safe's word, death or silence, or before its first word.

    Args:
        node: the adapter; `input/fail_safe` is its topic.
        on_change: called when the answer changes, with the new one.
    """

    def __init__(self, node: Node, on_change: Callable[[bool], None]) -> None:
        self._node = node
        self._on_change = on_change
        self._stop = True
        self._heard_s = 0.0
        node.create_subscription(
            Bool,
            "input/fail_safe",
            self._hear,
            qos.FAIL_SAFE,
            event_callbacks=qos.SubscriptionEventCallbacks(liveliness=self._alive),
        )

    @property
    def stop(self) -> bool:
        return self._stop

    def tick(self) -> None:
        """Look for silence; call at 20 Hz or more."""
        if not self._stop and time.monotonic() - self._heard_s > SILENCE_S:
            self._change(True, "the fail-safe is silent")

    def _hear(self, msg: Bool) -> None:
        self._heard_s = time.monotonic()
        if msg.data is not self._stop:
            self._change(msg.data, "the fail-safe says so")

    def _alive(self, event: Any) -> None:
        if event.alive_count == 0 and not self._stop:
            self._change(True, "the fail-safe is gone")

    def _change(self, stop: bool, why: str) -> None:
        self._stop = stop
        # rclpy lets one place in the code log at one severity only.
        if stop:
            self._node.get_logger().error(f"stop: {why}")
        else:
            self._node.get_logger().warning(f"go: {why}")
        self._on_change(stop)
