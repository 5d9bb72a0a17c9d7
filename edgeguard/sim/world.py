"""What stands and moves in the world, and where: everything that a sensor can see, from one seed.

World frame: x along the street, y left, z up, metres; the carriageway is z = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeguard.rig import CameraModel
from edgeguard.types import F64, U8

BACKGROUND = -1


@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """Where something is over time, linear between way points.

    Attributes:
        t: (K,) seconds, rising.
        xy: (K, 2) metres.
        yaw: (K,) radians.
    """

    t: F64
    xy: F64
    yaw: F64

    @classmethod
    def standing(cls, x: float, y: float, yaw: float = 0.0) -> Trajectory:
        return cls(np.array([0.0]), np.array([[x, y]]), np.array([yaw]))

    @classmethod
    def along(cls, start: tuple[float, float], yaw: float, t: F64, speed: F64) -> Trajectory:
        """Go straight from `start` at `speed` (m/s) over `t` (s)."""
        way = np.concatenate([[0.0], np.cumsum(np.diff(t) * (speed[1:] + speed[:-1]) / 2)])
        xy = np.array(start) + way[:, None] * np.array([np.cos(yaw), np.sin(yaw)])
        return cls(t, xy, np.full(len(t), yaw))

    def pose(self, t: float) -> tuple[float, float, float]:
        """Return x, y (metres) and yaw (radians) at `t`."""
        x, y = (float(np.interp(t, self.t, self.xy[:, i])) for i in (0, 1))
        return x, y, float(np.interp(t, self.t, self.yaw))

    def speed(self, t: float, dt: float = 0.05) -> float:
        """Return the speed at `t`, m/s."""
        a, b = self.pose(t - dt / 2), self.pose(t + dt / 2)
        return float(np.hypot(b[0] - a[0], b[1] - a[1]) / dt)


@dataclass(frozen=True, slots=True, eq=False)
class Surface:
    """A flat picture in space.

    Attributes:
        texture: (H, W, 4) uint8 BGRA.
        origin: (3,) where its top left corner is.
        u: (3,) the way to its top right corner.
        v: (3,) the way to its bottom left corner.
        outline: (K, 2) corners in shares of u and v; convex.
        owner: the actor that it belongs to, or `BACKGROUND`.
        one_sided: it is not seen from behind.
    """

    texture: U8
    origin: F64
    u: F64
    v: F64
    outline: F64
    owner: int = BACKGROUND
    one_sided: bool = True


@dataclass(frozen=True, slots=True)
class Box:
    """A solid that stops rays: in the frame of its actor, or of the world for background.

    Attributes:
        low, high: opposite corners, metres.
        reflectivity: 0 to 1.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]
    reflectivity: float = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Actor:
    """Something with an identity.

    Attributes:
        actor_id: unique in the scene, 0 and up.
        label: `car`, `person` or `stop sign`.
        size: length, width, height, metres.
        trajectory: pose of its foot point.
        surfaces: per gait phase, in its own frame (x forward, y left, z up, origin on the ground).
        boxes: what rays hit, in its own frame.
        ground: height of the ground under it, metres.
        stride_m: distance after which the next gait phase shows; 0 has one phase.
        faces_camera: it turns its face to the viewer (a flat figure).
    """

    actor_id: int
    label: str
    size: tuple[float, float, float]
    trajectory: Trajectory
    surfaces: Sequence[Sequence[Surface]]
    boxes: tuple[Box, ...]
    ground: float = 0.0
    stride_m: float = 0.0
    faces_camera: bool = False


@dataclass(frozen=True, slots=True)
class LidarModel:
    """A spinning LiDAR.

    Attributes:
        elevation_deg: one beam each, degrees above its horizon.
        azimuth_step_deg: degrees between two firings.
        max_range_m: nothing comes back from farther.
        range_sigma_m: standard deviation of range.
        drop_out: share of returns lost at random.
    """

    elevation_deg: tuple[float, ...] = tuple(np.r_[3.0:-9.0:24j, -10.5:-25.0:8j].tolist())
    azimuth_step_deg: float = 0.4
    max_range_m: float = 90.0
    range_sigma_m: float = 0.02
    drop_out: float = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A drive through a world.

    Attributes:
        name, seed: what `build_scene` was asked for.
        duration_s, rate_hz: length and camera rate.
        start_ns: header stamp of the first image.
        ego: pose of `base_link` on the ground.
        actors: what has an identity.
        surfaces: the background.
        boxes: the background's solids.
        sky: (H, W, 3) uint8 BGR.
        camera: camera model; `camera_optical`.
        camera_xyz: camera in `base_link`, metres; it looks along x.
        lidar: LiDAR model; frame `lidar`, x forward.
        lidar_xyz: LiDAR in `base_link`, metres.
        pitch_deg: amplitude of the body's pitching.
        noise_sigma: image noise, grey values.
        kerb_y: the kerb's distance from the middle of the road, metres; beyond, ground is `kerb_height`.
    """

    name: str
    seed: int
    duration_s: float
    ego: Trajectory
    actors: tuple[Actor, ...]
    surfaces: tuple[Surface, ...]
    boxes: tuple[Box, ...]
    sky: U8
    camera: CameraModel
    rate_hz: float = 10.0
    start_ns: int = 1_700_000_000_000_000_000
    camera_xyz: tuple[float, float, float] = (1.2, 0.0, 1.45)
    lidar: LidarModel = field(default_factory=LidarModel)
    lidar_xyz: tuple[float, float, float] = (0.9, 0.0, 1.75)
    pitch_deg: float = 0.15
    noise_sigma: float = 2.0
    kerb_y: float = 6.0
    kerb_height: float = 0.14

    @property
    def n_frames(self) -> int:
        return round(self.duration_s * self.rate_hz)

    def time(self, index: int) -> float:
        """Return the time of a frame since the start, seconds."""
        return index / self.rate_hz

    def stamp_ns(self, index: int) -> int:
        return self.start_ns + round(index * 1e9 / self.rate_hz)

    def ego_matrix(self, t: float) -> F64:
        """Return the (4, 4) pose of `base_link` in the world at `t`, pitching included."""
        x, y, yaw = self.ego.pose(t)
        return matrix(x, y, 0.0, yaw, np.deg2rad(self.pitch(t)))

    def pitch(self, t: float) -> float:
        """Return the body's pitch at `t`, degrees, nose down positive."""
        phase = self.seed % 7
        return self.pitch_deg * float(np.sin(7.1 * t + phase) + 0.5 * np.sin(17.3 * t + 2 * phase)) / 1.5

    def actor_matrix(self, actor: Actor, t: float) -> F64:
        """Return the (4, 4) pose of an actor in the world at `t`."""
        x, y, yaw = actor.trajectory.pose(t)
        return matrix(x, y, actor.ground, yaw)


def matrix(x: float, y: float, z: float, yaw: float, pitch: float = 0.0) -> F64:
    """Return the (4, 4) matrix of a position (metres), a yaw and then a pitch (radians)."""
    c, s, cp, sp = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch)
    out = np.eye(4)
    out[:3, :3] = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.array(
        [[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]]
    )
    out[:3, 3] = (x, y, z)
    return out
