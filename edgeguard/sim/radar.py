"""What the radar sees: points that scatter, weighed by the radar equation, with range rate and clutter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeguard.sim.world import BACKGROUND, Actor, Box, Scene
from edgeguard.types import F32, F64, I32

_STEP_S = 0.01
_BEHIND_DB = -12.0
"""What is left of an echo from behind an actor: radar reaches under cars, over the road."""
_WALL_SPACING_M = 3.0
_WALL_DBSM = 0.0
_ACTOR_DBSM = {"car": 10.0, "person": -4.0, "stop sign": 3.0}
_CORNER_DB = -5.0
_CLUTTER_MPS = 15.0


@dataclass(frozen=True, slots=True, eq=False)
class Echoes:
    """One cycle of the radar, as parallel arrays over detections.

    Attributes:
        xyz: (N, 3) float32, metres, frame `radar`; z is 0, as the radar measures no elevation.
        range_rate: (N,) float32, m/s, negative when approaching, own motion included.
        snr: (N,) float32, dB.
        owner: (N,) int32, the actor that scattered or `BACKGROUND`: truth, not measured.
    """

    xyz: F32
    range_rate: F32
    snr: F32
    owner: I32


class _Scatterers(NamedTuple):
    """Points that scatter: where (N, 3), facing where (N, 3; 0 is every way), and how much (N,) dBsm."""

    xyz: F64
    normal: F64
    dbsm: F64


class Radar:
    """Measures the cycles of a scene; any frame, in any order, always the same.

    Power falls with the fourth power of range and fluctuates from cycle to cycle (Swerling's first case).
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        rng = np.random.default_rng([scene.seed, 7])
        walls = [_wall(box, rng) for box in scene.boxes]
        self._parts = [_scatterers(actor) for actor in scene.actors]
        parts = [(BACKGROUND, _joined(walls))]
        parts += [
            (actor.actor_id, _posed(p, scene.actor_matrix(actor, 0.0)))
            for actor, p in zip(scene.actors, self._parts)
        ]
        self._at_start = _joined([p for _, p in parts])
        self._owner: I32 = np.concatenate([np.full(len(p.xyz), owner, np.int32) for owner, p in parts])
        ends = np.cumsum([len(p.xyz) for _, p in parts]).tolist()
        self._own = [slice(a, b) for a, b in zip(ends, ends[1:])]
        self._solid = [
            (np.array([b.low for b in actor.boxes]), np.array([b.high for b in actor.boxes]))
            for actor in scene.actors
        ]
        self._reach: F64 = np.array([np.hypot(*actor.size[:2]) for actor in scene.actors]).reshape(-1, 1)
        self._low: F64 = np.array([b.low for b in scene.boxes]).reshape(-1, 3)
        self._high: F64 = np.array([b.high for b in scene.boxes]).reshape(-1, 3)

    def cycle(self, index: int) -> Echoes:
        """Return the detections of a frame, all at one instant."""
        scene, model, t = self.scene, self.scene.radar, self.scene.time(index)
        rng = np.random.default_rng([scene.seed, 6, index])
        pose, at = self._pose(t), self._world(t, range(len(scene.actors)))
        local = (at.xyz - pose[:3, 3]) @ pose[:3, :3]
        range_m, azimuth = np.linalg.norm(local, axis=1), np.arctan2(local[:, 1], local[:, 0])
        facing = np.einsum("ni,ni->n", at.normal, pose[:3, 3] - at.xyz) / np.maximum(range_m, 1e-6)
        facing = np.where(at.normal.any(axis=1), facing, 1.0)
        snr = model.snr_1m_db + at.dbsm - 40.0 * np.log10(np.maximum(range_m, 0.5))
        snr += 20.0 * np.log10(np.clip(facing, 0.1, 1.0))
        snr += 10.0 * np.log10(np.maximum(rng.exponential(1.0, len(snr)), 1e-3))
        # Rain, there and back: ITU-R P.838 at 77 GHz, 1.1 R^0.72 dB/km.
        snr -= 2e-3 * range_m * 1.1 * scene.weather.rain_mm_h**0.72
        seen = (np.abs(azimuth) < np.deg2rad(model.half_view_deg)) & (range_m < model.max_range_m)
        seen &= (facing > 0.05) & (snr > model.threshold_db)
        index_of = np.flatnonzero(seen)
        snr[index_of] += self._shadow_db(at.xyz[index_of], self._owner[index_of], pose[:3, 3], t)
        index_of = index_of[snr[index_of] > model.threshold_db]
        rate = self._range(t + _STEP_S / 2, index_of) - self._range(t - _STEP_S / 2, index_of)
        true = np.stack([range_m[index_of], azimuth[index_of], rate / _STEP_S, snr[index_of]])
        return self._measured(true, self._owner[index_of], rng)

    def _pose(self, t: float) -> F64:
        mount = np.eye(4)
        mount[:3, 3] = self.scene.radar_xyz
        return np.asarray(self.scene.ego_matrix(t) @ mount, np.float64)

    def _world(self, t: float, moved: Iterable[int]) -> _Scatterers:
        """Return all that scatters, in the world at `t`; actors not among `moved` are as at the start."""
        xyz, normal, dbsm = self._at_start.xyz.copy(), self._at_start.normal.copy(), self._at_start.dbsm
        for k in moved:
            if (actor := self.scene.actors[k]).trajectory.moves:
                own = self._own[k]
                xyz[own], normal[own], _ = _posed(self._parts[k], self.scene.actor_matrix(actor, t))
        return _Scatterers(xyz, normal, dbsm)

    def _range(self, t: float, index: NDArray[np.intp]) -> F64:
        seen = set(self._owner[index].tolist())
        moved = [k for k, actor in enumerate(self.scene.actors) if actor.actor_id in seen]
        away = self._world(t, moved).xyz[index] - self._pose(t)[:3, 3]
        return np.asarray(np.linalg.norm(away, axis=1), np.float64)

    def _shadow_db(self, xyz: F64, owner: I32, eye: F64, t: float) -> F64:
        """Return (N,) dB what is lost on the way to points: all behind walls, some behind actors."""
        # A point lies on its own wall: the way ends a little before it.
        short = eye + (xyz - eye) * 0.995
        if not len(xyz):
            return np.zeros(0)
        near, far = np.minimum(short.min(axis=0), eye), np.maximum(short.max(axis=0), eye)
        between = ((self._low <= far) & (self._high >= near)).all(axis=1)
        walled = _crossed(eye, short, self._low[between], self._high[between]).any(axis=1)
        db = np.where(walled, -np.inf, 0.0)
        poses = [self.scene.actor_matrix(actor, t) for actor in self.scene.actors]
        at = np.array([pose[:2, 3] for pose in poses]).reshape(-1, 2)
        close = ((at + self._reach >= near[:2]) & (at - self._reach <= far[:2])).all(axis=1)
        for k in np.flatnonzero(close).tolist():
            actor, pose, (low, high) = self.scene.actors[k], poses[k], self._solid[k]
            turn = pose[:3, :3]
            a, b = (eye - pose[:3, 3]) @ turn, (short - pose[:3, 3]) @ turn
            behind = _crossed(a, b, low, high).any(axis=1) & (owner != actor.actor_id)
            db = np.where(behind, db + _BEHIND_DB, db)
        return np.asarray(db, np.float64)

    def _measured(self, true: F64, owner: I32, rng: np.random.Generator) -> Echoes:
        """Return (4, N) range, azimuth, rate and SNR with errors, and among them detections of nothing."""
        model, n = self.scene.radar, int(rng.poisson(self.scene.radar.clutter))
        sigma = (model.range_sigma_m, np.deg2rad(model.azimuth_sigma_deg), model.rate_sigma_mps, 0.0)
        found = true + rng.normal(0.0, 1.0, true.shape) * np.array(sigma)[:, None]
        half = np.deg2rad(model.half_view_deg)
        nothing = rng.uniform(
            (2.0, -half, -_CLUTTER_MPS, model.threshold_db),
            (model.max_range_m, half, _CLUTTER_MPS, model.threshold_db + 3.0),
            (n, 4),
        ).T
        range_m, azimuth, rate, snr = np.concatenate([found, nothing], axis=1).astype(np.float32)
        xyz = np.stack([range_m * np.cos(azimuth), range_m * np.sin(azimuth), np.zeros_like(range_m)], 1)
        return Echoes(xyz, rate, snr, np.concatenate([owner, np.full(n, BACKGROUND, np.int32)]))


def _posed(part: _Scatterers, pose: F64) -> _Scatterers:
    turn = pose[:3, :3].T
    return _Scatterers(part.xyz @ turn + pose[:3, 3], part.normal @ turn, part.dbsm)


def _joined(parts: Sequence[_Scatterers]) -> _Scatterers:
    none = _Scatterers(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))
    return _Scatterers(*(np.concatenate(a) for a in zip(none, *parts)))


def _scatterers(actor: Actor) -> _Scatterers:
    """Return the points of an actor that scatter: a car's ends, sides and corners, else its middle."""
    dbsm, (length, width, height) = _ACTOR_DBSM[actor.label], actor.size
    if actor.label != "car":
        middle = np.array([[0.0, 0.0, height * 0.6]])
        return _Scatterers(middle, np.zeros((1, 3)), np.array([dbsm]))
    a, b, z = length / 2, width / 2, 0.5
    ends = [(s * a, 0.0, z, s, 0.0, dbsm) for s in (-1, 1)]
    sides = [(x, s * b, z, 0.0, s, dbsm + _CORNER_DB) for s in (-1, 1) for x in (-a / 2, a / 2)]
    diagonal = np.sqrt(0.5)
    corners = [
        (p * a, q * b, z, p * diagonal, q * diagonal, dbsm + _CORNER_DB) for p in (-1, 1) for q in (-1, 1)
    ]
    table = np.array(ends + sides + corners, np.float64)
    normal = np.column_stack([table[:, 3:5], np.zeros(len(table))])
    return _Scatterers(table[:, :3], normal, table[:, 5])


def _wall(box: Box, rng: np.random.Generator) -> _Scatterers:
    """Return points on the upright faces of a background box: ledges, drains, frames."""
    (x0, y0, z0), (x1, y1, z1) = box.low, box.high
    if z0 > 2.0:
        return _Scatterers(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))
    rows = []
    for fixed, value, normal in ((0, x0, -1), (0, x1, 1), (1, y0, -1), (1, y1, 1)):
        start, end = (y0, y1) if fixed == 0 else (x0, x1)
        n = max(int((end - start) / _WALL_SPACING_M), 1)
        for along in (start + (end - start) * (np.arange(n) + rng.uniform(0.2, 0.8, n)) / n).tolist():
            z = float(rng.uniform(max(z0, 0.3), min(z1, 2.5)))
            at = (value, along, z, normal, 0, 0) if fixed == 0 else (along, value, z, 0, normal, 0)
            rows.append((*at, _WALL_DBSM + float(rng.normal(0, 4))))
    table = np.array(rows, np.float64)
    return _Scatterers(table[:, :3], table[:, 3:6], table[:, 6])


def _crossed(eye: F64, ends: F64, low: F64, high: F64) -> NDArray[np.bool_]:
    """Return (N, B) whether the way from `eye` to (N, 3) `ends` crosses (B, 3) boxes."""
    way = (ends - eye)[:, None, :]
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (low - eye) / way, (high - eye) / way
    enter, leave = np.fmin(a, b).max(axis=2), np.fmax(a, b).min(axis=2)
    return np.asarray((enter < leave) & (enter > 0) & (enter < 1), np.bool_)
