"""`expansion`: does a box grow as fast as its object comes nearer?

An object's height in the image is f·H/Z, so ḣ/h = −Ż/Z (the inverse of the time to contact, Lee 1976), for
any size and any motion. Growth is a line fitted to ln h over half a second, closing a line fitted to
ln Z of the LiDAR's nearest face. Without LiDAR, what cannot move (a sign) comes nearer as fast as the vehicle
drives. The score is −ln of the two-sided tail of their difference.

Unobservable: range unknown or its body just changed, a box that is small, truncated or half hidden, its foot
hidden, a vehicle that turns fast, a track younger than the fit needs.
Benign look-alikes: a nearer body entering the box, detectors that let boxes breathe, long vehicles turning
(the face that gives the range is not the one that gives the height).
Blind to: an attack that lets box and range change together; a box of wrong but constant scale.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.tracking.camera import CAPACITY
from edgeguard.types import Channel
from edgeguard.verdict import Cause, SubjectKind


class ExpansionSettings(Settings):
    """Parameters of `expansion`."""

    memory_s: float = Field(
        0.5, gt=0, le=5, description="time over which both are fitted, s; longer is surer, but later"
    )
    min_age_s: float = Field(0.6, gt=0, le=10, description="observation that a fit needs, s")
    min_height_px: float = Field(30.0, gt=1, description="box height below which growth is noise, px")
    max_range_m: float = Field(50.0, gt=1, le=300, description="range beyond which nothing can be told, m")
    box_noise: float = Field(
        0.025, gt=0, le=1, description="noise of ln height; larger tolerates boxes that breathe"
    )
    range_noise_m: float = Field(0.15, ge=0, le=5, description="noise of the nearest face's range, m")
    max_turn_rad_s: float = Field(
        0.3, gt=0, le=5, description="own turn rate above which a sign tells nothing, rad/s"
    )
    tail: float = Field(
        4.0, gt=1, le=50, description="degrees of freedom of the difference's heavy-tailed null"
    )


class Expansion:
    """See the module. Subjects are camera tracks."""

    name = "expansion"
    needs = frozenset({Channel.DETECTIONS})
    sees = frozenset({"box_drift"})

    def __init__(self, settings: ExpansionSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._lines = np.zeros((CAPACITY, 7))
        self._memory = np.zeros((2, CAPACITY))

    def score(self, scene: Scene) -> list[Scores]:
        t = scene.tracks
        surprise, growth, closing, range_m, sigma = loops.growth_against_closing(
            scene, self._lines, self._memory, self.settings
        )
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                surprise,
                (Cause.CAMERA,) * len(t),
                {"growth_per_s": growth, "closing_per_s": closing, "range_m": range_m, "sigma": sigma},
            )
        ]

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        return (
            f"box grows by {measured['growth_per_s']:+.0%} a second while its object at "
            f"{measured['range_m']:.0f} m comes nearer by {measured['closing_per_s']:+.0%}"
        )
