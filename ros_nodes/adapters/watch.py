"""The fail-safe as its subscribers must read it: what is not heard stops the vehicle."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from std_msgs.msg import Bool

from ros_nodes import qos

SILENCE_S = 0.2
"""Four of the fail-safe's periods, and above its lease: what the transport tells comes first."""


PATIENCE_S = 2.0
"""After a start, until whoever is not there is named."""

REMINDER_S = 5.0


class FailSafeWatch:
    """Whether the vehicle must stop: by the fail-safe's word, death or silence, or before its first word.

    Says in the log who is missing: a vehicle that does not move, or a stop that reaches nobody, needs a name.

    Args:
        node: the adapter; `input/fail_safe` is its topic.
        on_change: called when the answer changes, with the new one.
        outputs: what somebody should be listening to.
    """

    def __init__(
        self, node: Node, on_change: Callable[[bool], None], *, outputs: Sequence[Publisher[Any]] = ()
    ) -> None:
        self._node = node
        self._on_change = on_change
        self._outputs = outputs
        self._stop = True
        self._heard_s: float | None = None
        self._look_s = time.monotonic() + PATIENCE_S
        self._subscription = node.create_subscription(
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
        now_s = time.monotonic()
        if not self._stop and now_s - self._heard_s > SILENCE_S:
            self._change(True, "the fail-safe is silent")
        if now_s >= self._look_s:
            self._look_s = now_s + REMINDER_S
            self._name_the_missing()

    def _name_the_missing(self) -> None:
        logger, topic = self._node.get_logger(), self._subscription.topic_name
        if self._heard_s is None:
            there = f"{self._node.count_publishers(topic)} publishers there"
            remedy = "start failsafe_node, or remap input/fail_safe"
            logger.error(f"stop: no word of the fail-safe on {topic} ({there}): {remedy}")
        for output in self._outputs:
            if not output.get_subscription_count():
                logger.error(f"nobody listens to {output.topic_name}: a stop would reach nothing")

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
