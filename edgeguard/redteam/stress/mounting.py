"""What mounts, clocks and ageing do to the LiDAR beside the camera.

An error of calibration is one between sensors: turning or moving the points by it is the same as a wrong
transform, and needs no rewriting of what the recording says of itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeguard import messages
from edgeguard.redteam.base import Altered
from edgeguard.redteam.edit import with_moved_points, without_points
from edgeguard.redteam.scout import Scout
from edgeguard.types import Channel


class Turned:
    """LiDAR and camera are turned against each other by a degree about the vertical."""

    kind = "miscalibration_1deg"
    sensor = Channel.LIDAR
    degrees = 1.0

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"degrees": self.degrees}

    def prepare(self, scout: Scout) -> None:
        """Needs nothing."""

    def alter(self, message: Any, scout: Scout) -> Altered:
        assert scout.points is not None
        c, s = np.cos(np.deg2rad(self.degrees)), np.sin(np.deg2rad(self.degrees))
        x, y, z = scout.points.xyz.T
        xyz = np.stack([c * x - s * y, s * x + c * y, z], 1).astype(np.float32)
        return Altered(with_moved_points(message, np.arange(len(xyz)), xyz))


class Moved:
    """The LiDAR sits 5 cm beside where the calibration says."""

    kind = "miscalibration_5cm"
    sensor = Channel.LIDAR
    offset_m = (0.0, 0.05, 0.0)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"offset_m": list(self.offset_m)}

    def prepare(self, scout: Scout) -> None:
        """Needs nothing."""

    def alter(self, message: Any, scout: Scout) -> Altered:
        assert scout.points is not None
        xyz = (scout.points.xyz + np.array(self.offset_m, np.float32)).astype(np.float32)
        return Altered(with_moved_points(message, np.arange(len(xyz)), xyz))


class Desync:
    """The LiDAR's clock is 50 ms behind: its sweeps are younger than their stamps."""

    kind = "desync_50ms"
    sensor = Channel.LIDAR
    behind_ns = 50_000_000

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"behind_s": self.behind_ns / 1e9}

    def prepare(self, scout: Scout) -> None:
        """Needs nothing."""

    def alter(self, message: Any, scout: Scout) -> Altered:
        stamp_ns = messages.stamp_ns(message.header) - self.behind_ns
        seconds, nanoseconds = divmod(stamp_ns, 1_000_000_000)
        stamp = dataclasses.replace(message.header.stamp, sec=seconds, nanosec=nanoseconds)
        header = dataclasses.replace(message.header, stamp=stamp)
        return Altered(dataclasses.replace(message, header=header))


class DropOut:
    """A fifth of the LiDAR's returns are lost, each at random, as on wet and dark surfaces."""

    kind = "lidar_drop_out"
    sensor = Channel.LIDAR
    share = 0.2

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"share": self.share}

    def prepare(self, scout: Scout) -> None:
        self._rng = np.random.default_rng([scout.seed, 61])

    def alter(self, message: Any, scout: Scout) -> Altered:
        assert scout.points is not None
        gone = self._rng.random(len(scout.points)) < self.share
        return Altered(without_points(message, gone))
