"""What the LiDAR sees: rays against boxes and ground, with noise, drop-out, rain and occlusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeguard.compiled import loops
from edgeguard.sim.world import BACKGROUND, Scene
from edgeguard.types import F32, F64, I32

ROAD_REFLECTIVITY = 0.18
_WET_ROAD = 0.15
"""Share of the road's reflectivity that is left in rain: water mirrors the beam away."""
_LEAST_STRENGTH = 0.004
_DROP_RANGE_M = (1.0, 12.0)
_MARGIN = np.deg2rad(1.0)


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
        self._elevation: F64 = np.deg2rad(np.array(scene.lidar.elevation_deg))
        self._azimuth: F64 = np.deg2rad(np.arange(-180.0, 180.0, scene.lidar.azimuth_step_deg))
        high = self._elevation[:, None]
        level, across = np.cos(high) * np.cos(self._azimuth), np.cos(high) * np.sin(self._azimuth)
        up = np.broadcast_to(np.sin(high), level.shape)
        self._rays: F32 = np.stack([level, across, up]).astype(np.float32)
        self._solids = _Solids(scene)

    def sweep(self, index: int) -> Sweep:
        """Return the sweep of a frame: all rays at one instant."""
        scene, t = self.scene, self.scene.time(index)
        mount = np.eye(4)
        mount[:3, 3] = scene.lidar_xyz
        pose = scene.ego_matrix(t) @ mount
        hit = _Hits(self._rays.shape[1:])
        self._ground(pose, hit)
        solids, to_box = self._solids, self._solids.to_box(t) @ pose
        rows, sectors = self._parts(to_box)
        to_box = to_box.astype(np.float32)
        for i in np.flatnonzero(rows[:, 1] > rows[:, 0]):
            for sector in sectors[i]:
                where = (slice(*rows[i]), sector)
                loops.cast(
                    self._rays[(slice(None), *where)], to_box[i], solids.low[i], solids.high[i],
                    solids.reflectivity[i], solids.owner[i], *hit.parts(where),
                )  # fmt: skip
        return self._measure(hit, np.random.default_rng([scene.seed, 4, index]))

    def _ground(self, pose: F64, hit: _Hits) -> None:
        """Carriageway and pavement: two level planes, parted at the kerb."""
        rotation, origin = pose[:3, :3].astype(np.float32), pose[:3, 3].astype(np.float32)
        x, y, z = self._rays
        down, side, ahead = (rotation[i, 0] * x + rotation[i, 1] * y + rotation[i, 2] * z for i in (2, 1, 0))
        wet = _WET_ROAD if self.scene.weather.rain_mm_h > 0 else 1.0
        with np.errstate(divide="ignore", invalid="ignore"):
            for height, walk in ((0.0, False), (self.scene.kerb_height, True)):
                range_m = np.where(down < 0, (height - origin[2]) / down, np.float32(np.inf))
                beyond = np.abs(origin[1] + range_m * side) > self.scene.kerb_y
                for start, end in self.scene.junctions:
                    along = origin[0] + range_m * ahead
                    beyond &= (along < start) | (along > end)
                range_m = np.where(beyond == walk, range_m, np.float32(np.inf))
                reflectivity = wet * ROAD_REFLECTIVITY * (1.6 if walk else 1.0)
                hit.add((slice(None), slice(None)), range_m, -down, reflectivity, BACKGROUND)

    def _parts(self, to_box: F64) -> tuple[NDArray[np.intp], list[list[slice]]]:
        """Return which rays may hit each box: (B, 2) beams from and to, and sectors of azimuth."""
        low, high = self._solids.low, self._solids.high
        rotation, origin = to_box[:, :3, :3], to_box[:, :3, 3]
        away = np.maximum(np.maximum(low - origin, origin - high), 0.0)[:, :2]
        near = np.hypot(*away.T)
        corners = np.stack([np.stack([x[:, 0], y[:, 1]], 1) for x in (low, high) for y in (low, high)], 1)
        apart = corners - origin[:, None, :2]
        seen = np.einsum("bji,bkj->bki", rotation[:, :2, :2], apart)
        far = np.linalg.norm(apart, axis=2).max(1)
        bottom, top = low[:, 2] - origin[:, 2], high[:, 2] - origin[:, 2]
        lowest = np.arctan2(bottom, np.where(bottom < 0, near, far)) - _MARGIN
        highest = np.arctan2(top, np.where(top > 0, near, far)) + _MARGIN
        inside = (self._elevation >= lowest[:, None]) & (self._elevation <= highest[:, None])
        inside &= (near < self.scene.lidar.max_range_m)[:, None]
        first, n = inside.argmax(1), inside.shape[1]
        last = np.where(inside.any(1), n - inside[:, ::-1].argmax(1), first)
        return np.stack([first, last], 1), self._sectors(seen)

    def _sectors(self, seen: F64) -> list[list[slice]]:
        """Azimuth columns that (B, 4, 2) corners of boxes span; two slices where one lies across the seam."""
        middle = np.arctan2(seen[:, :, 1].mean(1), seen[:, :, 0].mean(1))
        offset = np.arctan2(seen[:, :, 1], seen[:, :, 0]) - middle[:, None]
        offset = (offset + np.pi) % (2 * np.pi) - np.pi
        n, step = len(self._azimuth), np.deg2rad(self.scene.lidar.azimuth_step_deg)
        starts = np.floor((middle + offset.min(1) + np.pi) / step).astype(int) - 1
        stops = np.ceil((middle + offset.max(1) + np.pi) / step).astype(int) + 2
        around = np.ptp(offset, axis=1) > np.pi * 0.9
        out = []
        for start, stop, whole in zip(starts.tolist(), stops.tolist(), around.tolist()):
            if whole:
                out.append([slice(0, n)])
            elif start < 0:
                out.append([slice(start + n, n), slice(0, stop)])
            elif stop > n:
                out.append([slice(start, n), slice(0, stop - n)])
            else:
                out.append([slice(start, stop)])
        return out

    def _measure(self, hit: _Hits, rng: np.random.Generator) -> Sweep:
        model, weather = self.scene.lidar, self.scene.weather
        lost = rng.random(hit.range_m.shape) < model.drop_out
        noise = rng.normal(0.0, model.range_sigma_m, hit.range_m.shape).astype(np.float32)
        if weather.rain_mm_h > 0:
            self._drops(hit, rng)
        # A return fades with the square of the range; what is dark, slanted and far is lost.
        strength = hit.intensity * np.minimum(1.0, (45.0 / np.maximum(hit.range_m, 1.0)) ** 2)
        # Rain takes about 0.3 R^0.65 per km, haze 3 over its visibility; there and back.
        extinction = 3e-4 * weather.rain_mm_h**0.65 + 3.0 / weather.visibility_m
        strength = strength * np.exp(np.float32(-2.0 * extinction) * np.minimum(hit.range_m, np.float32(1e3)))
        back = (hit.range_m < model.max_range_m) & ~lost & (strength > _LEAST_STRENGTH)
        xyz = (self._rays[:, back] * (hit.range_m + noise)[back]).T
        beams = np.arange(len(self._elevation), dtype=np.uint16)
        ring = np.broadcast_to(beams[:, None], back.shape)[back]
        return Sweep(np.ascontiguousarray(xyz), hit.intensity[back].astype(np.float32), ring, hit.owner[back])

    def _drops(self, hit: _Hits, rng: np.random.Generator) -> None:
        """Let some rays end on a drop near by: the more rain the more, the farther the fewer."""
        struck = rng.random(hit.range_m.shape) < 3e-4 * self.scene.weather.rain_mm_h**0.8
        near, far = _DROP_RANGE_M
        nearness = rng.uniform(1 / far, 1 / near, hit.range_m.shape)
        range_m = np.where(struck, 1.0 / nearness, np.inf).astype(np.float32)
        cosine = np.zeros(range_m.shape, np.float32)
        hit.add((slice(None), slice(None)), range_m, cosine, 0.1, BACKGROUND)


class _Solids:
    """All boxes of a scene, as parallel arrays."""

    def __init__(self, scene: Scene) -> None:
        owned = [(BACKGROUND, b) for b in scene.boxes]
        owned += [(actor.actor_id, b) for actor in scene.actors for b in actor.boxes]
        self.low: F32 = np.array([b.low for _, b in owned], np.float32).reshape(-1, 3)
        self.high: F32 = np.array([b.high for _, b in owned], np.float32).reshape(-1, 3)
        self.reflectivity = [b.reflectivity for _, b in owned]
        self.owner = [owner for owner, _ in owned]
        self._scene = scene
        self._fixed: F64 = np.tile(np.eye(4), (len(owned), 1, 1))
        self._moving: list[tuple[int, slice]] = []
        start = len(scene.boxes)
        for k, actor in enumerate(scene.actors):
            own = slice(start, start + len(actor.boxes))
            self._fixed[own] = np.linalg.inv(scene.actor_matrix(actor, 0.0))
            if actor.trajectory.moves:
                self._moving.append((k, own))
            start = own.stop

    def to_box(self, t: float) -> F64:
        """Return (B, 4, 4) matrices from the world to each box's own frame at `t`."""
        out = self._fixed.copy()
        if self._moving:
            actors = self._scene.actors
            poses = np.linalg.inv(np.stack([self._scene.actor_matrix(actors[k], t) for k, _ in self._moving]))
            for pose, (_, own) in zip(poses, self._moving):
                out[own] = pose
        return out


class _Hits:
    """Per ray: the nearest thing so far."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.range_m: F32 = np.full(shape, np.inf, np.float32)
        self.intensity: F32 = np.zeros(shape, np.float32)
        self.owner: I32 = np.full(shape, BACKGROUND, np.int32)

    def parts(self, where: tuple[slice, slice]) -> tuple[F32, F32, I32]:
        """Return the rays' ranges, intensities and owners, to be written to."""
        return self.range_m[where], self.intensity[where], self.owner[where]

    def add(
        self, where: tuple[slice, slice], range_m: F32, cosine: F32, reflectivity: float, owner: int
    ) -> None:
        nearer = range_m < self.range_m[where]
        np.copyto(self.range_m[where], range_m, where=nearer)
        np.copyto(self.intensity[where], reflectivity * (0.3 + 0.7 * cosine), where=nearer)
        np.copyto(self.owner[where], np.int32(owner), where=nearer)
