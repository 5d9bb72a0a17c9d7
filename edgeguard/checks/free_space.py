"""`free_space`: does the LiDAR see through what the camera boxes?

A solid body stops every ray that enters its outline. Where it should stand follows twice: from the lower edge
of its box on the ground, and from its class' height; the farther of the two is believed, plus the body's own
length. A ray of the box that ends beyond, or on the ground beyond the foot, has passed through it. Shares are
taken per column of the box, because a neighbour that fills one side of it stops that side's rays and no
other's: the score grows with the widest run of columns that are seen through, or with the share of all rays
that pass, where that is more than windows let through: something slim in front may part what is open. Where
the LiDAR itself held the body until a moment ago and its rays ended there, that range is believed, to
centimetres: a body can leave it, but not by metres between two sweeps.

Unobservable: few rays, or most of them lost; beyond range; something nearer in front; box cut by the
image's upper or lower border;
sideways motion faster than the gap between image and sweep allows to compare; a picture so dark that the box
holds little but noise, in which networks see what is not there.
Benign look-alikes: windows (rays leave through the far one: part of a column, not the whole), mirrors and
shop windows that show a vehicle, netting, boxes wider than what they hold.
Source: the occlusion reasoning of CARLO (arXiv 2006.16974), reversed: there it unmasks points without a body,
here a picture without one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard import grain, objects
from edgeguard.arrays import clamp
from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.sweep import Cloud
from edgeguard.tracking.camera import CAPACITY
from edgeguard.types import F64, Channel
from edgeguard.verdict import Cause, SubjectKind

_COLUMNS = (4, 12)
_MAX_RAYS = 600
_COMES_BACK = 0.4
_IN_FRONT = 0.6
# How benign boxes fall off: nats per share of their width seen through, beyond what loose boxes show.
_LOOSE = 0.15
# Of all its rays, so many may leave a body through its windows and beside its rounded sides.
_GLASS = 0.35
_NATS_PER_SHARE = 25.0
_CERTAIN = 8.0
# Nearer bodies' own ranges tell no more than their boxes' do.
_FAR_M = 12.0
# What the LiDAR holds: the error of its range, how far it may lie from where its box stands (a ratio), how
# fast bodies drive away, how long its rays must have ended there, and how long that holds afterwards.
_HELD_ERROR_M, _NEARLY, _FASTEST_MPS, _CALM_S, _FORGET_S = 1.0, 1.4, 8.0, 0.4, 1.0
# A box that stands so much farther than it did holds something else.
_ELSEWHERE = 1.15
# Where its body stands is known from itself, and not from its box, so much fewer rays tell.
_FEWER = 0.5
# A network's own false boxes are common up to here and rare from here.
_DOUBTFUL, _SURE = 0.4, 0.6
# Nats below which a look at the picture is not worth its time.
_ACCUSES = 2.0
# Nearer to the image's upper or lower border than this, a box may be cut by it.
_RIM_PX = 5.0


class FreeSpaceSettings(Settings):
    """Parameters of `free_space`."""

    max_range_m: float = Field(30.0, gt=1, le=300, description="range beyond which nothing can be told, m")
    min_rays: float = Field(30.0, ge=5, description="rays through a box below which nothing can be told")
    min_column_rays: float = Field(
        3.0, ge=1, description="rays through a column below which it tells nothing"
    )
    seen_through: float = Field(
        0.8, gt=0.5, le=1, description="share of a column's rays that must pass for it to be seen through"
    )
    range_margin: float = Field(
        0.15, ge=0, le=1, description="relative error of the range at which a body should stand"
    )
    max_slip: float = Field(
        0.15, gt=0, le=1, description="share of its width that a box may move between image and sweep"
    )


class FreeSpace:
    """See the module. Subjects are camera tracks."""

    name = "free_space"
    needs = frozenset({Channel.DETECTIONS, Channel.LIDAR})
    sees = frozenset({"phantom", "poster", "delay"})

    def __init__(self, settings: FreeSpaceSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._held = _Held()

    def score(self, scene: Scene) -> list[Scores]:
        t, cloud, support, s = scene.tracks, scene.cloud, scene.support, self.settings
        if cloud is None or cloud.height is None or support is None or scene.frame.points is None:
            return [Scores.unobservable(SubjectKind.TRACK, t.id)]
        stands = np.fmax(scene.foot_range, scene.size_range)
        told = t.matched & scene.asserted & objects.SOLID[t.label] & self._footed(scene)
        told &= (stands <= s.max_range_m) & (support.total >= _FEWER * s.min_rays)
        # Where most rays do not come back at all, nothing was seen through.
        told &= support.total >= _COMES_BACK * support.expected
        told &= support.before <= _IN_FRONT * support.total
        gap_s = abs(scene.frame.points.stamp_ns - scene.frame.stamp_ns) * 1e-9
        told &= np.abs(t.velocity[:, 0]) * gap_s <= s.max_slip * t.width
        few = support.total < s.min_rays
        width, share, rays = self._seen_through(scene, cloud, stands * (1.0 + s.range_margin), told & ~few)
        known = self._jumped(scene, cloud, told, stands, (width, share, rays))
        told &= rays >= np.where(known, _FEWER, 1.0) * s.min_rays
        open_share = np.maximum(width - _LOOSE, share - _GLASS)
        surprise = clamp(_NATS_PER_SHARE * open_share, 0.0, _CERTAIN)
        surprise *= clamp((t.confidence - _DOUBTFUL) / (_SURE - _DOUBTFUL), 0.0, 1.0)
        accused = np.flatnonzero(told & (surprise > _ACCUSES))
        told[accused] = grain.shows(scene.frame.image, t.xyxy[accused])
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                np.where(told, surprise, np.nan),
                (Cause.CAMERA,) * len(t),
                {"open_width_share": width, "passed_share": share, "rays": rays, "stands_at_m": stands},
            )
        ]

    def _footed(self, scene: Scene) -> NDArray[np.bool_]:
        """(N,) whether a box ends above the image's lower border: where it stands, its sides do not tell."""
        if scene.image_size is None:
            return ~scene.truncated
        box, (_, h) = scene.tracks.xyxy, scene.image_size
        inside: NDArray[np.bool_] = (box[:, 1] >= _RIM_PX) & (box[:, 3] <= h - _RIM_PX)
        return inside

    def _jumped(
        self,
        scene: Scene,
        cloud: Cloud,
        told: NDArray[np.bool_],
        stands: F64,
        measured: tuple[F64, F64, F64],
    ) -> NDArray[np.bool_]:
        """Measure anew, by the range at which the LiDAR held them, what it now sees beyond; of whom?"""
        held_m = self._held.range_m(scene, stands)
        near = told & (stands >= _FAR_M) & np.isfinite(held_m)
        if not near.any():
            return near
        anew = self._seen_through(scene, cloud, held_m + _HELD_ERROR_M, near)
        self._held.tell(scene, near, anew[1])
        known = near & self._held.calm(scene)
        known &= ~(anew[1] <= measured[1])
        for value, new in zip(measured, anew):
            value[known] = new[known]
        stands[known] = held_m[known]
        return known

    def _seen_through(self, scene: Scene, cloud: Cloud, beyond: F64, told: NDArray[np.bool_]) -> F64:
        """Return (3, N): widest run of open columns (share of width), share of rays passed, rays; or NaN."""
        assert cloud.height is not None
        t, s, lidar = scene.tracks, self.settings, scene.settings.lidar
        row = np.flatnonzero(told)
        out = np.full((3, len(t)), np.nan)
        out[:, row] = loops.seen_through(
            cloud.u, cloud.v, cloud.z, cloud.height, cloud.start, _inner(t.xyxy[row]),
            beyond[row], objects.LENGTH[t.label[row]], lidar.ground_tolerance_m,
            lidar.ground_slope, _MAX_RAYS, s.min_column_rays, s.seen_through, *_COLUMNS,
        )  # fmt: skip
        return out

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        return (
            f"LiDAR sees through {measured['open_width_share']:.0%} of its width "
            f"({measured['passed_share']:.0%} of its rays), "
            f"where it should stand at {measured['stands_at_m']:.0f} m"
        )


class _Held:
    """Remembers at which range the sweep ended on each track, and for how long its rays stayed there."""

    def __init__(self) -> None:
        self._range_m = np.full(CAPACITY, np.nan)
        self._size_m = np.full(CAPACITY, np.nan)
        self._since_s = np.zeros(CAPACITY)
        self._calm_s = np.zeros(CAPACITY)

    def range_m(self, scene: Scene, stands: F64) -> F64:
        """Return (N,) the range of each track's body, or at which it was before it jumped off; NaN else."""
        t, slot, support = scene.tracks, scene.tracks.slot, scene.support
        assert support is not None
        self._range_m[slot[t.is_new]], self._calm_s[slot[t.is_new]] = np.nan, 0.0
        self._since_s[slot] += scene.dt_s
        moved = ~(stands <= _ELSEWHERE * self._size_m[slot]) | (self._since_s[slot] > _FORGET_S)
        self._range_m[slot[moved]], self._calm_s[slot[moved]] = np.nan, 0.0
        held_m, found_m = self._range_m[slot], support.foreground
        ours = (
            t.matched
            & scene.supported
            & (np.maximum(found_m, stands) <= _NEARLY * np.minimum(found_m, stands))
        )
        follows = ours & ~(found_m > held_m + _FASTEST_MPS * self._since_s[slot] + _HELD_ERROR_M)
        # What had jumped and is now followed again begins anew.
        self._calm_s[slot[follows & (self._since_s[slot] > 1.5 * scene.dt_s)]] = 0.0
        row = slot[follows]
        self._range_m[row], self._size_m[row], self._since_s[row] = found_m[follows], stands[follows], 0.0
        return self._range_m[slot]

    def tell(self, scene: Scene, told: NDArray[np.bool_], passed: F64) -> None:
        """Take what share of the rays of each told track passed the range at which it is held."""
        slot = scene.tracks.slot[told & (self._since_s[scene.tracks.slot] == 0.0)]
        calm = passed[told & (self._since_s[scene.tracks.slot] == 0.0)] <= _GLASS
        self._calm_s[slot] = np.where(calm, self._calm_s[slot] + scene.dt_s, 0.0)

    def calm(self, scene: Scene) -> NDArray[np.bool_]:
        """Return (N,) whether rays had ended there for long, so that the range is the body's own."""
        long: NDArray[np.bool_] = self._calm_s[scene.tracks.slot] >= _CALM_S
        return long


def _inner(xyxy: F64) -> F64:
    """Return boxes without their rims, which show what stands beside, above and below."""
    w, h = (xyxy[:, 2:] - xyxy[:, :2]).T
    inner: F64 = xyxy + np.column_stack([0.05 * w, 0.1 * h, -0.05 * w, -0.1 * h])
    return inner
