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
    "radar", "odometry", "verdict", "fail_safe", "rig", "use_sim_time", "build_only", "log_level",
}  # fmt: skip


def test_every_argument_has_a_default_and_a_meaning() -> None:
    tree = ast.parse(LAUNCH.read_text())
    assignments = [n for n in tree.body if isinstance(n, ast.Assign) and n.targets[0].id == "ARGUMENTS"]
    declared = {
        key.value: ast.unparse(value)
        for key, value in zip(assignments[0].value.keys, assignments[0].value.values)
    }
    assert set(declared) >= ASKED_FOR
    source = LAUNCH.read_text()
    assert [name for name in declared if source.count(f'"{name}"') < 2] == []


def test_the_transport_profile_is_xml_with_a_segment_for_images() -> None:
    profile = xml.etree.ElementTree.parse(ROOT / "config" / "fastdds_large_data.xml").getroot()
    (size,) = (e.text for e in profile.iter() if e.tag.endswith("segment_size"))
    assert int(size) >= 32 * 1024 * 1024


@pytest.fixture
def described():
    """What the launch file brings up, by the arguments it is given."""
    spec = importlib.util.spec_from_file_location("edgeguard_launch", LAUNCH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    from launch import LaunchContext

    def describe(**arguments: str):
        context = LaunchContext()
        defaults = {name: default for name, (default, _) in module.ARGUMENTS.items()}
        context.launch_configurations.update(defaults | arguments)
        return module, context, module._nodes(context)

    return describe


def executables(entities) -> list[str]:
    from launch_ros.actions import Node

    return [e.node_executable for e in entities if isinstance(e, Node)]


@NEEDS_LAUNCH
@pytest.mark.parametrize(
    "arguments, nodes",
    [
        ({}, ["failsafe_node", "monitor_node", "perception_node"]),
        ({"perception": "false", "failsafe": "false"}, ["monitor_node"]),
        ({"composed": "true", "recorder": "true"}, ["failsafe_node", "edgeguard_node", "recorder_node"]),
        ({"build_only": "true", "recorder": "true"}, ["perception_node"]),
    ],
)
def test_arguments_say_which_nodes_come_up_the_fail_safe_first(described, arguments, nodes) -> None:
    assert executables(described(**arguments)[2]) == nodes


@NEEDS_LAUNCH
def test_what_is_no_switch_is_refused(described) -> None:
    with pytest.raises(ValueError, match="perception:=maybe"):
        described(perception="maybe")


@NEEDS_LAUNCH
def test_a_node_that_dies_again_and_again_starts_again_ever_later(described) -> None:
    from launch.actions import TimerAction
    from launch.actions.register_event_handler import RegisterEventHandler
    from launch.events.process import ProcessExited

    module, context, entities = described()
    delays = []
    for _ in range(8):
        handler = next(e for e in entities if isinstance(e, RegisterEventHandler)).event_handler
        event = ProcessExited(
            action=entities[0], name="failsafe_node-1", cmd=[], cwd=None, env=None, pid=1, returncode=-9
        )
        assert handler.matches(event)
        (timer,) = [e for e in handler.handle(event, context) if isinstance(e, TimerAction)]
        delays.append(timer.period)
        entities = timer.actions
        assert executables(entities) == ["failsafe_node"]
    assert tuple(delays) == (*module.RESTART_DELAYS_S, 30.0, 30.0)
    context._set_is_shutdown(True)
    assert not handler.handle(event, context)


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
