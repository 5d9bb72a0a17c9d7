"""`radar_agreement`: does the radar measure the motion and the place that camera and LiDAR see?

Three comparisons. Motion: an object's range rate, as LiDAR or, without one, the growth of its box gives it,
against the Doppler of the target on it that fits best: the plain residual, in standard deviations. Both are
relative to the vehicle, so its own motion cancels. Lost: what the radar held and no longer returns, while the
others still see it. Ghost: a target that moves over ground, told by Doppler less the vehicle's own motion
(from odometry, else from the standing world's Doppler), in the corridor ahead, where neither camera nor LiDAR
has anything and LiDAR's rays pass through the place where its body would stand, cycle after cycle.

Unobservable: no radar or no transform to it, small boxes, objects too young for a speed or seen as a mere
face along the line of sight (a wall's motion along itself has no mark), no target on them and none held; for
ghosts, targets that never moved (bridges and manhole covers do not either), own motion unknown, or no LiDAR
to see the place free. Motion across the line of sight has no Doppler: its share in the range rate is small,
and what an error in bearing makes of it widens the residual.
Benign look-alikes: multipath (behind walls and barriers, so not in free sight), wheels (beside the body's own
return), guard rails (they stand still).
Source: the radar equation's Doppler; own motion from Doppler after Kellner et al., ITSC 2013.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard import objects
from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.radar import Targets, near, own_motion, targets_of
from edgeguard.scene import Scene
from edgeguard.sweep import Cloud
from edgeguard.tracking.camera import CAPACITY as CAMERA_CAPACITY
from edgeguard.tracking.lidar import CAPACITY as LIDAR_CAPACITY
from edgeguard.tracking.lidar import LidarObjects
from edgeguard.types import F64, I64, Channel
from edgeguard.verdict import Cause, SubjectKind

_SUBJECT = np.array([list(Channel).index(Channel.RADAR)], np.int64)
_CERTAIN = 8.0
_LOST = 4.0
# Clutter comes and goes: how rarely it is where no other sensor sees a thing, once, twice, thrice in a row.
_REPEATED = (0.0, 1.5, 5.0, 8.0)
_MAX_GHOSTS = 16
# Across, and from low to high above the road, metres: what any body in the way fills.
_BODY_M = (0.6, 0.3, 1.2)
_MIN_RAYS, _FREE = 6, 0.8
_BUMPER_M = 0.6
_BESIDE_M, _BEHIND_M = 1.0, 2.0
# The camera's own pitch over bumps, rad.
_PITCH = 0.02
_BEARING_SIGMA = 0.05
_GROWTH_SIGMA = 0.15
_LEAST_BREADTH = 0.25
# A target that is nearer or farther by this share of the range that a track's size tells is another thing.
_ELSEWHERE = 0.4
_GROWTH_MEMORY_S = 0.5


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
        1.5, gt=0, le=20, description="speed over ground from which a target moves, m/s"
    )
    corridor_half_width_m: float = Field(
        2.5, gt=0, le=20, description="half the width of the corridor in which ghosts matter, m"
    )


class _Ghosts(NamedTuple):
    """Targets that nothing accounts for, followed from cycle to cycle.

    Attributes:
        xyz: (N, 3) where they are, optical frame, metres.
        step_m: (N,) how far their own Doppler takes them by the next cycle, at most.
        cycles: (N,) on how many they were seen.
        missed: (N,) not on the last one: a stray box may account for a target once.
    """

    xyz: F64
    step_m: F64
    cycles: I64
    missed: NDArray[np.bool_]


_NO_GHOSTS = _Ghosts(np.zeros((0, 3)), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, bool))


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
        self._ghosts = _NO_GHOSTS

    def score(self, scene: Scene) -> list[Scores]:
        radar, rig = scene.frame.radar, scene.rig
        if radar is None:
            return []
        matrix = rig.to_camera.get(radar.frame_id.lstrip("/")) if rig is not None else None
        if matrix is None:
            return [Scores.unobservable(SubjectKind.STREAM, _SUBJECT)]
        targets = targets_of(radar, matrix)
        fresh = radar.stamp_ns != self._cycle_ns
        self._cycle_ns = radar.stamp_ns
        return [
            *self._objects(scene, targets, fresh),
            self._tracks(scene, targets, fresh),
            self._stream(scene, targets, fresh),
        ]

    def _objects(self, scene: Scene, targets: Targets, fresh: bool) -> list[Scores]:
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
        # A window frame or a sign high on a wall is the wall's, whose target comes and goes as people pass.
        told &= ~(seen.bottom > loops.STANDING_M)
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

    def _tracks(self, scene: Scene, targets: Targets, fresh: bool) -> Scores:
        t, range_m = scene.tracks, scene.range
        if scene.measured_objects is not None:
            # What LiDAR follows is judged as its object: a box that breathes tells its motion far worse.
            return Scores.unobservable(SubjectKind.TRACK, t.id)
        k = scene.rig.camera.k if scene.rig is not None else np.eye(3)
        v = ((t.xyxy[:, 1] + t.xyxy[:, 3]) / 2 - k[1, 2]) / k[1, 1] * range_m
        center = np.column_stack([scene.lateral_m(t.xyxy, range_m), v, range_m])
        size = np.column_stack([objects.WIDTH[t.label], objects.LENGTH[t.label]])
        rate = -range_m * t.velocity[:, 3]
        sigma = np.hypot(self.settings.speed_sigma_mps, _GROWTH_SIGMA * range_m)
        told = t.matched & scene.asserted & ~scene.truncated & (scene.hidden < 0.3) & np.isfinite(range_m)
        told &= objects.RIGID[t.label] & (t.hits >= 6)
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
        targets: Targets,
        fresh: bool,
    ) -> Scores:
        """Score motion and loss of things at (N, 3) `center` of (N, 2) `size` across and along, metres."""
        s, held = self.settings, self._held[kind]
        on = near(center, size, targets, s.range_m, np.deg2rad(s.bearing_deg))
        residual = np.where(on, targets.rate[None, :] - rate[:, None], np.nan)
        has = on.any(axis=1)
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

    def _stream(self, scene: Scene, targets: Targets, fresh: bool) -> Scores:
        """Score targets that move in the corridor where nothing else is."""
        own = own_motion(scene.camera_motion, targets)
        if own is None or scene.cloud is None or scene.ground is None:
            return Scores.unobservable(SubjectKind.STREAM, _SUBJECT)
        s, p = self.settings, targets.xyz
        speed = targets.rate + targets.sight @ own
        near_by = (p[:, 2] > 2.0) & (p[:, 2] < s.max_range_m) & (np.abs(p[:, 0]) < s.corridor_half_width_m)
        # What has moved is no manhole cover, even where it now stands.
        moved = (np.abs(speed) > s.moving_mps) | (self._came_from(p).max(axis=1, initial=0) >= 2)
        ghost = np.flatnonzero(near_by & moved & ~self._known(scene, targets))[:_MAX_GHOSTS]
        if len(ghost):
            free = [_seen_free(scene, scene.cloud, xyz, s.range_m) for xyz in p[ghost]]
            ghost = ghost[np.array(free, bool)]
        if fresh:
            self._follow(p[ghost], np.abs(targets.rate[ghost]) * scene.dt_s)
        cycles = self._ghosts.cycles[~self._ghosts.missed]
        first = int(ghost[cycles.argmax()]) if len(ghost) and len(ghost) == len(cycles) else -1
        nan = float("nan")
        return Scores(
            SubjectKind.STREAM,
            _SUBJECT,
            np.array([_REPEATED[min(int(cycles.max(initial=0)), len(_REPEATED) - 1)]]),
            (Cause.RADAR,),
            {
                "ghost_speed_mps": np.array([speed[first] if first >= 0 else nan]),
                "range_m": np.array([p[first, 2] if first >= 0 else nan]),
            },
        )

    def _follow(self, xyz: F64, step_m: F64) -> None:
        before, came = self._ghosts, self._came_from(xyz)
        gone = np.flatnonzero(~before.missed & ~came.any(axis=0))
        self._ghosts = _Ghosts(
            np.concatenate([xyz, before.xyz[gone]]),
            np.concatenate([step_m, 2.0 * before.step_m[gone]]),
            np.concatenate([1 + came.max(axis=1, initial=0), before.cycles[gone]]),
            np.arange(len(xyz) + len(gone)) >= len(xyz),
        )

    def _came_from(self, xyz: F64) -> I64:
        """(N, K) on how many cycles each earlier ghost was seen, 0 where it cannot have come to a place."""
        before = self._ghosts
        gap = np.linalg.norm(xyz[:, None] - before.xyz[None], axis=2)
        return np.where(gap < self.settings.range_m + before.step_m, before.cycles, 0)

    def _known(self, scene: Scene, targets: Targets) -> NDArray[np.bool_]:
        """Whether a camera track, sure or not, or a LiDAR object accounts for a target."""
        bearing, known = np.deg2rad(self.settings.bearing_deg), np.zeros(len(targets.rate), bool)
        if scene.objects is not None:
            o = scene.objects
            off, half = (targets.xyz[None] - o.center[:, None])[..., (0, 2)], o.size[:, None, (0, 2)] / 2
            # LiDAR has a body's near face; what lies behind that, a radar may see better.
            on = np.abs(off[..., 0]) <= half[..., 0] + _BESIDE_M + bearing * targets.range_m
            on &= (off[..., 1] >= -half[..., 1] - self.settings.range_m) & (
                off[..., 1] <= half[..., 1] + self.settings.range_m + _BEHIND_M
            )
            known |= on.any(axis=0)
        if len(scene.tracks) and scene.rig is not None and scene.ground is not None:
            k, (a, b, c), (x, _, z) = scene.rig.camera.k, scene.ground.plane, targets.xyz.T
            z = np.maximum(z, 0.1)
            u, v = k[0, 0] * x / z + k[0, 2], k[1, 1] * (a * x + b * z + c - _BUMPER_M) / z + k[1, 2]
            across, down = 1.5 * bearing * k[0, 0], _PITCH * k[1, 1]
            x0, y0, x1, y1 = scene.tracks.xyxy.T[:, :, None]
            # A box that ends above a bumper there, or begins below it, holds what is farther or nearer.
            boxed = (u >= x0 - across) & (u <= x1 + across) & (v >= y0 - down) & (v <= y1 + down)
            known |= (boxed & self._may_return(scene, z)).any(axis=0)
        return known

    def _may_return(self, scene: Scene, z: F64) -> NDArray[np.bool_]:
        """(N, M) whether a track lies at about the range `z` of a target; one of unknown range may."""
        near_m, label = scene.range, scene.tracks.label
        measured = np.zeros(len(near_m), bool)
        if scene.support is not None:
            measured = near_m == scene.support.foreground
        # A size tells a range to a third; what LiDAR measured has a near face, and a length behind it.
        slack = np.where(measured, 0.0, np.maximum(_ELSEWHERE * near_m, 0.0)) + self.settings.range_m
        length = np.where(measured, objects.LENGTH[label], 0.0)
        off = z[None, :] - near_m[:, None]
        return ~((off < -slack[:, None]) | (off > (slack + length)[:, None]))

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


def _seen_free(scene: Scene, cloud: Cloud, xyz: F64, margin_m: float) -> bool:
    """Return whether the LiDAR saw through a place, at the height of a body on the road.

    Rays that enter the outline of a narrow body there count: those that end beyond it have passed, what ends
    in it or nearer did not. Road at about its range or nearer tells nothing.
    """
    assert scene.rig is not None and scene.ground is not None and cloud.height is not None
    (a, b, c), k, lidar = scene.ground.plane, scene.rig.camera.k, scene.settings.lidar
    x, z = float(xyz[0]), float(xyz[2])
    road = a * x + b * z + c
    half, (low, high) = _BODY_M[0] / 2, _BODY_M[1:]
    u, v = (k[0, 0] / z, k[0, 2]), (k[1, 1] / z, k[1, 2])
    box = np.array(
        [
            u[0] * (x - half) + u[1],
            v[0] * (road - high) + v[1],
            u[0] * (x + half) + u[1],
            v[0] * (road - low) + v[1],
        ]
    )
    index = cloud.in_box(box)
    range_m = cloud.z[index]
    ground = cloud.height[index] < lidar.ground_tolerance_m + lidar.ground_slope * range_m
    passed = range_m > z + margin_m
    told = passed | ~ground
    return int(np.count_nonzero(passed)) >= max(_MIN_RAYS, _FREE * np.count_nonzero(told))
