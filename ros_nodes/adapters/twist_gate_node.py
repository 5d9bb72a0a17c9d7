"""Velocity commands, let through only while the fail-safe allows: for MAVROS, twist_mux and plain bases."""

from __future__ import annotations

import math
import sys
from typing import Any, Literal

from geometry_msgs.msg import Twist, TwistStamped
from pydantic import Field

from edgeguard.config import Settings
from ros_nodes import qos
from ros_nodes.adapters.adapter import Adapter
from ros_nodes.lean_spin import lean_spin
from ros_nodes.run import run

PERIOD_S = 0.05


class TwistGateSettings(Settings):
    """How the gate stops a base."""

    mode: Literal["zero", "withhold"] = Field(
        "zero", description="while stopped: zero sends zero velocity at 20 Hz, withhold sends nothing"
    )
    stamped: bool = Field(False, description="TwistStamped in and out, in place of Twist. Read at start.")
    frame_id: str = Field("base_link", min_length=1, description="frame of the zeros, where stamped")


class TwistGateNode(Adapter[TwistGateSettings]):
    """Passes `input/cmd_vel` on to `output/cmd_vel`; while stopped, sends zero at 20 Hz or nothing at all."""

    def __init__(self) -> None:
        super().__init__("twist_gate_node", TwistGateSettings(), at_start=frozenset({"stamped"}))
        kind = TwistStamped if self.settings.stamped else Twist
        self._publisher = self.create_publisher(kind, "output/cmd_vel", qos.RESULT)
        self.create_subscription(kind, "input/cmd_vel", self._pass_on, qos.RESULT)
        self.watch(self._publisher)

    def tick(self) -> None:
        """Look for silence, and hold the vehicle where it must not move; call every `PERIOD_S`."""
        super().tick()
        self.obey()

    def obey(self) -> None:
        """Send zero, where the fail-safe stops and zero is what stops this vehicle."""
        if self.stop and self.settings.mode == "zero":
            zero = TwistStamped() if self.settings.stamped else Twist()
            if self.settings.stamped:
                zero.header.stamp = self.get_clock().now().to_msg()
                zero.header.frame_id = self.settings.frame_id
            self._publisher.publish(zero)

    def _pass_on(self, msg: Any) -> None:
        if self.stop:
            return
        twist = msg.twist if self.settings.stamped else msg
        if all(math.isfinite(v) for part in (twist.linear, twist.angular) for v in (part.x, part.y, part.z)):
            self._publisher.publish(msg)
        else:
            self.get_logger().error(
                "input/cmd_vel: dropped: a velocity is not finite", throttle_duration_sec=1.0
            )


def main() -> None:
    """Run the node until it is interrupted."""
    sys.exit(run(TwistGateNode, spin=lambda node: lean_spin(node, node.tick, PERIOD_S)))


if __name__ == "__main__":
    main()
