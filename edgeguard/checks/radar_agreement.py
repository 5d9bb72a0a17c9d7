"""`radar_agreement`: does the radar measure the motion and the place that camera and LiDAR see?

Three comparisons. Motion: an object's range rate, as LiDAR or the growth of its box gives it, against the
Doppler of the target on it that fits best: the plain residual, in standard deviations. Both are relative to
the vehicle, so its own motion cancels. Lost: what the radar held and no longer returns, while the others
still see it. Ghost: a target that moves over ground, told by Doppler less the vehicle's own motion (from
odometry, else from the standing world's Doppler), in the corridor ahead, where neither camera nor LiDAR has
anything and LiDAR sees beyond.

Unobservable: no radar or no transform to it, small boxes, objects too young for a speed or seen as a mere
face along the line of sight (a wall's motion along itself has no mark), no target on them and none held; for
ghosts, targets that stand still (bridges and manhole covers do so too), own motion unknown, or no LiDAR to
see the place free. Motion across the line of sight has no Doppler: its share in the range rate is small, and
what an error in bearing makes of it widens the residual.
Benign look-alikes: multipath (behind walls and barriers, so not in free sight), wheels (beside the body's own
return), guard rails (they stand still).
Source: the radar equation's Doppler; own motion from Doppler after Kellner et al., ITSC 2013.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard import objects
from edgeguard.checks.base import Scores
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.sight import CELL_PX
from edgeguard.tracking.camera import CAPACITY as CAMERA_CAPACITY
from edgeguard.tracking.lidar import CAPACITY as LIDAR_CAPACITY
from edgeguard.tracking.lidar import LidarObjects
from edgeguard.types import F64, I64, Channel
from edgeguard.verdict import Cause, SubjectKind

_SUBJECT = np.array([list(Channel).index(Channel.RADAR)], np.int64)
_CERTAIN = 8.0
_LOST = 4.0
_GHOST, _FLICKER = 5.0, 1.5
_BEARING_SIGMA = 0.05
_GROWTH_SIGMA = 0.15
_MAX_TARGETS = 512
_LEAST_BREADTH = 0.25
# A target this much nearer or farther than a track, metres or share of its range, is another thing.
_ELSEWHERE_M, _ELSEWHERE = 4.0, 0.4
_GROWTH_MEMORY_S = 0.5
_VEHICLE = objects.GROUPS.index("vehicle")


class RadarAgreementSettings(Settings):
    """Parameters of `radar_agreement`."""

    max_range_m: float = Field(60.0, gt=1, le=300, description="range beyond which nothing can be told, m")
    doppler_sigma_mps: float = Field(
        0.4, gt=0, le=5, description="noise of a target's Doppler, m/s; larger doubts less"
    )
    min_height_px: float = Field(
        32.0, gt=1, description="height of a box below which its growth tells no speed, px"
    )
    speed_sigma_mps: float = Field(
        1.2, gt=0, le=10, description="noise of a LiDAR object's speed, m/s; larger doubts less"
    )
    bearing_deg: float = Field(
        2.0, gt=0, le=15, description="bearing by which a target may lie beside its object, degrees"
    )
    range_m: float = Field(
        1.5, gt=0, le=10, description="range by which a target may lie before or behind its object, m"
    )
    held_s: float = Field(
        0.5, gt=0, le=5, description="agreement after which the radar counts as holding an object, s"
    )
    moving_mps: float = Field(
        2.5, gt=0, le=20, description="speed over ground from which a target moves, m/s"
    )
    corridor_half_width_m: float = Field(
        2.5, gt=0, le=20, description="half the width of the corridor in which ghosts matter, m"
    )


class _Targets(NamedTuple):
    """Radar targets in the optical frame, from the radar's own place."""

    xyz: F64
    range_m: F64
    sight: F64
    rate: F64
    origin: F64


class RadarAgreement:
    """See the module. Subjects are LiDAR objects, camera tracks and the radar's stream."""

    name = "radar_agreement"
    needs = frozenset({Channel.RADAR})
    sees = frozenset({"phantom", "radar_ghost"})

    def __init__(self, settings: RadarAgreementSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._held = {
            SubjectKind.TRACK: np.zeros(CAMERA_CAPACITY),
            SubjectKind.LIDAR_OBJECT: np.zeros(LIDAR_CAPACITY),
        }
        self._size = np.zeros((LIDAR_CAPACITY, 2))
        self._growth_mps = np.zeros(LIDAR_CAPACITY)
        self._cycle_ns: int | None = None
        self._ghosts = np.zeros((0, 3))
        self._ghost_score = float("nan")

    def score(self, scene: Scene) -> list[Scores]:
        radar, rig = scene.frame.radar, scene.rig
        if radar is None:
            return []
        matrix = rig.to_camera.get(radar.frame_id.lstrip("/")) if rig is not None else None
        if matrix is None:
            return [Scores.unobservable(SubjectKind.STREAM, _SUBJECT)]
        xyz = radar.xyz.astype(np.float64) @ matrix[:3, :3].T + matrix[:3, 3]
        way = xyz - matrix[:3, 3]
        distance = np.maximum(np.linalg.norm(way, axis=1), 1e-6)
        if len(distance) > _MAX_TARGETS:
            nearest = np.sort(np.argsort(distance, kind="stable")[:_MAX_TARGETS])
            xyz, way, distance = xyz[nearest], way[nearest], distance[nearest]
            radar = replace(radar, xyz=radar.xyz[nearest], range_rate=radar.range_rate[nearest], snr=None)
        rate = radar.range_rate.astype(np.float64)
        targets = _Targets(xyz, distance, way / distance[:, None], rate, matrix[:3, 3])
        fresh = radar.stamp_ns != self._cycle_ns
        self._cycle_ns = radar.stamp_ns
        return [
            *self._objects(scene, targets, fresh),
            self._tracks(scene, targets, fresh),
            self._stream(scene, targets, fresh),
        ]

    def _objects(self, scene: Scene, targets: _Targets, fresh: bool) -> list[Scores]:
        seen = scene.objects
        if seen is None:
            return []
        way = seen.center - targets.origin
        sight = way / np.maximum(np.linalg.norm(way, axis=1), 1e-6)[:, None]
        rate = np.einsum("ni,ni->n", seen.velocity, sight[:, (0, 2)])
        across = np.abs(seen.velocity[:, 0] * sight[:, 2] - seen.velocity[:, 1] * sight[:, 0])
        # The middle of what comes out from behind something moves as it is revealed.
        sigma = np.hypot(self.settings.speed_sigma_mps, across * _BEARING_SIGMA)
        sigma = np.hypot(sigma, 0.5 * self._growth(scene, seen))
        told = seen.matched & (seen.hits >= 6) & (seen.probability > 0.5)
        size = seen.size[:, (0, 2)]
        # What shows only a face along the line of sight, as a wall, may slide along it unseen.
        told &= size[:, 0] > _LEAST_BREADTH * size[:, 1]
        kind = SubjectKind.LIDAR_OBJECT
        self._held[kind][seen.slot[seen.is_new]] = 0.0
        return [
            self._compare(
                scene, kind, seen.id, seen.slot, seen.center, size, rate, sigma, told, targets, fresh
            )
        ]

    def _growth(self, scene: Scene, seen: LidarObjects) -> F64:
        """(M,) how fast each object's outline has lately grown or shrunk, m/s."""
        slot, size = seen.slot, seen.size[:, (0, 2)]
        if scene.new_sweep and scene.dt_s > 0:
            change = np.abs(size - self._size[slot]).max(axis=1, initial=0.0) / scene.dt_s
            keep = np.exp(-scene.dt_s / _GROWTH_MEMORY_S)
            grown = keep * self._growth_mps[slot] + (1.0 - keep) * change
            self._growth_mps[slot] = np.where(
                seen.is_new, 0.0, np.where(seen.matched, grown, self._growth_mps[slot])
            )
        self._size[slot] = size
        return self._growth_mps[slot]

    def _tracks(self, scene: Scene, targets: _Targets, fresh: bool) -> Scores:
        t, range_m = scene.tracks, scene.range
        k = scene.rig.camera.k if scene.rig is not None else np.eye(3)
        v = ((t.xyxy[:, 1] + t.xyxy[:, 3]) / 2 - k[1, 2]) / k[1, 1] * range_m
        center = np.column_stack([scene.lateral_m(t.xyxy, range_m), v, range_m])
        size = np.column_stack([objects.WIDTH[t.label], objects.LENGTH[t.label]])
        rate = -range_m * t.velocity[:, 3]
        sigma = np.hypot(self.settings.speed_sigma_mps, _GROWTH_SIGMA * range_m)
        told = t.matched & scene.asserted & ~scene.truncated & (scene.hidden < 0.3) & np.isfinite(range_m)
        told &= (objects.GROUP[t.label] == _VEHICLE) & (t.hits >= 6)
        # Of a small box, a pixel of noise is a growth of many metres a second.
        told &= t.height >= self.settings.min_height_px
        kind = SubjectKind.TRACK
        self._held[kind][t.slot[t.is_new]] = 0.0
        return self._compare(scene, kind, t.id, t.slot, center, size, rate, sigma, told, targets, fresh)

    def _compare(
        self,
        scene: Scene,
        kind: SubjectKind,
        ids: I64,
        slot: NDArray[np.intp],
        center: F64,
        size: F64,
        rate: F64,
        sigma: F64,
        told: NDArray[np.bool_],
        targets: _Targets,
        fresh: bool,
    ) -> Scores:
        """Score motion and loss of things at (N, 3) `center` of (N, 2) `size` across and along, metres."""
        s, held = self.settings, self._held[kind]
        near = _near(center, size, targets, s.range_m, np.deg2rad(s.bearing_deg))
        residual = np.where(near, targets.rate[None, :] - rate[:, None], np.nan)
        has = near.any(axis=1)
        nearest = np.full(len(ids), np.nan)
        if has.any():
            row = np.flatnonzero(has)
            best = np.nanargmin(np.abs(residual[row]), axis=1)
            nearest[row] = residual[row, best]
        z = nearest / np.hypot(sigma, s.doppler_sigma_mps)
        told = told & (center[:, 2] <= s.max_range_m)
        lost = ~has & (held[slot] >= s.held_s)
        surprise = np.where(has, np.minimum(0.5 * z**2, _CERTAIN), np.where(lost, _LOST, np.nan))
        if fresh:
            held[slot] = np.clip(held[slot] + np.where(has, scene.dt_s, -0.25 * scene.dt_s), 0.0, 2.0)
        return Scores(
            kind,
            ids,
            np.where(told, surprise, np.nan),
            (Cause.RADAR,) * len(ids),
            {
                "rate_mps": rate,
                "residual_mps": nearest,
                "sigma": np.abs(z),
                "held_s": held[slot],
                "range_m": center[:, 2],
            },
        )

    def _stream(self, scene: Scene, targets: _Targets, fresh: bool) -> Scores:
        """Score targets that move in the corridor where nothing else is."""
        own = _own_motion(scene, targets)
        if own is None or scene.sight is None or scene.rig is None:
            return Scores.unobservable(SubjectKind.STREAM, _SUBJECT)
        s, p = self.settings, targets.xyz
        speed = targets.rate + targets.sight @ own
        moving = (np.abs(speed) > s.moving_mps) & (p[:, 2] > 2.0) & (p[:, 2] < s.max_range_m)
        ghost = moving & (np.abs(p[:, 0]) < s.corridor_half_width_m) & ~self._known(scene, targets)
        ghost &= _seen_free(scene, p, s.range_m)
        if fresh:
            places = p[ghost]
            gap = np.linalg.norm(places[:, None] - self._ghosts[None], axis=2)
            stays = bool(gap.size and gap.min() < 4.0)
            self._ghost_score = (_GHOST if stays else _FLICKER) if len(places) else 0.0
            self._ghosts = places
        first = int(np.argmax(ghost)) if ghost.any() else -1
        nan = float("nan")
        return Scores(
            SubjectKind.STREAM,
            _SUBJECT,
            np.array([self._ghost_score]),
            (Cause.RADAR,),
            {
                "ghost_speed_mps": np.array([speed[first] if first >= 0 else nan]),
                "range_m": np.array([p[first, 2] if first >= 0 else nan]),
            },
        )

    def _known(self, scene: Scene, targets: _Targets) -> NDArray[np.bool_]:
        """Whether a camera track, sure or not, or a LiDAR object accounts for a target."""
        bearing, known = np.deg2rad(self.settings.bearing_deg), np.zeros(len(targets.rate), bool)
        if scene.objects is not None:
            o = scene.objects
            known |= _near(o.center, o.size[:, (0, 2)] + 2.0, targets, self.settings.range_m, bearing).any(
                axis=0
            )
        if len(scene.tracks) and scene.rig is not None:
            k, z = scene.rig.camera.k, np.maximum(targets.xyz[:, 2], 0.1)
            u, margin = k[0, 0] * targets.xyz[:, 0] / z + k[0, 2], 1.5 * bearing * k[0, 0]
            b = scene.tracks.xyxy
            boxed = (u >= b[:, :1] - margin) & (u <= b[:, 2:3] + margin)
            # A car behind the target is no cause of it; one of unknown range may be.
            far = np.abs(scene.range[:, None] - targets.xyz[None, :, 2])
            boxed &= ~(far > np.maximum(_ELSEWHERE_M, _ELSEWHERE * scene.range)[:, None])
            known |= boxed.any(axis=0)
        return known

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        if "ghost_speed_mps" in measured:
            return (
                f"a target at {measured['range_m']:.0f} m moves at {measured['ghost_speed_mps']:.0f} m/s "
                "where camera and LiDAR see free road"
            )
        if np.isnan(measured["residual_mps"]):
            return f"the radar lost an object at {measured['range_m']:.0f} m that the others still see"
        return (
            f"Doppler is {measured['residual_mps']:+.1f} m/s off an object at {measured['range_m']:.0f} m "
            f"({measured['sigma']:.0f} standard deviations)"
        )


def _near(center: F64, size: F64, targets: _Targets, range_m: float, bearing: float) -> NDArray[np.bool_]:
    """Return (N, M) whether a target lies on a thing, within the radar's errors of range and bearing."""
    way = (center - targets.origin)[:, (0, 2)]
    flat = (targets.xyz - targets.origin)[:, (0, 2)]
    distance = np.maximum(np.hypot(way[:, 0], way[:, 1]), 0.1)[:, None]
    along = (way @ flat.T) / distance
    across = (way[:, :1] * flat[None, :, 1] - way[:, 1:] * flat[None, :, 0]) / distance
    half = size / 2
    on: NDArray[np.bool_] = np.abs(along - distance) <= half.max(axis=1)[:, None] + range_m
    on &= np.abs(across) <= half[:, :1] + bearing * distance + 0.3
    return on


def _own_motion(scene: Scene, targets: _Targets) -> F64 | None:
    """Return the (3,) velocity of the radar in the optical frame, m/s; None where it cannot be told."""
    motion = scene.camera_motion
    if motion is not None:
        velocity: F64 = motion[0] + np.cross(motion[1], targets.origin)
        return velocity
    if len(targets.rate) < 8:
        return None
    sight = targets.sight[:, (0, 2)]
    flat: F64 = np.zeros(2)
    weight: F64 = np.ones(len(targets.rate))
    for _ in range(5):  # the standing world is what most targets agree on
        normal = (sight * weight[:, None]).T @ sight + 1e-3 * np.eye(2)
        flat = np.asarray(np.linalg.solve(normal, -(sight * weight[:, None]).T @ targets.rate), np.float64)
        residual = targets.rate + sight @ flat
        scale = 3.0 * max(float(np.median(np.abs(residual))), 0.2)
        weight = np.asarray(np.clip(1.0 - (residual / scale) ** 2, 0.0, None) ** 2, np.float64)
    if np.count_nonzero(weight) < 0.5 * len(weight):
        return None
    return np.array([flat[0], 0.0, flat[1]])


def _seen_free(scene: Scene, xyz: F64, margin_m: float) -> NDArray[np.bool_]:
    """Return (N,) whether LiDAR saw well beyond places, at the height of a bumper above the road."""
    assert scene.rig is not None and scene.sight is not None
    free = np.zeros(len(xyz), bool)
    if scene.ground is None:
        return free
    (a, b, c), k, far = scene.ground.plane, scene.rig.camera.k, scene.sight[0].far
    z = np.maximum(xyz[:, 2], 0.1)
    row = ((k[1, 1] * (a * xyz[:, 0] + b * z + c - 0.6) / z + k[1, 2]) / CELL_PX).astype(int)
    column = ((k[0, 0] * xyz[:, 0] / z + k[0, 2]) / CELL_PX).astype(int)
    for i in np.flatnonzero((row > 0) & (row < far.shape[0]) & (column > 0) & (column < far.shape[1])):
        around = far[row[i] - 1 : row[i] + 2, column[i] - 1 : column[i] + 2]
        told = around > 0
        free[i] = bool(told.any()) and float(np.mean(around[told] > z[i] + margin_m + 1.0)) > 0.6
    return free
