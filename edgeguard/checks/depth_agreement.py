"""`depth_agreement`: is an object as far away as its size says?

ln(f·H/h) − ln(median range of the nearest body in the box), over the class' spread of heights. A picture of
a car on a wall, or a phantom on the road before a far background, disagrees by far more than odd vehicles do.

Unobservable: box cut by the border or half hidden, few returns, class of unknown size.
Benign look-alikes: children, odd trucks, trailers, ladders on roofs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from edgeguard import objects
from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.types import F64, Channel
from edgeguard.verdict import Cause, SubjectKind

# Detectors call vans and lorries "car": heights spread over the group, not the class.
_SPREAD: dict[str, float] = {"vehicle": 0.30, "cycle": 0.25, "person": 0.20, "sign": 0.30}
_SIGMA: F64 = np.array([_SPREAD[c.group] for c in objects.CLASSES])


class DepthAgreementSettings(Settings):
    """Parameters of `depth_agreement`."""

    min_points: float = Field(
        8.0, ge=3, description="returns in the box below which their range is not trusted"
    )
    min_share: float = Field(
        0.15, gt=0, le=1, description="of the returns expected, share that must be there"
    )
    min_height_px: float = Field(25.0, gt=1, description="height of a box below which it is no size, px")
    box_noise: float = Field(0.08, gt=0, le=1, description="relative noise of a box's height")
    max_range_m: float = Field(50.0, gt=1, le=300, description="range beyond which nothing can be told, m")


class DepthAgreement:
    """See the module. Subjects are camera tracks."""

    name = "depth_agreement"
    needs = frozenset({Channel.DETECTIONS, Channel.LIDAR})
    sees = frozenset({"poster", "class_flip", "delay"})

    def __init__(self, settings: DepthAgreementSettings) -> None:
        self.settings = settings

    def reset(self) -> None:
        """Nothing is remembered."""

    def score(self, scene: Scene) -> list[Scores]:
        t, support = scene.tracks, scene.support
        if support is None:
            return [Scores.unobservable(SubjectKind.TRACK, t.id)]
        surprise, z = loops.depth_surprisal(scene, support, _SIGMA, self.settings)
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                surprise,
                (Cause.CAMERA,) * len(t),
                {"size_range_m": support.size_range, "lidar_range_m": support.foreground, "sigma": z},
            )
        ]

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        return (
            f"as large as at {measured['size_range_m']:.0f} m, but LiDAR finds its body at "
            f"{measured['lidar_range_m']:.0f} m"
        )
