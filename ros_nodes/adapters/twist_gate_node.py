"""Velocity commands, let through only while the fail-safe allows: for MAVROS, twist_mux and plain bases."""

from __future__ import annotations

import sys
from typing import Any

from geometry_msgs.msg import Twist, TwistStamped
from rclpy.node import Node

from edgeguard.errors import ParameterError
from ros_nodes import qos
from ros_nodes.adapters.watch import FailSafeWatch
from ros_nodes.lean_spin import lean_spin
from ros_nodes.run import run

PERIOD_S = 0.05
MODES = ("zero", "withhold")


class TwistGateNode(Node):
    """Passes `input/cmd_vel` on to `output/cmd_vel`; while stopped, sends zero at 20 Hz or nothing at all."""

    def __init__(self) -> None:
        super().__init__("twist_gate_node")
        self._stamped = bool(self.declare_parameter("stamped", False).value)
        self._mode = str(self.declare_parameter("mode", "zero").value)
        self._frame_id = str(self.declare_parameter("frame_id", "base_link").value)
        if self._mode not in MODES:
            raise ParameterError(self.get_name(), [f"mode = {self._mode!r}: expected one of {MODES}"])
        kind = TwistStamped if self._stamped else Twist
        self._publisher = self.create_publisher(kind, "output/cmd_vel", qos.RESULT)
        self.create_subscription(kind, "input/cmd_vel", self._pass_on, qos.RESULT)
        self._watch = FailSafeWatch(self, lambda _: self.halt())

    def tick(self) -> None:
        """Look for silence, and hold the vehicle where it must not move; call every `PERIOD_S`."""
        self._watch.tick()
        self.halt()

    def halt(self) -> None:
        """Send zero, where the fail-safe stops and zero is what stops this vehicle."""
        if self._watch.stop and self._mode == "zero":
            zero = TwistStamped() if self._stamped else Twist()
            if self._stamped:
                zero.header.stamp, zero.header.frame_id = self.get_clock().now().to_msg(), self._frame_id
            self._publisher.publish(zero)

    def _pass_on(self, msg: Any) -> None:
        if not self._watch.stop:
            self._publisher.publish(msg)


def main() -> None:
    """Run the node until it is interrupted."""
    sys.exit(run(TwistGateNode, spin=lambda node: lean_spin(node, node.tick, PERIOD_S)))


if __name__ == "__main__":
    main()
