"""ROS messages of a `rosbags` type store, from plain values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rosbags.typesys.store import Typestore


def make(store: Typestore, package: str, kind: str, /, **fields: Any) -> Any:
    """Return a `package/msg/kind` with these fields; all must be given."""
    return store.types[f"{package}/msg/{kind}"](**fields)


def header(store: Typestore, stamp_ns: int, frame_id: str) -> Any:
    """Return a `std_msgs/Header`."""
    seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
    stamp = make(store, "builtin_interfaces", "Time", sec=seconds, nanosec=nanoseconds)
    return make(store, "std_msgs", "Header", stamp=stamp, frame_id=frame_id)


def vector(store: Typestore, xyz: Sequence[float], *, kind: str = "Vector3") -> Any:
    """Return a `geometry_msgs/Vector3` or `Point`."""
    return make(store, "geometry_msgs", kind, x=xyz[0], y=xyz[1], z=xyz[2])


def quaternion(store: Typestore, xyzw: Sequence[float]) -> Any:
    """Return a `geometry_msgs/Quaternion`."""
    return make(store, "geometry_msgs", "Quaternion", x=xyzw[0], y=xyzw[1], z=xyzw[2], w=xyzw[3])


def pose(
    store: Typestore, xyz: Sequence[float] = (0.0, 0.0, 0.0), xyzw: Sequence[float] = (0.0, 0.0, 0.0, 1.0)
) -> Any:
    """Return a `geometry_msgs/Pose`; the identity by default."""
    position = vector(store, xyz, kind="Point")
    return make(store, "geometry_msgs", "Pose", position=position, orientation=quaternion(store, xyzw))


def with_covariance(store: Typestore, kind: str, value: Any) -> Any:
    """Return a `geometry_msgs/PoseWithCovariance` or `TwistWithCovariance` with a covariance of zeros."""
    fields = {kind.lower(): value, "covariance": np.zeros(36)}
    return make(store, "geometry_msgs", f"{kind}WithCovariance", **fields)
