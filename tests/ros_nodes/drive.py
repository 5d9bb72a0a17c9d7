"""A vehicle under watch: the nodes, the vehicle process, and the fail-safe as a controller hears it.

The limits are wide, so that only the fault itself trips the fail-safe on a busy machine; how fast it does is
`make bench-live`'s to say.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.event_handler import SubscriptionEventCallbacks
from std_msgs.msg import Bool

from ros_nodes import qos
from tests.conftest import ROOT
from tests.ros_nodes.live import Listener, Process, node, value, verdicts

MONITOR = {"inputs__expected": ["camera", "detections", "lidar"], "deadline__latency_budget_ms": 2000.0}
FAILSAFE = {
    "clear_after_s": 0.3,
    "verdict_timeout_ms": 3000.0,
    "latency_budget_ms": 1500.0,
    "max_tick_gap_ms": 3000.0,
}


class Drive:
    """A vehicle that drives under watch, and the fail-safe as its controller hears it."""

    def __init__(
        self,
        bag: Path,
        logs: Path,
        stack: ExitStack,
        *,
        monitor: Process | None = None,
        detects: bool = True,
        without: tuple[str, ...] = (),
        **settings: object,
    ) -> None:
        self.listener = Listener()
        stack.callback(self.listener.close)
        self._detects = detects
        self.stop: bool | None = None
        self.standing = ""
        self.watched = ""
        self.alive = 0
        events = SubscriptionEventCallbacks(liveliness=self._alive)
        self.listener.create_subscription(
            Bool, "/fail_safe", self._hear, qos.FAIL_SAFE, event_callbacks=events
        )
        self.listener.listen(DiagnosticArray, "/diagnostics", then=self._read)
        self.verdicts = self.listener.listen(DiagnosticArray, "/verdict", qos.RESULT)
        self.logs = logs
        self._stack = stack
        self.failsafe = stack.enter_context(node("failsafe_node", logs, **FAILSAFE))
        self.monitor = monitor or stack.enter_context(node("monitor_node", logs, **{**MONITOR, **settings}))
        command = [sys.executable, "-m", "tests.ros_nodes.vehicle", str(bag)]
        command += ["--without", *without] if without else []
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
        self.vehicle = stack.enter_context(subprocess.Popen(command, **pipes))
        stack.callback(self.vehicle.kill)
        self.vehicle.stdout.readline()

    def _alive(self, event) -> None:
        self.alive = event.alive_count

    def _hear(self, msg) -> None:
        self.stop = msg.data

    def _read(self, msg) -> None:
        if msg.status[0].name.startswith("failsafe_node"):
            values = {v.key: v.value for v in msg.status[0].values}
            self.standing = f"{msg.status[0].message}; {values['standing']}"
            self.watched = values["watched"]

    def tell(self, command: str) -> None:
        self.vehicle.stdin.write(command + "\n")
        self.vehicle.stdin.flush()
        assert self.vehicle.stdout.readline() == "ok\n"

    def restarted_failsafe(self) -> Process:
        self.failsafe.kill()
        self.stop = None
        return self._stack.enter_context(node("failsafe_node", self.logs, **FAILSAFE))

    def judged(self, number: int = 1) -> list[dict[str, Any]]:
        """Wait for as many verdicts on images as that, given from now on; return their JSON and coverage."""

        def found() -> list[dict[str, Any]]:
            read = [
                json.loads(value(m, "json")) | json.loads(value(m, "coverage"))
                for m in verdicts(self.verdicts)
            ]
            return [v for v in read if v["has_image"]]

        self.verdicts.clear()
        self.listener.wait_for(lambda: len(found()) >= number)
        return found()

    def runs(self) -> None:
        for command in ("camera on", "lidar on", "rewind"):
            self.tell(command)
        if not self._detects:
            self.tell("detections off")
        self.listener.wait_for(lambda: self.stop is False, 60, told=lambda: self.standing)

    def trips(self, cause: str) -> None:
        self.listener.wait_for(
            lambda: self.stop and cause in self.standing,
            60,
            told=lambda: f"stop {self.stop}, standing: {self.standing}",
        )
