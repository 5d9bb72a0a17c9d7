"""`free_space`: does the LiDAR see through what the camera boxes?

A solid body stops every ray that enters its outline. Where it should stand follows twice: from the lower edge
of its box on the ground, and from its class' height; the farther of the two is believed, plus the body's own
length. A ray of the box that ends beyond, or on the ground beyond the foot, has passed through it. Shares are
taken per column of the box, because a neighbour that fills one side of it stops that side's rays and no
other's: the score grows with the widest run of columns that are seen through, or with the share of all rays
that pass, where that is more than windows let through: something slim in front may part what is open. Where
the LiDAR itself held the body until a moment ago and its rays ended there, that range is believed, to
centimetres: a body can leave it, but not by metres between two sweeps.

Unobservable: few rays, or most of them lost; beyond range; something nearer in front, or a surer box that
holds a box's lower half and ends where it does; box cut by the image's upper or lower border;
sideways motion faster than the gap between image and sweep allows to compare; a picture so dark that the box
holds little but noise, or a bare surface, or that the network is not sure: there it sees what is not there.
Benign look-alikes: windows (rays leave through the far one: part of a column, not the whole), mirrors and
shop windows that show a vehicle, netting, boxes wider than what they hold.
Source: the occlusion reasoning of CARLO (arXiv 2006.16974), reversed: there it unmasks points without a body,
here a picture without one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from edgeguard import grain
from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.tracking.camera import CAPACITY
from edgeguard.types import Channel
from edgeguard.verdict import Cause, SubjectKind


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
        self._held = np.full((loops.BODIES_HELD, CAPACITY), np.nan)

    def score(self, scene: Scene) -> list[Scores]:
        t, cloud = scene.tracks, scene.cloud
        if cloud is None or cloud.height is None or scene.support is None or scene.frame.points is None:
            return [Scores.unobservable(SubjectKind.TRACK, t.id)]
        surprise, width, share, rays, stands = loops.passed_through(scene, cloud, self._held, self.settings)
        grain.withdraw(surprise, scene.frame.image, t)
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                surprise,
                (Cause.CAMERA,) * len(t),
                {"open_width_share": width, "passed_share": share, "rays": rays, "stands_at_m": stands},
            )
        ]

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        return (
            f"LiDAR sees through {measured['open_width_share']:.0%} of its width "
            f"({measured['passed_share']:.0%} of its rays), "
            f"where it should stand at {measured['stands_at_m']:.0f} m"
        )
