"""`birth_death`: objects appear at the edge of sight, far away or from behind something; and leave there.

Birth: how large a new track already was, away from the image's sides and from anything that could have hidden
it. Death: a well-held, unhidden track without a detection while it is predicted in plain view. Each counts
for the first part of a second. Alone it is weak, since detectors blink and people pass behind people. A near
vehicle that was held steadily is another matter: it is too large to be hidden at once, narrows while it
passes behind a corner, and a second's absence is no blink.

Unobservable: near the field of view's edge, behind an occluder, far away, the first second of a drive or
after a gap in the camera's stream.
Benign look-alikes: emergence from occlusion, doors, tunnel exits, detectors that blink.
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

_SETTLE_S = 1.0


class BirthDeathSettings(Settings):
    """Parameters of `birth_death`."""

    far_height_px: float = Field(
        40.0, gt=1, description="box height below which an object may appear from afar, px"
    )
    edge_px: float = Field(
        40.0, ge=0, description="distance to the image's side within which objects come and go, px"
    )
    window_s: float = Field(0.5, gt=0, le=5, description="how long a birth or death counts, s")
    held_s: float = Field(
        0.5, gt=0, le=10, description="uninterrupted detection before a death is strange, s"
    )


class BirthDeath:
    """See the module. Subjects are camera tracks."""

    name = "birth_death"
    needs = frozenset({Channel.DETECTIONS})
    sees = frozenset({"hide", "phantom"})

    def __init__(self, settings: BirthDeathSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._settled_s = 0.0
        self._memory = np.full((2, CAPACITY), np.nan)

    def score(self, scene: Scene) -> list[Scores]:
        t = scene.tracks
        self._settled_s = 0.0 if scene.dt_s >= 0.5 else self._settled_s + scene.dt_s
        if scene.frame.detections is None:
            return [Scores.unobservable(SubjectKind.TRACK, t.id)]
        surprise = loops.births_and_deaths(scene, self._settled_s > _SETTLE_S, self._memory, self.settings)
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                surprise,
                (Cause.CAMERA,) * len(t),
                {"age_s": t.age_s, "missed_s": t.missed_s, "height_px": t.height, "edge_px": scene.edge_px},
            )
        ]

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        if measured["missed_s"] > 0:
            verb = f"vanished in plain view {measured['missed_s']:.1f} s ago"
        else:
            verb = "appeared in the open"
        return f"{verb}, {measured['height_px']:.0f} px high, {measured['edge_px']:.0f} px from the side"
