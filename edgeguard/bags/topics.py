"""Which topic feeds which channel: found by type where one fits, named by the user where several do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from edgeguard.bags.connection import Connection
from edgeguard.errors import BagError
from edgeguard.types import Channel

CAMERA_INFO = "camera_info"
TF_STATIC = "tf_static"

TYPES: dict[str, tuple[str, ...]] = {
    Channel.CAMERA: ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"),
    Channel.DETECTIONS: ("vision_msgs/msg/Detection2DArray",),
    Channel.LIDAR: ("sensor_msgs/msg/PointCloud2",),
    Channel.LIDAR_DETECTIONS: ("vision_msgs/msg/Detection3DArray",),
    Channel.RADAR: ("sensor_msgs/msg/PointCloud2",),
    Channel.EGO: ("nav_msgs/msg/Odometry",),
    CAMERA_INFO: ("sensor_msgs/msg/CameraInfo",),
    TF_STATIC: ("tf2_msgs/msg/TFMessage",),
}


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
    chosen: dict[str, list[Connection]] = {str(c.value if isinstance(c, Channel) else c): [] for c in TYPES}
    names = {str(c.value if isinstance(c, Channel) else c): t for c, t in named.items()}
    for channel, topic in names.items():
        chosen[_known(path, channel, chosen)] = [_named(path, channel, topic, connections)]
    taken = {c.topic for cs in chosen.values() for c in cs}
    free = [c for c in connections if c.count and c.topic not in taken]
    candidates = {
        channel: [c for c in free if c.msgtype in TYPES[channel]] for channel in chosen if channel not in names
    }
    candidates.setdefault(TF_STATIC, [])
    chosen[TF_STATIC] += [c for c in candidates.pop(TF_STATIC) if c.topic.rsplit("/", 1)[-1] == TF_STATIC]
    _split_point_clouds(candidates, has_doppler)
    camera = chosen["camera"] or candidates.get("camera", [])
    if len(camera) == 1 and len(candidates.get(CAMERA_INFO, [])) > 1:
        candidates[CAMERA_INFO] = _siblings(camera[0].topic, candidates[CAMERA_INFO])
    _reject_ambiguous(path, candidates)
    for channel, found in candidates.items():
        chosen[channel] = found
    if not chosen["camera"] and not chosen["detections"]:
        listed = ", ".join(f"{c.topic} ({c.msgtype}, {c.count})" for c in connections)
        raise BagError(
            path,
            f"has no camera: neither images nor camera detections among {listed}",
            f"EdgeGuard needs messages of {', '.join(TYPES[Channel.CAMERA] + TYPES[Channel.DETECTIONS])}",
        )
    for cs in chosen.values():
        for c in cs:
            if c.encoding != "cdr":
                raise BagError(path, f"{c.topic} is serialised as {c.encoding!r}", "EdgeGuard reads CDR")
    return {channel: cs for channel, cs in chosen.items() if cs}


def _known(path: Path, channel: str, channels: Mapping[str, object]) -> str:
    if channel not in channels:
        raise BagError(path, f"{channel!r} is no channel", f"Channels are {', '.join(channels)}")
    return channel


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
    raise BagError(path, f"{topic} is {found[0].msgtype}, channel {channel} takes {' or '.join(types)}", remedy)


def _split_point_clouds(
    candidates: dict[str, list[Connection]], has_doppler: Callable[[Connection], bool]
) -> None:
    """A point cloud with radial velocities is a radar's, but only beside another: some LiDARs measure them."""
    clouds = candidates.get("lidar", candidates.get("radar", []))
    if len(clouds) == 1 and "lidar" in candidates:
        doppler: list[Connection] = []
    else:
        doppler = [c for c in clouds if has_doppler(c)]
    if len(doppler) == len(clouds) and "lidar" in candidates and "radar" in candidates:
        candidates["radar"] = []
        return
    if "radar" in candidates:
        candidates["radar"] = doppler
        clouds = [c for c in clouds if c not in doppler]
    if "lidar" in candidates:
        candidates["lidar"] = clouds


def _siblings(camera: str, infos: list[Connection]) -> list[Connection]:
    """The camera_info that image_transport's convention puts beside the images, else all."""
    base = camera
    while "/" in base:
        base = base.rsplit("/", 1)[0]
        if found := [c for c in infos if c.topic == f"{base}/camera_info"]:
            return found
    return infos


def _reject_ambiguous(path: Path, candidates: Mapping[str, list[Connection]]) -> None:
    ambiguous = {channel: cs for channel, cs in candidates.items() if len(cs) > 1}
    if ambiguous:
        listed = "; ".join(f"{channel}: {', '.join(c.topic for c in cs)}" for channel, cs in ambiguous.items())
        options = " ".join(f"--topic {channel}={cs[0].topic}" for channel, cs in ambiguous.items())
        raise BagError(path, f"has several topics for {listed}", f"Name one each, as in: {options}")
