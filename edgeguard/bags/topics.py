"""Which topic feeds which channel: found by type where one fits, named by the user where several do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgeguard.bags.connection import Connection
from edgeguard.errors import BagError
from edgeguard.types import Channel

CAMERA_INFO = "camera_info"
TF_STATIC = "tf_static"
GROUND_TRUTH = "/ground_truth/"

TYPES: dict[str, tuple[str, ...]] = {
    "camera": ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"),
    "detections": ("vision_msgs/msg/Detection2DArray",),
    "lidar": ("sensor_msgs/msg/PointCloud2",),
    "lidar_detections": ("vision_msgs/msg/Detection3DArray",),
    "radar": ("sensor_msgs/msg/PointCloud2", "radar_msgs/msg/RadarTracks"),
    "ego": ("nav_msgs/msg/Odometry",),
    CAMERA_INFO: ("sensor_msgs/msg/CameraInfo",),
    TF_STATIC: ("tf2_msgs/msg/TFMessage",),
}
"""The message types that each `Channel` (by its value) and calibration stream takes."""


def choose(
    path: Path,
    connections: Sequence[Connection],
    named: Mapping[str, str],
    has_doppler: Callable[[Connection], bool],
) -> dict[str, list[Connection]]:
    """Return the connections that feed each channel; only `TF_STATIC` may have several topics.

    Args:
        path: the bag, for errors.
        connections: its topics.
        named: topics that the user named, by channel.
        has_doppler: whether a point cloud topic carries radial velocities, asked only where it decides.

    Raises:
        BagError: a named channel or topic does not exist or has the wrong type, a choice is ambiguous, or
            there is neither a camera nor camera detections.
    """
    names = {c.value if isinstance(c, Channel) else c: topic for c, topic in named.items()}
    if unknown := [channel for channel in names if channel not in TYPES]:
        raise BagError(path, f"{unknown[0]!r} is no channel", f"Channels are {', '.join(TYPES)}")
    chosen = {channel: [_named(path, channel, topic, connections)] for channel, topic in names.items()}
    taken = {c.topic for cs in chosen.values() for c in cs}
    # Recorded truth is for scoring: a monitor that read it would judge by what no vehicle knows.
    free = [
        c for c in connections if c.count and c.topic not in taken and not c.topic.startswith(GROUND_TRUTH)
    ]
    candidates = {
        channel: [c for c in free if c.msgtype in types]
        for channel, types in TYPES.items()
        if channel not in names
    }
    tf = [c for c in candidates.pop(TF_STATIC, []) if c.topic.rsplit("/", 1)[-1] == TF_STATIC]
    _split_point_clouds(candidates, has_doppler)
    camera = chosen.get("camera") or candidates["camera"]
    if len(camera) == 1 and CAMERA_INFO in candidates:
        candidates[CAMERA_INFO] = _siblings(camera[0].topic, candidates[CAMERA_INFO])
    _reject_ambiguous(path, candidates)
    chosen = {channel: cs for channel, cs in ({TF_STATIC: tf} | candidates | chosen).items() if cs}
    _require_usable(path, connections, chosen)
    return chosen


def _require_usable(
    path: Path, connections: Sequence[Connection], chosen: Mapping[str, Sequence[Connection]]
) -> None:
    if "camera" not in chosen and "detections" not in chosen:
        listed = ", ".join(f"{c.topic} ({c.msgtype}, {c.count})" for c in connections)
        raise BagError(
            path,
            f"has no camera: neither images nor camera detections among {listed}",
            f"EdgeGuard needs messages of {', '.join(TYPES['camera'] + TYPES['detections'])}",
        )
    for c in (c for cs in chosen.values() for c in cs):
        if c.encoding != "cdr":
            raise BagError(path, f"{c.topic} is serialised as {c.encoding!r}", "EdgeGuard reads CDR")


def _named(path: Path, channel: str, topic: str, connections: Sequence[Connection]) -> Connection:
    types = TYPES[channel]
    fitting = [c.topic for c in connections if c.msgtype in types]
    found = [c for c in connections if c.topic == topic]
    remedy = f"Topics that fit --topic {channel}=NAME: {', '.join(fitting) or 'none'}"
    if not found:
        raise BagError(path, f"has no topic {topic!r} for channel {channel}", remedy)
    for c in found:
        if c.msgtype in types:
            return c
    problem = f"{topic} is {found[0].msgtype}, channel {channel} takes {' or '.join(types)}"
    raise BagError(path, problem, remedy)


def _split_point_clouds(
    candidates: dict[str, list[Connection]], has_doppler: Callable[[Connection], bool]
) -> None:
    """A point cloud with radial velocities is a radar's, but only beside another: LiDARs may have them."""
    radar = candidates.get("radar", [])
    clouds = candidates.get("lidar") or [c for c in radar if c.msgtype in TYPES["lidar"]]
    beside_another = len(clouds) > 1 or "lidar" not in candidates
    doppler = [c for c in clouds if beside_another and has_doppler(c)]
    if "lidar" in candidates and len(doppler) == len(clouds):
        doppler = []
    if "radar" in candidates:
        candidates["radar"] = [c for c in radar if c in doppler or c.msgtype not in TYPES["lidar"]]
    if "lidar" in candidates:
        candidates["lidar"] = [c for c in clouds if c not in doppler]


def _siblings(camera: str, infos: list[Connection]) -> list[Connection]:
    """The camera_info that image_transport's convention puts beside the images, else all."""
    if len(infos) == 1:
        return infos
    base = camera
    while "/" in base:
        base = base.rsplit("/", 1)[0]
        if found := [c for c in infos if c.topic == f"{base}/camera_info"]:
            return found
    return infos


def _reject_ambiguous(path: Path, candidates: Mapping[str, list[Connection]]) -> None:
    ambiguous = {name: [c.topic for c in cs] for name, cs in candidates.items() if len(cs) > 1}
    if ambiguous:
        listed = "; ".join(f"{name}: {', '.join(topics)}" for name, topics in ambiguous.items())
        options = " ".join(f"--topic {name}={topics[0]}" for name, topics in ambiguous.items())
        raise BagError(path, f"has several topics for {listed}", f"Name one each, as in: {options}")
