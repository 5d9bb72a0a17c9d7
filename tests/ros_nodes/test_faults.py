"""Faults tried for real: processes over DDS that are killed, stopped, silenced and lied to.

The limits are wide, so that only the fault itself trips the fail-safe on a busy machine; how fast it does is
`make bench-live`'s to say.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.conftest import ROOT

if TYPE_CHECKING:
    from tests.ros_nodes.live import Listener, Process

MONITOR = {"inputs__expected": ["camera", "detections", "lidar"], "deadline__latency_budget_ms": 2000.0}
FAILSAFE = {
    "clear_after_s": 0.3,
    "verdict_timeout_ms": 3000.0,
    "latency_budget_ms": 1500.0,
    "max_tick_gap_ms": 3000.0,
}


class Drive:
    """A vehicle that drives under watch, and the fail-safe as its controller hears it."""

    def __init__(self, bag: Path, logs: Path, stack: ExitStack) -> None:
        from diagnostic_msgs.msg import DiagnosticArray
        from rclpy.event_handler import SubscriptionEventCallbacks
        from std_msgs.msg import Bool

        from ros_nodes import qos
        from tests.ros_nodes.live import Listener, node

        self.listener: Listener = Listener()
        stack.callback(self.listener.close)
        self.stop: bool | None = None
        self.standing = ""
        self.watched = ""
        self.alive = 0
        events = SubscriptionEventCallbacks(liveliness=self._alive)
        self.listener.create_subscription(
            Bool, "/fail_safe", self._hear, qos.FAIL_SAFE, event_callbacks=events
        )
        self.listener.listen(DiagnosticArray, "/diagnostics", then=self._read)
        self.logs = logs
        self._stack = stack
        self.failsafe = stack.enter_context(node("failsafe_node", logs, **FAILSAFE))
        self.monitor: Process = stack.enter_context(node("monitor_node", logs, **MONITOR))
        command = [sys.executable, "-m", "tests.ros_nodes.vehicle", str(bag)]
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
        from tests.ros_nodes.live import node

        self.failsafe.kill()
        self.stop = None
        return self._stack.enter_context(node("failsafe_node", self.logs, **FAILSAFE))

    def runs(self) -> None:
        for command in ("camera on", "lidar on", "rewind"):
            self.tell(command)
        self.listener.wait_for(lambda: self.stop is False, 60, told=lambda: self.standing)

    def trips(self, cause: str) -> None:
        self.listener.wait_for(
            lambda: self.stop and cause in self.standing,
            60,
            told=lambda: f"stop {self.stop}, standing: {self.standing}",
        )


@pytest.fixture(scope="module")
def drive(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drive]:
    with ExitStack() as stack:
        yield Drive(street, tmp_path_factory.mktemp("faults"), stack)


@pytest.mark.parametrize(
    "fault, cause",
    [
        ("camera off", "silent"),
        ("camera freeze", "frozen"),
        ("camera late 1800", "s old"),
        ("camera future 800", "future"),
        ("camera reorder", "stamps ran back"),
        ("camera nonsense", "silent"),
        ("detections off", "silent"),
        ("detections nonsense", "silent"),
        ("lidar off", "silent"),
        ("lidar freeze", "same as the one before"),
        ("lidar nonsense", "silent"),
    ],
)
def test_a_sensor_that_misbehaves_stops_the_vehicle_by_name(drive: Drive, fault: str, cause: str) -> None:
    drive.runs()
    drive.tell(fault)
    drive.trips(cause)
    drive.runs()


def test_a_stopped_monitor_stops_the_vehicle_until_it_goes_on(drive: Drive) -> None:
    drive.runs()
    drive.monitor.popen.send_signal(signal.SIGSTOP)
    drive.trips("its process is gone or stopped")
    drive.monitor.popen.send_signal(signal.SIGCONT)
    drive.runs()


def test_of_two_monitors_the_one_that_dies_stops_the_vehicle_by_name(drive: Drive) -> None:
    from tests.ros_nodes.live import node

    drive.runs()
    with node("monitor_node", drive.logs, namespace="/rear", **MONITOR) as rear:
        # A monitor counts once the fail-safe itself has heard it.
        drive.listener.wait_for(lambda: "/rear/monitor_node" in drive.watched)
        drive.runs()
        rear.kill()
    drive.trips("/rear/monitor_node: silence")
    # Its place stays empty: nobody else can vouch for that camera.
    drive.failsafe = drive.restarted_failsafe()
    drive.runs()


def test_a_killed_monitor_stops_the_vehicle_until_another_takes_its_place(drive: Drive) -> None:
    from tests.ros_nodes.live import node

    drive.runs()
    drive.monitor.kill()
    drive.trips("its process is gone or stopped")
    drive.monitor = node("monitor_node", drive.logs, **MONITOR)
    with drive.monitor:
        drive.runs()
        drive.monitor.kill()


def test_a_stopped_fail_safe_is_told_to_its_subscribers_and_trips_when_it_goes_on(drive: Drive) -> None:
    drive.failsafe.popen.send_signal(signal.SIGSTOP)
    drive.listener.wait_for(lambda: drive.alive == 0)
    os.kill(drive.failsafe.popen.pid, signal.SIGCONT)
    drive.listener.wait_for(lambda: drive.alive == 1)
