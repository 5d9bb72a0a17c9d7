"""The fast path into Autoware: the vehicle command gate's external emergency stop.

The slow path needs no adapter: the fail-safe's status on `/diagnostics`, linked under the autonomous mode.
"""

from __future__ import annotations

import sys

from pydantic import Field
from rclpy.client import Client
from rclpy.clock import Clock, ClockType
from rclpy.task import Future
from std_srvs.srv import Trigger

from edgeguard.config import Settings
from ros_nodes.adapters.adapter import Adapter
from ros_nodes.run import run

PERIOD_S = 0.05
PATIENCE_TICKS = 10
"""Ticks after which a call without an answer is made again."""

REPEAT_TICKS = 20
"""Ticks after which a stop is asked for again: somebody else may have cleared the gate."""


class AutowareSettings(Settings):
    """What the gate is asked for."""

    clear: bool = Field(False, description="ask the gate to clear when the fail-safe lets go; else by hand")


class AutowareNode(Adapter[AutowareSettings]):
    """Asks the gate to stop, and to clear where that is wanted, until the gate has said yes."""

    def __init__(self) -> None:
        super().__init__("autoware_node", AutowareSettings())
        gate = "/control/vehicle_cmd_gate"
        self._stop_client = self.create_client(Trigger, f"{gate}/external_emergency_stop")
        self._clear_client = self.create_client(Trigger, f"{gate}/clear_external_emergency_stop")
        self._asked: Future | None = None
        self._asked_ticks = 0
        self._done: bool | None = None
        """What the gate was last brought to: True stopped, False cleared, None nothing yet."""
        self.watch()
        self.create_timer(PERIOD_S, self.tick, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def tick(self) -> None:
        """Look for silence, and ask again where there was no answer; called every `PERIOD_S`."""
        super().tick()
        self._asked_ticks += 1
        if self._asked is None or self._asked_ticks > PATIENCE_TICKS:
            self.obey()

    def obey(self) -> None:
        """Ask the gate for what it has not been brought to yet."""
        wanted = self.stop
        repeats = wanted and self._asked_ticks > REPEAT_TICKS
        clears = self.settings.clear and self._done
        if (wanted is self._done and not repeats) or not (wanted or clears):
            return
        client: Client = self._stop_client if wanted else self._clear_client
        if not client.service_is_ready():
            self.get_logger().error(f"{client.srv_name} is not there", throttle_duration_sec=1.0)
            return
        self._asked, self._asked_ticks = client.call_async(Trigger.Request()), 0
        self._asked.add_done_callback(lambda future: self._answered(future, wanted))

    def _answered(self, future: Future, wanted: bool) -> None:
        if future is self._asked:
            self._asked = None
        answer = future.result()
        if answer is not None and answer.success:
            self._done = wanted
        elif answer is not None:
            told = f"the gate refused to {'stop' if wanted else 'clear'}: {answer.message}"
            self.get_logger().error(told, throttle_duration_sec=1.0)


def main() -> None:
    """Run the node until it is interrupted."""
    sys.exit(run(AutowareNode))


if __name__ == "__main__":
    main()
