"""`free_space`: does the LiDAR see through what the camera boxes?

A solid body stops every ray that enters its outline. Where it should stand follows twice: from the lower edge
of its box on the ground, and from its class' height; the farther of the two is believed, plus the body's own
length. A ray of the box that ends beyond, or on the ground beyond the foot, has passed through it. Shares are
taken per column of the box, because a neighbour that fills one side of it stops that side's rays and no
other's: the score grows with the widest run of columns that are seen through, or with the share of all rays
that pass, where that is more than windows let through: something slim in front may part what is open.

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
from edgeguard.scene import Cloud, Scene
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

    def reset(self) -> None:
        """Nothing is remembered: one sweep and one frame tell."""

    def score(self, scene: Scene) -> list[Scores]:
        t, cloud, support, s = scene.tracks, scene.cloud, scene.support, self.settings
        if cloud is None or cloud.height is None or support is None or scene.frame.points is None:
            return [Scores.unobservable(SubjectKind.TRACK, t.id)]
        stands = np.fmax(scene.foot_range, scene.size_range)
        told = t.matched & scene.asserted & objects.SOLID[t.label] & self._footed(scene)
        told &= (stands <= s.max_range_m) & (support.total >= s.min_rays)
        # Where most rays do not come back at all, nothing was seen through.
        told &= support.total >= _COMES_BACK * support.expected
        told &= support.before <= _IN_FRONT * support.total
        gap_s = abs(scene.frame.points.stamp_ns - scene.frame.stamp_ns) * 1e-9
        told &= np.abs(t.velocity[:, 0]) * gap_s <= s.max_slip * t.width
        width, share, rays = self._seen_through(scene, cloud, stands, told)
        told &= rays >= s.min_rays
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

    def _seen_through(self, scene: Scene, cloud: Cloud, stands: F64, told: NDArray[np.bool_]) -> F64:
        """Return (3, N): widest run of open columns (share of width), share of rays passed, rays; or NaN."""
        assert cloud.height is not None
        t, s, lidar = scene.tracks, self.settings, scene.settings.lidar
        row = np.flatnonzero(told)
        out = np.full((3, len(t)), np.nan)
        out[:, row] = loops.seen_through(
            cloud.u, cloud.v, cloud.z, cloud.height, cloud.start, _inner(t.xyxy[row]),
            stands[row] * (1.0 + s.range_margin), objects.LENGTH[t.label[row]], lidar.ground_tolerance_m,
            lidar.ground_slope, _MAX_RAYS, s.min_column_rays, s.seen_through, *_COLUMNS,
        )  # fmt: skip
        return out

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        return (
            f"LiDAR sees through {measured['open_width_share']:.0%} of its width "
            f"({measured['passed_share']:.0%} of its rays), "
            f"where it should stand at {measured['stands_at_m']:.0f} m"
        )


def _inner(xyxy: F64) -> F64:
    """Return boxes without their rims, which show what stands beside, above and below."""
    w, h = (xyxy[:, 2:] - xyxy[:, :2]).T
    inner: F64 = xyxy + np.column_stack([0.05 * w, 0.1 * h, -0.05 * w, -0.1 * h])
    return inner
