"""Radar targets as checks use them: where they are in the camera's view, and how fast over ground. Pure."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeguard.types import F64, RadarTargets

_MAX_TARGETS = 512
_MIN_TARGETS = 8


class Targets(NamedTuple):
    """Radar targets in the optical frame, seen from the radar's own place.

    Attributes:
        xyz: (N, 3) metres.
        range_m: (N,) from the radar.
        sight: (N, 3) unit vectors from the radar to them.
        rate: (N,) range rate, m/s, negative when approaching.
        origin: (3,) the radar's place.
    """

    xyz: F64
    range_m: F64
    sight: F64
    rate: F64
    origin: F64


def targets_of(radar: RadarTargets, to_camera: F64) -> Targets:
    """Return the nearest targets of a cycle, in their order.

    Args:
        to_camera: (4, 4) from the radar's frame to the optical one.
    """
    origin = to_camera[:3, 3]
    xyz, rate = radar.xyz.astype(np.float64) @ to_camera[:3, :3].T + origin, radar.range_rate
    way = xyz - origin
    distance = np.maximum(np.linalg.norm(way, axis=1), 1e-6)
    if len(distance) > _MAX_TARGETS:
        nearest = np.sort(np.argsort(distance, kind="stable")[:_MAX_TARGETS])
        xyz, way, distance, rate = xyz[nearest], way[nearest], distance[nearest], rate[nearest]
    return Targets(xyz, distance, way / distance[:, None], rate.astype(np.float64), origin)


def near(center: F64, size: F64, targets: Targets, range_m: float, bearing: float) -> NDArray[np.bool_]:
    """Return (N, M) whether a target lies on a thing, within the radar's errors of range and bearing.

    Args:
        center: (N, 3) of things, optical frame, metres.
        size: (N, 2) across and along, metres.
        range_m, bearing: errors, metres and radians.
    """
    way = (center - targets.origin)[:, (0, 2)]
    flat = (targets.xyz - targets.origin)[:, (0, 2)]
    distance = np.maximum(np.hypot(way[:, 0], way[:, 1]), 0.1)[:, None]
    along = (way @ flat.T) / distance
    across = (way[:, :1] * flat[None, :, 1] - way[:, 1:] * flat[None, :, 0]) / distance
    half = size / 2
    on: NDArray[np.bool_] = np.abs(along - distance) <= half.max(axis=1)[:, None] + range_m
    on &= np.abs(across) <= half[:, :1] + bearing * distance + 0.3
    return on


def own_motion(motion: tuple[F64, F64] | None, targets: Targets) -> F64 | None:
    """Return the (3,) velocity of the radar in the optical frame, m/s; None where it cannot be told.

    Without odometry it is what most targets agree on: the standing world's Doppler (Kellner et al., ITSC
    2013).

    Args:
        motion: linear (m/s) and angular (rad/s) velocity of the camera, where odometry tells it.
    """
    if motion is not None:
        velocity: F64 = motion[0] + np.cross(motion[1], targets.origin)
        return velocity
    if len(targets.rate) < _MIN_TARGETS:
        return None
    sight = targets.sight[:, (0, 2)]
    flat: F64 = np.zeros(2)
    weight: F64 = np.ones(len(targets.rate))
    for _ in range(5):
        normal = (sight * weight[:, None]).T @ sight + 1e-3 * np.eye(2)
        flat = np.asarray(np.linalg.solve(normal, -(sight * weight[:, None]).T @ targets.rate), np.float64)
        residual = targets.rate + sight @ flat
        scale = 3.0 * max(float(np.median(np.abs(residual))), 0.2)
        weight = np.asarray(np.clip(1.0 - (residual / scale) ** 2, 0.0, None) ** 2, np.float64)
    if np.count_nonzero(weight) < 0.5 * len(weight):
        return None
    return np.array([flat[0], 0.0, flat[1]])
