"""The launch file: what can be told without `launch`, and all of it where a ROS 2 has it."""

from __future__ import annotations

import ast
import importlib.util
import xml.etree.ElementTree
from pathlib import Path

import pytest

from tests.conftest import ROOT

NEEDS_LAUNCH = pytest.mark.skipif(
    importlib.util.find_spec("launch_ros") is None, reason="launch_ros is not on PyPI: needs a sourced ROS 2"
)
LAUNCH = ROOT / "launch" / "edgeguard.launch.py"
ASKED_FOR = {
    "composed", "recorder",
    "namespace", "engine", "params_file", "image", "camera_info", "points", "detections", "lidar_detections",
    "odometry", "verdict", "fail_safe", "use_sim_time", "build_only", "log_level",
}  # fmt: skip


def test_every_argument_has_a_default_and_a_meaning() -> None:
    tree = ast.parse(LAUNCH.read_text())
    assignments = [n for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "ARGUMENTS"]
    declared = {
        key.value: ast.unparse(value)
        for key, value in zip(assignments[0].value.keys, assignments[0].value.values)
    }
    assert set(declared) >= ASKED_FOR
    used = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("argument", "LaunchConfiguration"):
            used.update(a.value for a in node.args if isinstance(a, ast.Constant))
    topics = {"image", "camera_info", "points", "detections", "lidar_detections", "odometry"}
    assert set(declared) == used | topics


def test_the_transport_profile_is_xml_with_a_segment_for_images() -> None:
    profile = xml.etree.ElementTree.parse(ROOT / "config" / "fastdds_large_data.xml").getroot()
    (size,) = (e.text for e in profile.iter() if e.tag.endswith("segment_size"))
    assert int(size) >= 32 * 1024 * 1024


@NEEDS_LAUNCH
def test_it_describes_the_nodes_the_fail_safe_first() -> None:
    spec = importlib.util.spec_from_file_location("edgeguard_launch", LAUNCH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from launch_ros.actions import Node

    nodes = [e for e in module.generate_launch_description().entities if isinstance(e, Node)]
    executables = [n.node_executable for n in nodes]
    assert executables[:3] == ["failsafe_node", "monitor_node", "perception_node"]
    assert Path(module.PROFILE).is_file() and module.ARGUMENTS


RUN = """
import os, signal, sys, threading
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
service = LaunchService()
source = PythonLaunchDescriptionSource(sys.argv[1])
arguments = [a.split(":=") for a in sys.argv[2:]]
service.include_launch_description(IncludeLaunchDescription(source, launch_arguments=arguments))
sys.exit(service.run())
"""


@NEEDS_LAUNCH
@pytest.mark.parametrize("composed", ["false", "true"])
def test_it_starts_runs_a_bag_and_stops_cleanly(
    composed: str, shared: Path, recording: Path, listener, tmp_path: Path, monkeypatch
) -> None:
    import os
    import signal
    import subprocess
    import sys

    from std_msgs.msg import Bool

    from tests.ros_nodes.live import player

    monkeypatch.setenv("EDGEGUARD_MODELS", str(shared / "models"))
    stops = listener.listen(Bool, "/fail_safe")
    arguments = [
        f"composed:={composed}",
        f"perception:={'true' if composed == 'true' else 'false'}",
        "detections:=/camera/detections",
        "use_sim_time:=true",
    ]
    # Its own session, so that the interrupt reaches all of it, as a terminal's would.
    run = subprocess.Popen(
        [sys.executable, "-c", RUN, str(LAUNCH), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    try:
        wait = ["--wait", "/camera/image", "/tf_static"]
        with player(recording, tmp_path, "--rate", "0.4", *wait):
            listener.wait_for(lambda: stops and stops[0].data and not stops[-1].data, 30)
            listener.wait_for(lambda: stops[-1].data, 30)
    finally:
        os.killpg(run.pid, signal.SIGINT)
        output = run.communicate(timeout=20)[0]
    print(output)
    assert run.returncode == 0
    assert "process has died" not in output and "escalating" not in output
