"""`box_motion`: does a box move, grow and change shape as its object can?

The innovation of the track's filter, as a normalised χ² over centre, size and aspect, against a heavy-tailed
null: boxes jitter by a few percent of their size, and an object of known range cannot leave its place faster
than its class accelerates.

Unobservable: the first frames of a track, a box cut by the image's border or half hidden.
Benign look-alikes: pitching over bumps moves all boxes at once (their common motion is taken out),
occlusion changes a box's shape.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from edgeguard import objects
from edgeguard.arrays import median
from edgeguard.checks.base import Scores
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.types import Channel
from edgeguard.verdict import Cause, SubjectKind

_MIN_HITS = 4
# Spread of clean residuals in the tracker's own, generous, standard deviations (centre x, y, ln width,
# height),
# measured on six KITTI tracking drives. A gait and a pedalling leg change a box more than a turning car does.
_RIGID, _LIMBED = (0.65, 0.45, 0.9, 0.5), (1.3, 0.9, 1.5, 1.2)
_SPREAD = np.array([_LIMBED if c.group in ("person", "cycle") else _RIGID for c in objects.CLASSES])


class BoxMotionSettings(Settings):
    """Parameters of `box_motion`."""

    tail: float = Field(
        4.0, gt=1, le=50, description="degrees of freedom of the residuals' heavy-tailed null"
    )


class BoxMotion:
    """See the module. Subjects are camera tracks."""

    name = "box_motion"
    needs = frozenset({Channel.DETECTIONS})
    sees = frozenset({"box_drift"})

    def __init__(self, settings: BoxMotionSettings) -> None:
        self.settings = settings

    def reset(self) -> None:
        """Nothing is remembered: the tracker does."""

    def score(self, scene: Scene) -> list[Scores]:
        t = scene.tracks
        told = t.matched & (t.hits >= _MIN_HITS) & scene.asserted & ~scene.truncated & (scene.hidden < 0.3)
        residual, sigma = t.residual.copy(), t.residual_sigma * _SPREAD[t.label]
        if np.count_nonzero(told) >= 4:
            residual[:, :2] -= median(residual[told, :2])
        # What the class can do on the ground within one interval is no surprise.
        rig = scene.rig
        if rig is not None:
            reach = 0.5 * objects.MAX_ACCELERATION[t.label] * max(scene.dt_s, 0.02) ** 2
            sigma[:, 0] = np.hypot(sigma[:, 0], rig.camera.focal * reach / np.maximum(scene.size_range, 1.0))
        z = np.where(told[:, None], residual / sigma, np.nan)
        shift, size = np.maximum.reduceat(np.abs(z), (0, 2), axis=1).T
        worst = np.maximum(shift, size)
        # Student-t tail, all four components: −ln(4·p), never below 0.
        nu = self.settings.tail
        surprise = np.maximum(0.0, 0.5 * (nu + 1) * np.log1p(worst**2 / nu) - np.log(4.0))
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                np.where(told, surprise, np.nan),
                (Cause.CAMERA,) * len(t),
                {
                    "shift_sigma": shift,
                    "size_sigma": size,
                },
            )
        ]

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        return (
            f"box moved {measured['shift_sigma']:.1f} and changed size {measured['size_sigma']:.1f} standard "
            "deviations off its path"
        )
