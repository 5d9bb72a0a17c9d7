"""The real street `kitti_a` as frames, and what is done to it, for checks that look at pixels and points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeguard.assembler import AssemblerSettings, FrameAssembler
from edgeguard.bags import BagReader
from edgeguard.checks.base import Check, Scores
from edgeguard.rig import Rig
from edgeguard.scene import SceneBuilder, SceneSettings
from edgeguard.types import Channel, Detections, Frame, Image

Paint = Callable[[np.ndarray, Frame], np.ndarray]


@lru_cache(maxsize=1)
def street(shared: Path) -> tuple[Frame, ...]:
    """Image and sweep of every frame, without detections."""
    frames: list[Frame] = []
    assembler = FrameAssembler(AssemblerSettings(), expected=frozenset({Channel.CAMERA, Channel.LIDAR}))
    with BagReader(shared / "data" / "kitti_a") as reader:
        for item in reader.messages():
            assembler.add(item.channel, item.value, item.log_ns)
            frames += assembler.poll(item.log_ns)
        frames += assembler.flush(item.log_ns)
    return tuple(f for f in frames if f.image is not None and f.points is not None)


@lru_cache(maxsize=1)
def boxed_street(shared: Path) -> tuple[Frame, ...]:
    """The first frames with what a real detector sees in them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEGUARD_MODELS", str(shared / "models"))
        from edgeguard.engine import open_engine

        engine = open_engine("yolox_nano")
    frames = street(shared)[:14]
    found = tuple(replace(f, detections=engine.detect(f.image)) for f in frames if f.image is not None)
    engine.close()
    return found


def late_lidar(frames: Sequence[Frame], sweeps: int) -> list[Frame]:
    """Each frame with the sweep of some frames before, under a forged stamp."""
    return [
        replace(f, points=replace(old.points, stamp_ns=f.points.stamp_ns))
        for old, f in zip(frames, frames[sweeps:])
        if old.points is not None and f.points is not None
    ]


def standing(frame: Frame, frames: Sequence[Frame]) -> list[Frame]:
    """One moment over and over: nothing moves."""
    assert frame.points is not None
    return [replace(f, image=frame.image, points=replace(frame.points, stamp_ns=f.stamp_ns)) for f in frames]


def turned_lidar(frames: Sequence[Frame], *, pitch_deg: float = 0.0, yaw_deg: float = 0.0) -> list[Frame]:
    """The same drive under extrinsics that are off."""
    turn = np.eye(4)
    turn[:3, :3] = cv2.Rodrigues(np.radians([pitch_deg, yaw_deg, 0.0]))[0]
    rig = frames[0].rig
    assert rig is not None
    camera = rig.camera.frame_id
    off = Rig(rig.camera, {k: m if k == camera else turn @ m for k, m in rig.to_camera.items()})
    return [replace(f, rig=off) for f in frames]


def painted(frames: Sequence[Frame], paint: Paint) -> list[Frame]:
    """The same drive in other pixels; detections stay those of the real ones."""
    return [
        replace(f, image=Image(f.stamp_ns, f.image.frame_id, paint(f.image.bgr.copy(), f)))
        for f in frames
        if f.image is not None
    ]


def on_near_boxes(texture: np.ndarray, share: float = 0.4) -> Paint:
    """Paste a square texture on the middle of every near box, so wide a share of it."""

    def paint(bgr: np.ndarray, frame: Frame) -> np.ndarray:
        detections = frame.detections
        assert isinstance(detections, Detections)
        for x0, y0, x1, y1 in detections.xyxy:
            if y1 - y0 < 80:
                continue
            n = int(share * (x1 - x0))
            left, top = max(int((x0 + x1 - n) / 2), 0), max(int((y0 + y1 - n) / 2), 0)
            place = bgr[top : top + n, left : left + n]
            place[:] = cv2.resize(texture, (n, n))[: place.shape[0], : place.shape[1]]
        return bgr

    return paint


def scores(check: Check, frames: Sequence[Frame]) -> list[Scores]:
    """What a check measures on each frame, all subjects' scores in order."""
    builder = SceneBuilder(SceneSettings())
    return [s for f in frames for s in check.score(builder.build(f))]


def told(found: Sequence[Scores]) -> np.ndarray:
    """All scores that are not unobservable."""
    all_scores = np.concatenate([s.score for s in found]) if found else np.zeros(0)
    return all_scores[~np.isnan(all_scores)]
