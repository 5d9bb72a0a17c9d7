"""Brings up perception, monitor and fail-safe: `ros2 launch edgeguard edgeguard.launch.py --show-args`."""

from __future__ import annotations

import os
from pathlib import Path

from launch import LaunchDescription, LaunchDescriptionEntity, Substitution
from launch.actions import DeclareLaunchArgument, SetEnvironmentVariable
from launch.conditions import IfCondition
from launch.substitutions import AndSubstitution, LaunchConfiguration, NotSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

SHARE = Path(__file__).resolve().parent.parent
PROFILE = SHARE / "config" / "fastdds_large_data.xml"

RESPAWN_DELAY_S = 1.0
"""Long enough that a mistake in the parameters does not fill the log."""

ARGUMENTS = {
    "params_file": (str(SHARE / "config" / "monitor.param.yaml"), "parameter file of all nodes"),
    "namespace": ("", "namespace of all nodes"),
    "engine": ("yolox_nano", "perception engine: a name under engines/ or a path to an engine.yaml"),
    "perception": ("true", "false: the detections come from another detector"),
    "composed": ("false", "true: perception and monitor in one process, for small boards"),
    "recorder": ("false", "true: each stop leaves a recording of the seconds before it"),
    "failsafe": ("true", "false: another camera's launch brings the one fail-safe up"),
    "transport": ("raw", "type of the image topic: raw or compressed"),
    "image": ("/camera/image", "camera images"),
    "camera_info": ("/camera/camera_info", "camera model"),
    "points": ("/lidar/points", "LiDAR sweeps"),
    "detections": ("detections", "camera detections: from perception_node, or from another detector"),
    "lidar_detections": ("/lidar/detections", "LiDAR detections, where there are any"),
    "odometry": ("/odom", "ego motion, where there is any"),
    "verdict": ("verdict", "verdicts"),
    "fail_safe": ("fail_safe", "std_msgs/Bool, true means stop"),
    "level": ("level", "the level in words"),
    "expected": ("[camera, detections]", "streams that are missed from the start where they do not come"),
    "state_file": ("", "file that keeps a stop over a restart"),
    "use_sim_time": ("false", "take the time from /clock"),
    "autostart": ("true", "false: a lifecycle manager brings perception and monitor up"),
    "build_only": ("false", "build and cache the engine, then leave"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
}


def generate_launch_description() -> LaunchDescription:
    """Return the description; every argument is declared with its default and meaning."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, *_transport(), *_nodes()])


def _transport() -> list[LaunchDescriptionEntity]:
    """Shared memory for large messages, unless the user has a profile of their own."""
    name = "FASTDDS_DEFAULT_PROFILES_FILE"
    if os.environ.get("ROS_DISTRO") in ("humble", "iron"):
        name = "FASTRTPS_DEFAULT_PROFILES_FILE"
    if os.environ.get(name) or os.environ.get("FASTDDS_BUILTIN_TRANSPORTS"):
        return []
    return [SetEnvironmentVariable(name, str(PROFILE))]


def _nodes() -> list[Node]:
    """All nodes; the fail-safe first, since it holds the vehicle until the others are up."""
    argument = LaunchConfiguration
    managed = {"autostart": ParameterValue(argument("autostart"), value_type=bool)}
    transport = {"inputs.transport": argument("transport")}
    engine = {"engine": ParameterValue(argument("engine"), value_type=str)}
    expected = {"inputs.expected": ParameterValue(argument("expected"), value_type=list[str])}
    streams = {
        f"input/{name}": argument(name)
        for name in ("image", "camera_info", "points", "detections", "lidar_detections", "odometry")
    } | {"output/verdict": argument("verdict")}
    found = {"output/detections": argument("detections")}
    watched = {
        "input/verdict": argument("verdict"),
        "output/fail_safe": argument("fail_safe"),
        "output/level": argument("level"),
    }
    image = {"input/image": argument("image")}
    state = {"state_file": ParameterValue(argument("state_file"), value_type=str)}
    running = NotSubstitution(argument("build_only"))
    apart = AndSubstitution(running, NotSubstitution(argument("composed")))
    return [
        _node("failsafe_node", [state], watched, AndSubstitution(running, argument("failsafe"))),
        _node("monitor_node", [managed, transport, expected], streams, apart),
        _node(
            "perception_node",
            [managed, transport, engine],
            image | found,
            AndSubstitution(apart, argument("perception")),
        ),
        _node(
            "edgeguard_node",
            [managed, transport, expected, engine],
            streams | found,
            AndSubstitution(running, argument("composed")),
        ),
        _node(
            "recorder_node",
            [{"transport": argument("transport")}],
            {k: v for k, v in streams.items() if k.startswith("input/")}
            | {"input/detections": argument("detections"), "input/verdict": argument("verdict")}
            | {"input/fail_safe": argument("fail_safe")},
            AndSubstitution(running, argument("recorder")),
        ),
        _node(
            "perception_node", [engine, {"build_only": True}], image, argument("build_only"), respawn=False
        ),
    ]


def _node(
    name: str,
    parameters: list[dict[str, object]],
    remappings: dict[str, object],
    condition: Substitution,
    *,
    respawn: bool = True,
) -> Node:
    common = {"use_sim_time": ParameterValue(LaunchConfiguration("use_sim_time"), value_type=bool)}
    return Node(
        package="edgeguard",
        executable=name,
        name=name,
        namespace=LaunchConfiguration("namespace"),
        parameters=[LaunchConfiguration("params_file"), *parameters, common],
        remappings=list(remappings.items()),
        arguments=["--ros-args", "--log-level", LaunchConfiguration("log_level")],
        output="screen",
        # A fail-safe that starts anew holds the vehicle until a monitor has spoken.
        respawn=respawn,
        respawn_delay=RESPAWN_DELAY_S,
        condition=IfCondition(condition),
    )
