"""`lidar_support`: do enough LiDAR points lie on what the camera sees?

Expected returns follow from the box's area and the sweep's own density per row of the image, which scales as
N ≈ κ·W·H/(Z²·Δθ·Δφ); κ is the share of a box that reflects, per class. Found are the returns above ground
at about the range that the class' size implies. The score is −ln of the lower tail of a negative binomial.

Unobservable: expected returns below a handful, outside the LiDAR's view, beyond its useful range, hidden
behind something nearer, a class without a solid body.
Benign look-alikes: dark or wet paint, glass, rain, calibration error, time offset.
Source: Autoware's detected-object validation by point cloud, made probabilistic.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from edgeguard import objects
from edgeguard.checks.base import Scores, camera_or_lidar
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.types import F64, Channel
from edgeguard.verdict import Cause, SubjectKind

_ENOUGH = 500.0


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
        surprise = np.full(len(t), np.nan)
        surprise[told] = -np.log(np.maximum(_so_few(support.on[told], expected[told], s.dispersion), 1e-12))
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


def _so_few(found: F64, expected: F64, shape: float) -> F64:
    """Return (N,) probabilities of so few returns or fewer, by a negative binomial of mean `expected`.

    SciPy has it too, and takes longer to load, at the first sweep of a drive, than a frame may.
    """
    if not len(found):
        return np.zeros(0)
    # Of more than that many, every second tells as much: the distribution's own width covers their noise.
    share = np.minimum(1.0, _ENOUGH / np.maximum(expected, 1.0))
    found, expected = np.floor(found * share), np.maximum(expected * share, 1e-3)
    # More than expected surprises nobody, whatever the exact number.
    last = np.minimum(found, np.ceil(expected)).astype(np.intp)
    missed = expected / (shape + expected)
    k = np.arange(1, int(last.max()) + 1)
    terms = np.ones((len(last), len(k) + 1))
    np.cumprod((k + shape - 1.0) / k * missed[:, None], axis=1, out=terms[:, 1:])
    total = np.cumsum(terms, axis=1)[np.arange(len(last)), last]
    fewer: F64 = total * (1.0 - missed) ** shape
    return fewer
