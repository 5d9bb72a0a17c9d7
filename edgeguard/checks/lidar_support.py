"""`lidar_support`: do enough LiDAR points lie on what the camera sees?

Expected returns follow from the box's area and the sweep's own density per row of the image, which scales as
N ≈ κ·W·H/(Z²·Δθ·Δφ); κ is the share of a box that reflects, per class. Found are the returns above ground
at about the range that the class' size implies. The score is −ln of the lower tail of a negative binomial.

Unobservable: expected returns below a handful, outside the LiDAR's view, beyond its useful range, hidden
behind something nearer, a class without a solid body, a picture so dark that the box holds little but noise
or a bare surface.
Benign look-alikes: dark or wet paint, glass, rain, calibration error, time offset.
Source: Autoware's detected-object validation by point cloud, made probabilistic.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from edgeguard import grain, objects
from edgeguard.checks.base import Scores, camera_or_lidar
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.types import Channel
from edgeguard.verdict import Cause, SubjectKind

# Of more returns than that, every second tells as much: the distribution's own width covers their noise.
_ENOUGH = 500.0
# Confidences at which a box is no claim and wholly one in the dark too: what networks see there besides
# holds returns of what it lies on (over 6 nats one in 400 on clean drives by night).
_BY_NIGHT = (0.4, 0.6)


class LidarSupportSettings(Settings):
    """Parameters of `lidar_support`."""

    min_expected_points: float = Field(
        8.0, gt=0, description="expected returns below which nothing can be told"
    )
    max_range_m: float = Field(40.0, gt=1, le=300, description="range beyond which nothing can be told, m")
    fill: float = Field(0.5, gt=0, le=1, description="share of a box whose returns come from its object")
    dispersion: float = Field(
        2.0, gt=0, le=100, description="shape of the negative binomial: smaller is wider"
    )


class LidarSupport:
    """See the module. Subjects are camera tracks."""

    name = "lidar_support"
    needs = frozenset({Channel.DETECTIONS, Channel.LIDAR})
    sees = frozenset({"phantom", "poster", "lidar_remove", "delay"})

    def __init__(self, settings: LidarSupportSettings) -> None:
        self.settings = settings

    def reset(self) -> None:
        """Nothing is remembered: one sweep and one frame tell."""

    def score(self, scene: Scene) -> list[Scores]:
        t, support = scene.tracks, scene.support
        if support is None:
            return [Scores.unobservable(SubjectKind.TRACK, t.id)]
        s = self.settings
        expected = s.fill * support.expected
        told = t.matched & scene.asserted & objects.SOLID[t.label] & ~scene.truncated & (scene.hidden < 0.3)
        told &= (expected >= s.min_expected_points) & (support.size_range <= s.max_range_m)
        told &= support.before <= 0.3 * expected
        surprise = loops.few_returns(support.on, expected, told.view(np.uint8), s.dispersion, _ENOUGH)
        grain.withdraw(surprise, scene.frame.image, t, _BY_NIGHT)
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                surprise,
                camera_or_lidar(scene.suspects_lidar),
                {
                    "expected_points": expected,
                    "found_points": support.on,
                    "points_behind": support.behind,
                    "size_range_m": support.size_range,
                },
            )
        ]

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        return (
            f"{measured['found_points']:.0f} LiDAR points where {measured['expected_points']:.0f} were "
            f"expected at {measured['size_range_m']:.0f} m"
        )
