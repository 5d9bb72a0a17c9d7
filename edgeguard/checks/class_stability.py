"""`class_stability`: does a track keep its class?

Surprisal of a detection's class group under the track's own history (a Dirichlet predictive over groups,
counts weighted by score and fading over seconds; the present run of a class does not teach, so a flip that
lasts stays strange). Entropy and flips per second over the window are given beside it.

Unobservable: a track younger than the window, or without a detection on this frame, or with a box of a few
pixels, whose class is a guess and whose track hops to the next speck, or in fog.
Benign look-alikes: rider and bicycle, van and truck (both within a group or near it); identity switches.
Source: known practice; PercepGuard (USENIX Security 2023) uses the same inconsistency.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from edgeguard import objects, veil
from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.tracking.camera import CAPACITY
from edgeguard.types import Channel
from edgeguard.verdict import Cause, SubjectKind

_GROUPS = len(objects.GROUPS)
# Riders are boxed as person or cycle, and a cycle beside a person as either: weigh that confusion less.
_KINDRED = np.eye(_GROUPS)
for _a, _b in (("person", "cycle"), ("cycle", "person")):
    _KINDRED[objects.GROUPS.index(_a), objects.GROUPS.index(_b)] = 0.5


class ClassStabilitySettings(Settings):
    """Parameters of `class_stability`."""

    window_s: float = Field(
        0.5, gt=0, le=10, description="history a track needs before its class is judged, s"
    )
    memory_s: float = Field(5.0, gt=0, le=60, description="time over which the class history fades, s")
    min_detections: float = Field(3.0, gt=0, le=100, description="detections' worth of history to judge by")
    prior: float = Field(0.003, gt=0, le=10, description="detections' worth of doubt that every class keeps")
    min_height_px: float = Field(
        16.0, gt=1, description="height of a box below which its class is a guess and its track hops, px"
    )


class ClassStability:
    """See the module. Subjects are camera tracks."""

    name = "class_stability"
    needs = frozenset({Channel.DETECTIONS})
    sees = frozenset({"class_flip"})

    def __init__(self, settings: ClassStabilitySettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._counts = np.zeros((CAPACITY, _GROUPS))
        self._called = np.zeros((loops.CALLED, CAPACITY))

    def score(self, scene: Scene) -> list[Scores]:
        t = scene.tracks
        surprise, share, entropy, flips = loops.class_surprisal(
            scene, self._counts, self._called, _KINDRED, self.settings
        )
        veil.excuse(surprise, scene.veiled)
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                surprise,
                (Cause.CAMERA,) * len(t),
                {"class_share": share, "entropy_nats": entropy, "flips_per_s": flips},
            )
        ]

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        return f"class changed to one that made up {measured['class_share']:.1%} of the track's history"
