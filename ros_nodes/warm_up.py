"""What a monitor does for the first time, done before it counts."""

from __future__ import annotations

import numpy as np

from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.rig import CameraModel, Rig, TransformTree
from edgeguard.types import Channel, Detections, Frame, Image, PointCloud

WIDTH, HEIGHT = 1242, 375
FRAMES = 3
_STEP_NS = 100_000_000


def warm_up(settings: MonitorSettings) -> None:
    """Judge a few made-up frames with a monitor of their own.

    Libraries load parts of themselves on first use: without this the first image waited for 0.7 s, and the
    fail-safe heard of a silence that was none.
    """
    # A calibration is one camera's, and this camera is none.
    monitor = Monitor(settings.model_copy(update={"calibration": "none"}))
    random = np.random.default_rng(0)
    k = np.array([[720.0, 0.0, WIDTH / 2], [0.0, 720.0, HEIGHT / 2], [0.0, 0.0, 1.0]])
    rig = Rig.from_tree(CameraModel("camera", WIDTH, HEIGHT, k), TransformTree())
    ahead = random.uniform((-15, 1.6, 4), (15, 1.7, 40), (20_000, 3))
    body = random.uniform((-1, 0.2, 12), (1, 1.6, 12.1), (500, 3))
    cloud = np.concatenate([ahead, body]).astype(np.float32)
    box = np.array([[561, 187, 681, 283]], np.float32)
    for i in range(FRAMES):
        now = (i + 1) * _STEP_NS
        frame = Frame(
            stamp_ns=now,
            now_ns=now,
            image=Image(now, "camera", random.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)),
            detections=Detections(now, box, np.ones(1, np.float32), np.zeros(1, np.int32), ("car",)),
            points=PointCloud(now, "camera", cloud),
            rig=rig,
            last_stamp_ns=dict.fromkeys((Channel.CAMERA, Channel.DETECTIONS, Channel.LIDAR), now),
            last_seen_ns=dict.fromkeys((Channel.CAMERA, Channel.DETECTIONS, Channel.LIDAR), now),
        )
        monitor.step(frame)
