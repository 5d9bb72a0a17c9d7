"""Numbers that are finite and yet absurd: no sensor sends them, and none of them may end the monitor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from edgeguard.assembler import FrameAssembler
from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.rig import CameraModel, pose_matrix
from edgeguard.types import (
    F64,
    Channel,
    Detections,
    Detections3D,
    EgoMotion,
    Image,
    PointCloud,
    RadarTargets,
)

PERIOD_NS = 100_000_000
EXTREMES = np.array(
    [0, 1, -1, 1e-30, 1e3, -1e3, 1e6, -1e6, 1e20, -1e20, 3e38, -3e38, 5, 20, 50, 300, 600], np.float64
)


class Madness:
    """Messages of values from one end of the numbers to the other."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def values(self, *shape: int) -> F64:
        return np.asarray(self.random.choice(EXTREMES, shape))

    def stamp(self, now_ns: int) -> int:
        return now_ns - 10**7 + int(self.random.choice([0, 0, 0, 0, 10**9, -(10**9), 10**15, -(10**15)]))

    def camera(self) -> CameraModel:
        width = int(self.random.choice([1, 640, 640, 640, 10**6]))
        k = np.diag([abs(self.values(1)[0]) + 1e-3, 500.0, 1.0])
        k[:2, 2] = 320, 240
        return CameraModel("camera", width, 480, k, distortion=self.values(self.random.choice([0, 5])))

    def image(self, stamp_ns: int) -> Image:
        size = (480, 640) if self.random.random() < 0.9 else tuple(self.random.choice([16, 17, 33, 900], 2))
        return Image(stamp_ns, "camera", self.random.integers(0, 255, (*size, 3), np.uint8))

    def detections(self, stamp_ns: int) -> Detections:
        n = int(self.random.choice([0, 1, 5, 50]))
        half = np.abs(self.values(n, 2))
        with np.errstate(over="ignore"):
            center = self.values(n, 2)
            xyxy = np.concatenate([center - half, center + half], axis=1).astype(np.float32)
        xyxy = np.nan_to_num(xyxy)
        score = self.random.choice([0, 0.5, 1, -1, 1e30], n).astype(np.float32)
        return Detections(
            stamp_ns, xyxy, score, self.random.integers(0, 2, n).astype(np.int32), ("car", "dragon")
        )

    def points(self, stamp_ns: int) -> PointCloud:
        return PointCloud(stamp_ns, "lidar", self.values(2000, 3).astype(np.float32))

    def radar(self, stamp_ns: int) -> RadarTargets:
        xyz, rate = self.values(10, 3).astype(np.float32), self.values(10).astype(np.float32)
        return RadarTargets(stamp_ns, "lidar", xyz, rate)

    def ego(self, stamp_ns: int) -> EgoMotion:
        return EgoMotion(stamp_ns, self.values(3), self.values(3))

    def boxes(self, stamp_ns: int) -> Detections3D:
        box = self.values(3, 3), np.abs(self.values(3, 3)), self.random.normal(size=(3, 4))
        return Detections3D(stamp_ns, "lidar", *box, np.ones(3, np.float32), np.zeros(3, np.int32), ("car",))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(6))
def test_absurd_values_get_a_verdict_like_any_others(seed: int) -> None:
    mad, now_ns = Madness(seed), 10**18
    monitor = Monitor(MonitorSettings())
    assembler = FrameAssembler(expected=frozenset({Channel.CAMERA, Channel.DETECTIONS, Channel.LIDAR}))
    makers: tuple[tuple[Channel, Callable[[int], Any]], ...] = (
        (Channel.LIDAR, mad.points),
        (Channel.RADAR, mad.radar),
        (Channel.EGO, mad.ego),
        (Channel.LIDAR_DETECTIONS, mad.boxes),
        (Channel.DETECTIONS, mad.detections),
        (Channel.CAMERA, mad.image),
    )
    judged = 0
    for i in range(16):
        now_ns += PERIOD_NS
        if i % 4 == 0:
            place = pose_matrix(tuple(mad.values(3)), (0, 0, 0, 1))
            assembler.add(None, mad.camera(), now_ns)
            assembler.add(None, [("base", "camera", np.eye(4)), ("base", "lidar", place)], now_ns)
        stamp_ns = mad.stamp(now_ns)
        for channel, make in makers:
            assembler.add(channel, make(stamp_ns), now_ns)
        for frame in assembler.poll(now_ns):
            verdict = monitor.step(frame)
            assert verdict.to_json() and verdict.coverage_json()
            judged += 1
    assert judged >= 12
