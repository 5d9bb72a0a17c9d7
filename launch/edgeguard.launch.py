"""Brings up perception, monitor and fail-safe: `ros2 launch edgeguard edgeguard.launch.py --show-args`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import yaml
from launch import LaunchContext, LaunchDescription, LaunchDescriptionEntity
from launch.actions import (
    DeclareLaunchArgument,
    LogInfo,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch_ros.actions import Node

SHARE = Path(__file__).resolve().parent.parent
PROFILE = SHARE / "config" / "fastdds_large_data.xml"

RESTART_DELAYS_S = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Before the first restart, the second, …: a mistake in the parameters must not fill the log."""

SETTLED_S = 60.0
"""A node that lived for this long starts again at the first delay."""

AS_FILE = "empty: as params_file says"

ARGUMENTS = {
    "params_file": (str(SHARE / "config" / "monitor.param.yaml"), "parameter file of all nodes"),
    "namespace": ("", "namespace of all nodes"),
    "engine": ("", f"perception engine: a name under engines/ or a path to an engine.yaml; {AS_FILE}"),
    "rig": (
        "",
        f"rig file with camera model and extrinsics, for camera_info and /tf_static; {AS_FILE}",
    ),
    "perception": ("true", "false: the detections come from another detector"),
    "composed": ("false", "true: perception and monitor in one process, for small boards"),
    "recorder": ("false", "true: each stop leaves a recording of the seconds before it"),
    "failsafe": ("true", "false: another camera's launch brings the one fail-safe up"),
    "transport": ("", f"type of the image topic: raw or compressed; {AS_FILE}"),
    "image": ("/camera/image", "camera images"),
    "camera_info": ("/camera/camera_info", "camera model"),
    "points": ("/lidar/points", "LiDAR sweeps"),
    "detections": ("detections", "camera detections: from perception_node, or from another detector"),
    "detector": ("", "another detector's name, so that a calibration made with a different one is refused"),
    "lidar_detections": ("/lidar/detections", "LiDAR detections, where there are any"),
    "radar": ("/radar/points", "radar, where there is any: a PointCloud2 with a Doppler field, or tracks"),
    "radar_type": (
        "points",
        "type of the radar topic: points or tracks (radar_msgs/RadarTracks)",
    ),
    "odometry": ("/odom", "ego motion, where there is any"),
    "markers": ("markers", "markers for RViz and Foxglove"),
    "overlay": ("overlay", "the image with what was found in it"),
    "verdict": ("verdict", "verdicts"),
    "snapshot": ("snapshot", "what the monitor knows of the drive, for the recorder"),
    "fail_safe": ("fail_safe", "std_msgs/Bool, true means stop"),
    "level": ("level", "the level in words"),
    "expected": ("", f"streams that are missed from the start, as in [camera, detections]; {AS_FILE}"),
    "state_file": ("", f"file that keeps a stop over a restart; {AS_FILE}"),
    "use_sim_time": ("false", "take the time from /clock"),
    "autostart": ("true", "false: a lifecycle manager brings perception and monitor up"),
    "build_only": ("false", "build and cache the engine, then leave"),
    "log_level": ("info", "debug, info, warn, error or fatal"),
}


STREAMS = ("image", "camera_info", "points", "detections", "lidar_detections", "radar", "odometry")


def generate_launch_description() -> LaunchDescription:
    """Return the description; every argument is declared with its default and meaning."""
    declared = [
        DeclareLaunchArgument(name, default_value=default, description=text)
        for name, (default, text) in ARGUMENTS.items()
    ]
    return LaunchDescription([*declared, *_transport(), OpaqueFunction(function=_nodes)])


def _transport() -> list[LaunchDescriptionEntity]:
    """Shared memory for large messages, unless the user has a profile of their own."""
    name = "FASTDDS_DEFAULT_PROFILES_FILE"
    if os.environ.get("ROS_DISTRO") in ("humble", "iron"):
        name = "FASTRTPS_DEFAULT_PROFILES_FILE"
    if os.environ.get(name) or os.environ.get("FASTDDS_BUILTIN_TRANSPORTS"):
        return []
    return [SetEnvironmentVariable(name, str(PROFILE))]


def _nodes(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """All nodes; the fail-safe first, since it holds the vehicle until the others are up."""
    told = {name: context.launch_configurations[name] for name in ARGUMENTS}

    def wants(name: str) -> bool:
        value = yaml.safe_load(told[name])
        if not isinstance(value, bool):
            raise ValueError(f"{name}:={told[name]}: expected true or false")
        return value

    def topics(way: str, *names: str) -> dict[str, str]:
        return {f"{way}/{name}": told[name] for name in names}

    common = {"use_sim_time": wants("use_sim_time")}
    managed = common | {"autostart": wants("autostart")}
    transport = _given("inputs.transport", told["transport"])
    inputs = transport | _given("inputs.radar", told["radar_type"]) | _given("inputs.rig", told["rig"])
    if told["expected"]:
        inputs["inputs.expected"] = list(yaml.safe_load(told["expected"]))
    engine = _given("engine", told["engine"])
    if wants("build_only"):
        return [_node(told, "perception_node", common | engine | {"build_only": True}, {})]
    found = topics("output", "detections")
    judged = topics("output", "verdict", "markers", "overlay", "snapshot")
    nodes = []
    if wants("failsafe"):
        watched = topics("input", "verdict") | topics("output", "fail_safe", "level")
        nodes += _kept(told, "failsafe_node", common | _given("state_file", told["state_file"]), watched)
    if wants("composed"):
        streams = topics("input", *STREAMS) | found
        nodes += _kept(told, "edgeguard_node", managed | inputs | engine, streams | judged)
    else:
        detector = told["engine"] if wants("perception") else told["detector"]
        given = managed | inputs | _given("inputs.detector", detector)
        nodes += _kept(told, "monitor_node", given, topics("input", *STREAMS) | judged)
        if wants("perception"):
            streams = topics("input", "image") | found
            nodes += _kept(told, "perception_node", managed | transport | engine, streams)
    if wants("recorder"):
        given = _given("transport", told["transport"]) | _given("radar", told["radar_type"])
        given |= common | _given("rig", told["rig"])
        kept = topics("input", *STREAMS, "verdict", "snapshot", "fail_safe")
        nodes += _kept(told, "recorder_node", given, kept)
    return nodes


def _given(parameter: str, value: str) -> dict[str, object]:
    return {parameter: value} if value else {}


def _kept(
    told: dict[str, str],
    name: str,
    parameters: dict[str, object],
    remappings: dict[str, str],
    restarts: int = 0,
) -> list[LaunchDescriptionEntity]:
    """Return a node and what starts it again, later each time, when it ends before the launch does."""
    node, began = _node(told, name, parameters, remappings), time.monotonic()

    def again(event: ProcessExited, context: LaunchContext) -> list[LaunchDescriptionEntity] | None:
        if context.is_shutdown:
            return None
        # A fail-safe that starts anew holds the vehicle until a monitor has spoken.
        turn = 0 if time.monotonic() - began > SETTLED_S else restarts
        delay_s = RESTART_DELAYS_S[min(turn, len(RESTART_DELAYS_S) - 1)]
        why = LogInfo(msg=f"{name} ended with {event.returncode}; it starts again in {delay_s:g} s")
        anew = _kept(told, name, parameters, remappings, turn + 1)
        return [why, TimerAction(period=delay_s, actions=anew)]

    return [node, RegisterEventHandler(OnProcessExit(target_action=node, on_exit=again))]


def _node(told: dict[str, str], name: str, parameters: dict[str, object], remappings: dict[str, str]) -> Node:
    return Node(
        package="edgeguard",
        executable=name,
        name=name,
        namespace=told["namespace"],
        parameters=[told["params_file"], parameters],
        remappings=list(remappings.items()),
        arguments=["--ros-args", "--log-level", told["log_level"]],
        output="screen",
    )
