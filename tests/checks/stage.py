"""A small stage for checks: things that move as told, boxed by a noisy camera and, if asked, by LiDAR.

It stands in for a detector's output only; where pixels matter, tests render or take real images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.rig import CameraModel, Rig
from edgeguard.types import Channel, Detections, Detections3D, EgoMotion, Frame, Image
from edgeguard.verdict import Alarm, Level

WIDTH, HEIGHT, FOCAL, CAMERA_HEIGHT = 1242, 375, 720.0, 1.65
CLASSES = ("car", "person", "bicycle", "stop sign", "truck")
_K = np.array([[FOCAL, 0, 620.0], [0, FOCAL, 175.0], [0, 0, 1]])
_BASE = np.array([[0, -1, 0, 0], [0, 0, -1, 1.65], [1, 0, 0, 0], [0, 0, 0, 1]], np.float64)
RIG = Rig(CameraModel("camera_optical", WIDTH, HEIGHT, _K), {"camera_optical": np.eye(4), "base_link": _BASE})
START_NS = 1_700_000_000_000_000_000


@dataclass(frozen=True)
class Thing:
    """Something on the road: x right and z ahead of the camera (m) over time (s)."""

    label: str
    at: Callable[[float], tuple[float, float]]
    width: float = 1.7
    height: float = 1.5
    length: float = 4.0
    score: Callable[[float], float] = lambda t: 0.9
    scale: Callable[[float], float] = lambda t: 1.0
    shift_px: Callable[[float], float] = lambda t: 0.0
    raised_m: float = 0.0

    def box(self, t: float) -> np.ndarray:
        """Its box in the image, the attacks on it included."""
        x, z = self.at(t)
        foot = CAMERA_HEIGHT - self.raised_m
        face = max(z - self.length / 2, 1.0)
        u0, u1 = ((x + s * self.width / 2) * FOCAL / face + 620.0 + self.shift_px(t) for s in (-1, 1))
        bottom = foot * FOCAL / face + 175.0
        top = bottom - self.height * self.scale(t) * FOCAL / face
        middle, half = (u0 + u1) / 2, (u1 - u0) / 2 * self.scale(t)
        return np.array([middle - half, top, middle + half, bottom])


def hazy(visibility_m: float, since: float = 0.0, clear_m: float = 20e3) -> Callable[[float], np.ndarray]:
    """Give a street of dark and bright things over time, through air of some visibility from `since` on."""
    below = np.maximum(np.arange(HEIGHT) - 175.0, 1e-3)
    depth = np.minimum(FOCAL * CAMERA_HEIGHT / below, 80.0)[:, None, None]
    things = np.where(np.arange(WIDTH) // 25 % 3, 140.0, 12.0)[None, :, None]

    def image(t: float) -> np.ndarray:
        through = np.exp(-np.log(20.0) / (visibility_m if t >= since else clear_m) * depth)
        # Sensors have noise: without any, a picture is a still one.
        seen = things + np.random.default_rng(round(10 * t)).normal(0.0, 2.0, (HEIGHT, WIDTH, 1))
        return np.clip(np.repeat(seen * through + 205.0 * (1.0 - through), 3, 2), 0, 255).astype(np.uint8)

    return image


def drive(
    things: Sequence[Thing],
    seconds: float,
    *,
    lidar: bool = True,
    own_speed: float | None = None,
    seed: int = 0,
    image: Callable[[float], np.ndarray] | None = None,
    rate_hz: float = 10.0,
) -> Iterable[Frame]:
    """Give the frames of a drive; boxes jitter by a hundredth of their size."""
    rng = np.random.default_rng(seed)
    for i in range(round(seconds * rate_hz)):
        t, stamp = i / rate_hz, START_NS + round(i * 1e9 / rate_hz)
        clean = np.array([thing.box(t) for thing in things]).reshape(-1, 4)
        size = np.tile(clean[:, 2:] - clean[:, :2], 2)
        xyxy = clean + rng.normal(0, 1, clean.shape) * (0.01 * size + 0.3)
        inside = np.clip(xyxy, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]).astype(np.float32)
        score = np.array([thing.score(t) for thing in things], np.float32)
        label = np.array([CLASSES.index(thing.label) for thing in things], np.int32)
        place = [thing.at(t) for thing in things]
        yield Frame(
            stamp,
            stamp,
            Image(stamp, "camera_optical", image(t)) if image is not None else None,
            Detections(stamp, inside, score, label, CLASSES),
            lidar_detections=_lidar(stamp, things, place, label, rng) if lidar else None,
            ego=EgoMotion(stamp, np.array([own_speed, 0, 0.0]), np.zeros(3))
            if own_speed is not None
            else None,
            rig=RIG,
            last_stamp_ns={Channel.DETECTIONS: stamp},
            last_seen_ns={Channel.DETECTIONS: stamp},
        )


def _lidar(
    stamp: int,
    things: Sequence[Thing],
    place: list[tuple[float, float]],
    label: np.ndarray,
    rng: np.random.Generator,
) -> Detections3D:
    n = len(things)
    center = np.array([[x, CAMERA_HEIGHT - b.raised_m - b.height / 2, z] for b, (x, z) in zip(things, place)])
    return Detections3D(
        stamp,
        "camera_optical",
        center.reshape(-1, 3) + rng.normal(0, 0.03, (n, 3)),
        np.array([[b.width, b.height, b.length] for b in things]).reshape(-1, 3),
        np.tile([0.0, 0.0, 0.0, 1.0], (n, 1)),
        np.full(n, 0.95, np.float32),
        label,
        CLASSES,
    )


def alarms(frames: Iterable[Frame], *, above: Level = Level.NOMINAL) -> list[tuple[float, Alarm]]:
    """Every alarm of a fresh monitor with all its checks, with seconds since the first frame."""
    monitor, out = Monitor(MonitorSettings(calibration="none")), []
    for frame in frames:
        seconds = (frame.stamp_ns - START_NS) * 1e-9
        out += [(seconds, alarm) for alarm in monitor.step(frame).alarms if alarm.level >= above]
    return out


def by(found: Sequence[tuple[float, Alarm]]) -> set[str]:
    """The names of the checks that alarmed."""
    return {alarm.check for _, alarm in found}
