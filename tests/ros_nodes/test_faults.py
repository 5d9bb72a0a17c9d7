"""Faults tried for real over DDS: sensors that fall silent and lie, nodes that are killed and stopped."""

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

if TYPE_CHECKING:
    from tests.ros_nodes.drive import Drive


@pytest.fixture(scope="module")
def drive(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drive]:
    from tests.ros_nodes.drive import Drive

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


@pytest.mark.parametrize("stream", ["radar", "lidar_detections", "ego"])
def test_a_stream_that_turns_to_nonsense_stops_the_vehicle_and_comes_back(drive: Drive, stream: str) -> None:
    drive.runs()
    drive.tell(f"{stream} on")
    drive.listener.wait_for(lambda: len(drive.judged(5)) >= 5)
    drive.runs()
    drive.tell(f"{stream} nonsense")
    drive.trips("silent")
    # The stop comes first, and the log when the whole verdict is out.
    drive.listener.wait_for(lambda: f"subject={stream}" in drive.monitor.output)
    # Once heard it is missed for good, also where nobody meant to send it: here it goes on.
    drive.tell(f"{stream} on")
    drive.runs()


@pytest.mark.parametrize("stream", ["camera_info", "tf_static"])
def test_nonsense_about_the_sensors_is_dropped_and_what_was_known_holds(drive: Drive, stream: str) -> None:
    drive.runs()
    drive.tell(f"{stream} nonsense")
    drive.listener.wait_for(lambda: f"{stream}: dropped" in drive.monitor.output)
    drive.runs()
    assert any(v["coverage"]["lidar_support"]["pass"] for v in drive.judged(20))
    drive.tell("camera_info on")


def test_with_both_cores_hogged_an_alarm_gets_through_and_the_vehicle_recovers(drive: Drive) -> None:
    hogs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        drive.runs()
        drive.tell("camera freeze")
        drive.trips("frozen")
        drive.runs()
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


@pytest.mark.parametrize("name", ["monitor_node", "failsafe_node"])
def test_nonsense_parameters_are_refused_and_the_vehicle_drives_on(drive: Drive, name: str) -> None:
    from tests.ros_nodes.live import refuses_nonsense

    refuses_nonsense(drive.listener, name)
    drive.runs()


def test_a_stopped_monitor_stops_the_vehicle_until_it_goes_on(drive: Drive) -> None:
    drive.runs()
    drive.monitor.popen.send_signal(signal.SIGSTOP)
    drive.trips("its process is gone or stopped")
    drive.monitor.popen.send_signal(signal.SIGCONT)
    drive.runs()


def test_of_two_monitors_the_one_that_dies_stops_the_vehicle_by_name(drive: Drive) -> None:
    from tests.ros_nodes.drive import MONITOR
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
    from tests.ros_nodes.drive import MONITOR
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
