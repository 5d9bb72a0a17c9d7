"""What the LiDAR sees: rays against boxes and ground, with noise, drop-out and occlusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeguard.sim.world import BACKGROUND, Box, Scene
from edgeguard.types import F32, F64, I32

ROAD_REFLECTIVITY = 0.18


@dataclass(frozen=True, slots=True, eq=False)
class Sweep:
    """One turn of the LiDAR, as parallel arrays over returns.

    Attributes:
        xyz: (N, 3) float32, metres, frame `lidar`.
        intensity: (N,) float32, 0 to 1.
        ring: (N,) uint16, the beam, 0 is the highest.
        owner: (N,) int32, the actor that was hit or `BACKGROUND`: truth, not measured.
    """

    xyz: F32
    intensity: F32
    ring: NDArray[np.uint16]
    owner: I32


class RayCaster:
    """Casts the sweeps of a scene; any frame, in any order, always the same."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        model = scene.lidar
        elevation = np.deg2rad(np.array(model.elevation_deg))[:, None]
        self._azimuth: F64 = np.deg2rad(np.arange(-180.0, 180.0, model.azimuth_step_deg))
        self._rays: F32 = np.stack(
            np.broadcast_arrays(
                np.cos(elevation) * np.cos(self._azimuth),
                np.cos(elevation) * np.sin(self._azimuth),
                np.sin(elevation),
            ),
            -1,
        ).astype(np.float32)

    def sweep(self, index: int) -> Sweep:
        """Return the sweep of a frame: all rays at one instant."""
        scene, t = self.scene, self.scene.time(index)
        mount = np.eye(4)
        mount[:3, 3] = scene.lidar_xyz
        pose = scene.ego_matrix(t) @ mount
        hit = _Hits(self._rays.shape[:2])
        self._ground(pose, hit)
        world = np.asarray(np.linalg.inv(pose), np.float64)
        for box in scene.boxes:
            self._box(box, world, BACKGROUND, hit)
        for actor in scene.actors:
            for box in actor.boxes:
                self._box(box, world @ scene.actor_matrix(actor, t), actor.actor_id, hit)
        return self._measure(hit, np.random.default_rng([scene.seed, 4, index]))

    def _ground(self, pose: F64, hit: _Hits) -> None:
        """Carriageway and pavement: two level planes, parted at the kerb."""
        rotation, origin = pose[:3, :3].astype(np.float32), pose[:3, 3].astype(np.float32)
        down = self._rays @ rotation[2]
        side = self._rays @ rotation[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            for height, walk in ((0.0, False), (self.scene.kerb_height, True)):
                range_m = np.where(down < 0, (height - origin[2]) / down, np.inf)
                beyond = np.abs(origin[1] + range_m * side) > self.scene.kerb_y
                range_m = np.where(beyond == walk, range_m, np.inf)
                hit.add(
                    (slice(None), slice(None)),
                    range_m,
                    -down,
                    ROAD_REFLECTIVITY * (1.6 if walk else 1.0),
                    BACKGROUND,
                )

    def _box(self, box: Box, to_lidar: F64, owner: int, hit: _Hits) -> None:
        """Slab method, on the rays of the box's own sector only."""
        low, high = np.array(box.low, np.float32), np.array(box.high, np.float32)
        corners = np.array([[x, y] for x in (low[0], high[0]) for y in (low[1], high[1])])
        middle = (low + high) / 2
        seen = corners @ to_lidar[:2, :2].T + to_lidar[:2, 3] + middle[2] * to_lidar[:2, 2]
        if np.hypot(*seen.T).min() > self.scene.lidar.max_range_m:
            return
        to_box = np.linalg.inv(to_lidar).astype(np.float32)
        origin = to_box[:3, 3]
        for sector in self._sectors(seen):
            rays = self._rays[:, sector] @ to_box[:3, :3].T
            with np.errstate(divide="ignore", invalid="ignore"):
                a, b = (low - origin) / rays, (high - origin) / rays
            near, far = np.minimum(a, b), np.maximum(a, b)
            enter = near.max(-1)
            range_m = np.where((enter <= far.min(-1)) & (enter > 0), enter, np.inf)
            axis = near.argmax(-1)
            cosine = np.abs(np.take_along_axis(rays, axis[..., None], -1)[..., 0])
            hit.add((slice(None), sector), range_m, cosine, box.reflectivity, owner)

    def _sectors(self, seen: F64) -> list[slice]:
        """Azimuth columns that the box's corners span; two slices where it lies across the seam behind."""
        middle = np.arctan2(*seen.mean(0)[::-1])
        offset = (np.arctan2(seen[:, 1], seen[:, 0]) - middle + np.pi) % (2 * np.pi) - np.pi
        n, step = len(self._azimuth), np.deg2rad(self.scene.lidar.azimuth_step_deg)
        if np.ptp(offset) > np.pi * 0.9:
            return [slice(0, n)]
        start = int(np.floor((middle + offset.min() + np.pi) / step)) - 1
        stop = int(np.ceil((middle + offset.max() + np.pi) / step)) + 2
        if start < 0:
            return [slice(start + n, n), slice(0, stop)]
        if stop > n:
            return [slice(start, n), slice(0, stop - n)]
        return [slice(start, stop)]

    def _measure(self, hit: _Hits, rng: np.random.Generator) -> Sweep:
        model = self.scene.lidar
        lost = rng.random(hit.range_m.shape) < model.drop_out
        noise = rng.normal(0.0, model.range_sigma_m, hit.range_m.shape).astype(np.float32)
        # A return fades with the square of the range; what is dark, slanted and far is lost.
        strength = hit.intensity * np.minimum(1.0, (45.0 / np.maximum(hit.range_m, 1.0)) ** 2)
        back = (hit.range_m < model.max_range_m) & ~lost & (strength > 0.004)
        xyz = self._rays[back] * (hit.range_m + noise)[back][:, None]
        ring = np.broadcast_to(np.arange(len(self._rays), dtype=np.uint16)[:, None], back.shape)[back]
        return Sweep(xyz.astype(np.float32), hit.intensity[back].astype(np.float32), ring, hit.owner[back])


class _Hits:
    """Per ray: the nearest thing so far."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.range_m: F32 = np.full(shape, np.inf, np.float32)
        self.intensity: F32 = np.zeros(shape, np.float32)
        self.owner: I32 = np.full(shape, BACKGROUND, np.int32)

    def add(
        self, where: tuple[slice, slice], range_m: F32, cosine: F32, reflectivity: float, owner: int
    ) -> None:
        nearer = range_m < self.range_m[where]
        np.copyto(self.range_m[where], range_m, where=nearer)
        np.copyto(self.intensity[where], reflectivity * (0.3 + 0.7 * cosine), where=nearer)
        np.copyto(self.owner[where], np.int32(owner), where=nearer)
