"""Faults of what detects, tried for real over DDS: killed, stopped, and an engine that fails in mid-run."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.ros_nodes.drive import Drive
    from tests.ros_nodes.live import Process


def detecting(name: str, logs: Path, **settings: object) -> Process:
    """Start a node whose engine fails while there is a file `broken`."""
    from tests.ros_nodes.live import node

    program = ("-m", "tests.ros_nodes.breaking", name, str(logs / "broken"))
    return node(name, logs, program=program, **settings)


@pytest.fixture(scope="module", params=["perception_node", "edgeguard_node"])
def drive(
    request: pytest.FixtureRequest, street: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Drive, str]]:
    from tests.ros_nodes.drive import MONITOR, Drive

    logs, name = tmp_path_factory.mktemp(request.param), request.param
    settings = MONITOR if name == "edgeguard_node" else {}
    with ExitStack() as stack:
        process = stack.enter_context(detecting(name, logs, **settings))
        monitor = process if name == "edgeguard_node" else None
        made = Drive(street, logs, stack, monitor=monitor, detects=False)
        made.detector = process
        yield made, name


def test_an_engine_that_fails_stops_the_vehicle_until_it_works_again(drive: tuple[Drive, str]) -> None:
    driven, _ = drive
    driven.runs()
    broken = driven.logs / "broken"
    broken.touch()
    try:
        driven.listener.wait_for(lambda: "out of memory" in driven.detector.output)
        driven.trips("silent")
    finally:
        broken.unlink()
    driven.runs()


def test_a_stopped_detector_stops_the_vehicle_until_it_goes_on(drive: tuple[Drive, str]) -> None:
    driven, name = drive
    driven.runs()
    driven.detector.popen.send_signal(signal.SIGSTOP)
    driven.trips("silent" if name == "perception_node" else "its process is gone or stopped")
    driven.detector.popen.send_signal(signal.SIGCONT)
    driven.runs()


def test_nonsense_parameters_are_refused_and_the_vehicle_drives_on(drive: tuple[Drive, str]) -> None:
    from tests.ros_nodes.live import refuses_nonsense

    driven, name = drive
    refuses_nonsense(driven.listener, name)
    driven.runs()


def test_a_killed_detector_stops_the_vehicle_until_another_takes_its_place(drive: tuple[Drive, str]) -> None:
    from tests.ros_nodes.drive import MONITOR

    driven, name = drive
    driven.runs()
    driven.detector.kill()
    driven.trips("silent" if name == "perception_node" else "its process is gone or stopped")
    with detecting(name, driven.logs, **(MONITOR if name == "edgeguard_node" else {})):
        driven.runs()
