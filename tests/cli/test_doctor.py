"""What `edgeguard doctor` says about losses, and that it measures between two real processes."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

from edgeguard.cli.doctor import NEEDS_ATTENTION, transport_remedies
from edgeguard.cli.transport import Arrivals
from tests.conftest import ROOT

RUN = "from edgeguard.cli.app import main; main()"
FINE = {"image": Arrivals(2, [3.0, 4.0])}
LOSSY = {"image": Arrivals(2, [3.0])}


def test_nothing_is_said_where_everything_arrives_in_time() -> None:
    assert transport_remedies("rmw_fastrtps_cpp", {}, FINE) == []


@pytest.mark.parametrize(
    "rmw, environ, said",
    [
        ("rmw_fastrtps_cpp", {}, "FASTDDS_DEFAULT_PROFILES_FILE="),
        ("rmw_fastrtps_cpp", {"ROS_DISTRO": "humble"}, "FASTRTPS_DEFAULT_PROFILES_FILE="),
        ("rmw_fastrtps_cpp", {"FASTDDS_BUILTIN_TRANSPORTS": "LARGE_DATA"}, "although a profile is set"),
        ("rmw_cyclonedds_cpp", {}, "net.core.rmem_max"),
    ],
)
def test_a_loss_names_its_remedy(rmw: str, environ: dict[str, str], said: str) -> None:
    (remedy,) = transport_remedies(rmw, environ, LOSSY)
    assert "1 images lost" in remedy and said in remedy


def test_late_messages_name_it_too() -> None:
    (remedy,) = transport_remedies("rmw_fastrtps_cpp", {}, {"sweep": Arrivals(1, [80.0])})
    assert "sweeps come late" in remedy


@pytest.mark.skipif(importlib.util.find_spec("rclpy") is None, reason="needs ROS 2")
def test_it_measures_between_two_processes() -> None:
    profile = ROOT / "config" / "fastdds_large_data.xml"
    environ = {**os.environ, "FASTDDS_DEFAULT_PROFILES_FILE": str(profile), "COLUMNS": "120"}
    command = [sys.executable, "-c", RUN, "doctor", "--frames", "10"]
    run = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert run.returncode in (0, NEEDS_ATTENTION), run.stderr
    rows = {line.split("│")[1].strip(): line.split("│") for line in run.stdout.splitlines() if "│" in line}
    for kind in ("image", "sweep"):
        assert int(rows[kind][2]) == 10
        assert 0 < int(rows[kind][3]) <= 10
        assert float(rows[kind][4]) > 0
