"""Sweeps for checks of the LiDAR: cast against bodies on a road, or real ones, with what the camera boxes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from edgeguard.assembler import AssemblerSettings, FrameAssembler
from edgeguard.bags import BagReader
from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.rig import CameraModel, Rig
from edgeguard.sim.lidar import RayCaster
from edgeguard.sim.world import Actor, Box, LidarModel, Scene, Trajectory
from edgeguard.types import Channel, Detections, Frame, Image, PointCloud
from edgeguard.verdict import Alarm

WIDTH, HEIGHT, FOCAL = 1242, 375, 720.0
CAMERA_HEIGHT, LIDAR_HEIGHT = 1.65, 1.73
CLASSES = ("car", "person", "truck")
_K = np.array([[FOCAL, 0, 620.0], [0, FOCAL, 175.0], [0, 0, 1]])
_MOUNT = np.array([[0, -1, 0, 0], [0, 0, -1, CAMERA_HEIGHT - LIDAR_HEIGHT], [1, 0, 0, 0], [0, 0, 0, 1.0]])
RIG = Rig(CameraModel("camera_optical", WIDTH, HEIGHT, _K), {"camera_optical": np.eye(4), "lidar": _MOUNT})

# Points (N, 3) in the LiDAR's frame (x ahead, y left, z up from it), changed as weather or an attacker would.
Edit = Callable[[float, np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Body:
    """A box that stands on the road: x right and z ahead of the camera (m) over time (s)."""

    at: Callable[[float], tuple[float, float]]
    size: tuple[float, float, float] = (1.8, 1.5, 4.0)
    """Width, height, length."""
    label: str | None = "car"
    """What the camera calls it; None: it boxes nothing there."""
    solid: bool = True
    """False: a picture, which stops no ray."""
    boxed: Callable[[float], bool] = field(default=lambda t: True)


def drive(bodies: Sequence[Body], seconds: float, edit: Edit | None = None, seed: int = 0) -> Iterator[Frame]:
    """Give the frames of a drive behind a 64-beam LiDAR."""
    rng, n = np.random.default_rng(seed), round(seconds * 10)
    lidar = LidarModel(tuple(np.linspace(2.0, -24.0, 64).tolist()), 0.2)
    scene = Scene(
        "test", seed, seconds, Trajectory.standing(0, 0), tuple(_actors(bodies, seconds)), (), (),
        np.zeros((1, 1, 3), np.uint8), RIG.camera, lidar=lidar, lidar_xyz=(0, 0, LIDAR_HEIGHT), pitch_deg=0.0,
        kerb_y=1e3,
    )  # fmt: skip
    caster = RayCaster(scene)
    for i in range(n):
        t, stamp = i / 10, scene.stamp_ns(i)
        xyz = caster.sweep(i).xyz
        if edit is not None:
            xyz = edit(t, xyz, rng).astype(np.float32)
        yield _frame(stamp, PointCloud(stamp, "lidar", xyz), _boxes(bodies, t, stamp, rng), RIG)


def kitti(shared: Path, edit: Edit | None = None) -> Iterator[Frame]:
    """Give the real pictures and sweeps of `kitti_a`, with a camera that boxes nothing."""
    rng, index = np.random.default_rng(0), 0
    expected = frozenset({Channel.CAMERA, Channel.LIDAR, Channel.DETECTIONS})
    assembler = FrameAssembler(AssemblerSettings(), expected=expected)
    with BagReader(shared / "data" / "kitti_a") as reader:
        for item in reader.messages():
            value = item.value
            if isinstance(value, PointCloud) and edit is not None:
                xyz = edit(index / 10, value.xyz, rng).astype(np.float32)
                value = PointCloud(value.stamp_ns, value.frame_id, xyz)
            index += isinstance(value, PointCloud)
            assembler.add(item.channel, value, item.log_ns)
            if isinstance(value, Image):
                assembler.add(Channel.DETECTIONS, Detections.empty(value.stamp_ns, CLASSES), item.log_ns)
            yield from assembler.poll(item.log_ns)
        yield from assembler.flush(item.log_ns)


def alarms(frames: Iterable[Frame]) -> list[tuple[float, Alarm]]:
    """Every alarm of a fresh monitor with all its checks, with seconds since the first frame."""
    monitor, out, start = Monitor(MonitorSettings(calibration="none")), [], None
    for frame in frames:
        start = frame.stamp_ns if start is None else start
        found = monitor.step(frame).alarms
        out += [((frame.stamp_ns - start) * 1e-9, alarm) for alarm in found]
    return out


def by(found: Sequence[tuple[float, Alarm]]) -> set[str]:
    """The names of the checks that alarmed."""
    return {alarm.check for _, alarm in found}


def spoofed(xyz: np.ndarray, low: Sequence[float], high: Sequence[float], arriving: np.ndarray) -> np.ndarray:
    """Move points forward on their rays to where these enter a box from `low` to `high`."""
    ray = xyz / np.linalg.norm(xyz, axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = np.asarray(low) / ray, np.asarray(high) / ray
    enter, leave = np.minimum(a, b).max(1), np.maximum(a, b).min(1)
    hit = (enter <= leave) & (enter > 0) & (enter < np.linalg.norm(xyz, axis=1)) & arriving
    return np.where(hit[:, None], ray * np.where(hit, enter, 0.0)[:, None], xyz)


def rain(t: float, xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Drops: two in a hundred rays come back from somewhere near, one in ten not at all."""
    distance = np.linalg.norm(xyz, axis=1, keepdims=True)
    drop = rng.random((len(xyz), 1)) < 0.02
    near = xyz / distance * np.minimum(rng.uniform(2, 15, (len(xyz), 1)), distance)
    return np.where(drop, near, xyz)[rng.random(len(xyz)) > 0.1]


def wet_road(t: float, xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The road mirrors: the farther, the fewer rays come back from it."""
    ground = xyz[:, 2] < -LIDAR_HEIGHT + 0.1
    lost = rng.random(len(xyz)) < np.clip(np.hypot(xyz[:, 0], xyz[:, 1]) / 30.0, 0.0, 0.95)
    return xyz[~(ground & lost)]


def _actors(bodies: Sequence[Body], seconds: float) -> Iterator[Actor]:
    time = np.arange(-0.2, seconds + 0.2, 0.05)
    for i, body in enumerate(bodies):
        if body.solid:
            width, height, length = body.size
            place = np.array([body.at(float(t)) for t in time])
            path = Trajectory(time, np.column_stack([place[:, 1], -place[:, 0]]), np.zeros(len(time)))
            box = Box((0.0, -width / 2, 0.15), (length, width / 2, height))
            yield Actor(i, "car", (length, width, height), path, ((),), (box,))


def _boxes(bodies: Sequence[Body], t: float, stamp: int, rng: np.random.Generator) -> Detections:
    rows, labels = [], []
    for body in bodies:
        if body.label is not None and body.boxed(t):
            (x, z), (w, h, _) = body.at(t), body.size
            u0, u1 = ((x + s * w / 2) * FOCAL / z + 620.0 for s in (-1, 1))
            v0, v1 = ((CAMERA_HEIGHT - y) * FOCAL / z + 175.0 for y in (h, 0.0))
            rows.append(np.array([u0, v0, u1, v1]) + rng.normal(0, 0.01 * (u1 - u0), 4))
            labels.append(CLASSES.index(body.label))
    xyxy = np.clip(np.array(rows).reshape(-1, 4), 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32)
    score = np.full(len(rows), 0.85, np.float32)
    return Detections(stamp, xyxy, score, np.array(labels, np.int32), CLASSES)


def _frame(stamp: int, cloud: PointCloud, boxes: Detections, rig: Rig) -> Frame:
    seen = {Channel.DETECTIONS: stamp, Channel.LIDAR: stamp}
    return Frame(stamp, stamp, None, boxes, cloud, rig=rig, last_stamp_ns=seen, last_seen_ns=seen)
