"""Frames at detection level: a car that both sensors hold, made here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgeguard.rig import CameraModel, Rig
from edgeguard.types import Channel, Detections, Detections3D, Frame

K = np.array([[720.0, 0, 620], [0, 720, 180], [0, 0, 1]])
RIG = Rig(CameraModel("optical", 1240, 370, K), {"optical": np.eye(4)})
SIZE = np.array([4.0, 1.7, 1.5])  # along the box's own x (forward), y, z
UPRIGHT = np.array([0.5, -0.5, 0.5, 0.5])
NAMES = ("car", "person")

Drive = Callable[..., list[Frame]]


def _box(x: float, z: float) -> np.ndarray:
    near, far = z - SIZE[0] / 2, z + SIZE[0] / 2
    u = [K[0, 0] * (x + s * SIZE[1] / 2) / d + K[0, 2] for s in (-1, 1) for d in (near, far)]
    v = [K[1, 1] * y / d + K[1, 2] for y in (0.15, 1.65) for d in (near, far)]
    return np.array([min(u), min(v), max(u), max(v)])


def make(seconds: float = 6.0, *, seed: int = 0, lost: tuple[float, float] | None = None) -> list[Frame]:
    """Return a drive behind a car at 14 m; the camera loses it between two times, if told so."""
    rng = np.random.default_rng(seed)
    frames = []
    for i in range(round(seconds * 10)):
        stamp = 1_000_000_000 + i * 100_000_000
        x, z = 0.3 + 0.02 * np.sin(i / 9), 14.0 + 0.3 * np.sin(i / 20)
        camera = np.zeros((0, 4), np.float32)
        if lost is None or not lost[0] <= i / 10 < lost[1]:
            camera = (_box(x, z) + rng.normal(0, 0.7, 4))[None].astype(np.float32)
        n = len(camera)
        detections = Detections(stamp, camera, np.full(n, 0.9, np.float32), np.zeros(n, np.int32), NAMES)
        center = np.array([[x, 0.9, z]]) + rng.normal(0, 0.03, (1, 3))
        lidar = Detections3D(
            stamp, "optical", center, SIZE[None], UPRIGHT[None], np.array([6.0], np.float32),
            np.zeros(1, np.int32), NAMES,
        )  # fmt: skip
        seen = {Channel.DETECTIONS: stamp, Channel.LIDAR_DETECTIONS: stamp}
        frames.append(
            Frame(
                stamp, stamp, detections=detections, lidar_detections=lidar, rig=RIG,
                last_stamp_ns=seen, last_seen_ns=seen,
            )
        )  # fmt: skip
    return frames


@pytest.fixture
def drive() -> Drive:
    return make
