"""What stands and moves in the world, and where: everything that a sensor can see, from one seed.

World frame: x along the street, y left, z up, metres; the carriageway is z = 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from edgeguard.errors import EdgeGuardError
from edgeguard.rig import CameraModel
from edgeguard.sim.conditions import Light, Weather
from edgeguard.sim.sensors import Imager, LidarModel, RadarModel
from edgeguard.sim.trajectory import Trajectory
from edgeguard.types import F64, U8

BACKGROUND = -1
FACES = {"rear": (-1, 0), "front": (1, 0), "left": (0, 1), "right": (0, -1)}
"""The way that each side of an actor looks, in its own frame."""


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
        glow: light of its own, 0 (lit by the world) to 1 (as bright as its texture, whatever the light).
    """

    texture: U8
    origin: F64
    u: F64
    v: F64
    outline: F64
    owner: int = BACKGROUND
    one_sided: bool = True
    glow: float = 0.0


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
        kerb_y: the kerb's distance from the middle of the road, metres; beyond, ground is `kerb_height`.
        junctions: (x from, x to) where a side road crosses: no kerb there.
        imager: how the camera's sensor turns light into an image.
        light: what lights the world.
        weather: what is in the air.
        radar: radar model; frame `radar`, x forward.
        radar_xyz: radar in `base_link`, metres.
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
    kerb_y: float = 6.0
    kerb_height: float = 0.14
    junctions: tuple[tuple[float, float], ...] = ()
    imager: Imager = field(default_factory=Imager)
    light: Light = field(default_factory=Light)
    weather: Weather = field(default_factory=Weather)
    radar: RadarModel = field(default_factory=RadarModel)
    radar_xyz: tuple[float, float, float] = (2.3, 0.0, 0.55)

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
        """Return the (4, 4) pose of an actor in the world at `t`, not to be written to."""
        return _actor_matrix(actor.trajectory, actor.ground, t)

    def with_print(
        self,
        actor_id: int,
        texture: U8,
        *,
        size_m: tuple[float, float],
        center_m: tuple[float, float] = (0.0, 0.6),
        face: str = "rear",
        glow: float = 0.0,
    ) -> Scene:
        """Return this scene with a picture printed on an actor: it moves, is lit and is hidden with it.

        Args:
            actor_id: whom to print on.
            texture: (H, W, 4) uint8 BGRA; alpha cuts its outline.
            size_m: its width and height.
            center_m: its middle: to the right of the actor's middle as one looks at the face, and up from
                the ground.
            face: `rear`, `front`, `left` or `right`. Flat figures show every print to the viewer.
            glow: light of its own, as of a screen.

        Raises:
            EdgeGuardError: there is no such actor or face, or the picture or its size is none.
        """
        actor = next((a for a in self.actors if a.actor_id == actor_id), None)
        if actor is None:
            known = ", ".join(str(a.actor_id) for a in self.actors) or "none"
            raise EdgeGuardError(f"scene {self.name!r}: has no actor {actor_id}. Choose one of: {known}")
        if face not in FACES:
            raise EdgeGuardError(f"face {face!r}: unknown. Choose one of: {', '.join(FACES)}")
        normal = np.array([*FACES[face], 0.0])
        depth = 0.0 if actor.faces_camera else abs(float(normal[:2] @ actor.size[:2])) / 2
        if actor.faces_camera:
            normal = np.array([-1.0, 0.0, 0.0])
        right = np.cross(-normal, (0, 0, 1))
        center = normal * (depth + _PRINT_GAP_M) + right * center_m[0] + np.array([0, 0, center_m[1]])
        picture = hung(texture, center, right, size_m, owner=actor_id, glow=glow)
        printed = replace(actor, surfaces=tuple((*faces, picture) for faces in actor.surfaces))
        return replace(self, actors=tuple(printed if a is actor else a for a in self.actors))

    def with_board(
        self,
        texture: U8,
        *,
        xy: tuple[float, float],
        size_m: tuple[float, float],
        bottom_m: float = 0.0,
        yaw: float = np.pi,
        glow: float = 0.0,
    ) -> Scene:
        """Return this scene with a picture on an upright board (or screen, with `glow`) in the world.

        LiDAR and radar hit the board; it has no identity in the truth.

        Args:
            texture: (H, W, 4) uint8 BGRA; alpha cuts its outline.
            xy: its middle in the world, metres.
            size_m: its width and height.
            bottom_m: its lower edge above the carriageway.
            yaw: the way that it faces, radians; the default faces who drives along x.
            glow: light of its own.

        Raises:
            EdgeGuardError: the picture or its size is none.
        """
        normal = np.array([np.cos(yaw), np.sin(yaw), 0.0])
        right = np.cross(-normal, (0, 0, 1))
        center = np.array([*xy, bottom_m + size_m[1] / 2])
        picture = hung(texture, center, right, size_m, glow=glow)
        half = np.abs(right[:2]) * size_m[0] / 2 + 0.02
        low, high = center[:2] - half, center[:2] + half
        box = Box(
            (float(low[0]), float(low[1]), bottom_m), (float(high[0]), float(high[1]), bottom_m + size_m[1])
        )
        return replace(self, surfaces=(*self.surfaces, picture), boxes=(*self.boxes, box))

    def with_road_print(
        self, texture: U8, *, xy: tuple[float, float], size_m: tuple[float, float], glow: float = 0.0
    ) -> Scene:
        """Return this scene with a picture flat on the road, upright for who drives along x.

        Args:
            texture: (H, W, 4) uint8 BGRA; alpha cuts its outline.
            xy: its middle in the world, metres.
            size_m: its width across the road and its length along it.
            glow: light of its own, as of a projector's.

        Raises:
            EdgeGuardError: the picture or its size is none.
        """
        center = np.array([*xy, _PRINT_GAP_M])
        picture = hung(texture, center, np.array([0.0, -1.0, 0.0]), size_m, up=(1.0, 0.0, 0.0), glow=glow)
        return replace(self, surfaces=(*self.surfaces, picture))


_PRINT_GAP_M = 0.01


def hung(
    texture: U8,
    center: F64,
    right: F64,
    size_m: tuple[float, float],
    *,
    up: tuple[float, float, float] = (0.0, 0.0, 1.0),
    owner: int = BACKGROUND,
    glow: float = 0.0,
) -> Surface:
    """Return a rectangular picture around `center`, `right` and `up` being the viewer's.

    Raises:
        EdgeGuardError: the picture or its size is none.
    """
    if texture.dtype != np.uint8 or texture.ndim != 3 or texture.shape[2] != 4 or 0 in texture.shape:
        raise EdgeGuardError(f"print: expected (H, W, 4) uint8 BGRA, got {texture.shape} {texture.dtype}")
    if not min(size_m) > 0:
        raise EdgeGuardError(f"print: its size is {size_m[0]} m by {size_m[1]} m. Both must be above 0")
    u, v = right * size_m[0], -np.array(up) * size_m[1]
    outline = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    return Surface(texture, center - u / 2 - v / 2, u, v, outline, owner, glow=glow)


@lru_cache(4096)
def _actor_matrix(trajectory: Trajectory, ground: float, t: float) -> F64:
    """All sensors ask where everybody is at the same few moments of a frame."""
    x, y, yaw = trajectory.pose(t)
    pose = matrix(x, y, ground, yaw)
    pose.setflags(write=False)
    return pose


def matrix(x: float, y: float, z: float, yaw: float, pitch: float = 0.0) -> F64:
    """Return the (4, 4) matrix of a position (metres), a yaw and then a pitch (radians)."""
    c, s, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    rows = [[c * cp, -s, c * sp, x], [s * cp, c, s * sp, y], [-sp, 0.0, cp, z], [0.0, 0.0, 0.0, 1.0]]
    return np.array(rows, np.float64)
