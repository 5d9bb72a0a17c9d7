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
from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.types import Channel
from edgeguard.verdict import Cause, SubjectKind

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
        surprise, shift, size = loops.leaps(scene, _SPREAD, self.settings.tail)
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                surprise,
                (Cause.CAMERA,) * len(t),
                {"shift_sigma": shift, "size_sigma": size},
            )
        ]

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        return (
            f"box moved {measured['shift_sigma']:.1f} and changed size {measured['size_sigma']:.1f} standard "
            "deviations off its path"
        )
