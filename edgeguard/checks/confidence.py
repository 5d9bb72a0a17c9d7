"""`confidence`: does the network lose faith in an object that stands in plain view?

An attack on a detector works on its score before it works on its boxes: a patch or projector pulls it down
while the object is as near and as free as before. The track's logit over the last third of a second is held
against its own level, which is learnt over seconds and only while the score is as usual. Nearer objects
score higher, so the level moves with ln h. What all tracks lose at once (sun, blur, dusk) is taken out. Only
a fall counts. The score is −ln of the lower tail of a Laplace law of the class' spread.

Unobservable: a track younger than its level needs, small, hidden, truncated or near the image's side,
or in fog.
Benign look-alikes: sun and shadow on a single object, a person who turns or bends, motion blur, occlusion by
what is no track (a post, a tree): it is weak evidence and asks for no more than caution.
Blind to: an object under attack from its first frame on; attacks that raise scores.
Source: Page's CUSUM (1954) on the detector's logit; the accumulation is the evidence's.
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
from edgeguard.types import F64, Channel
from edgeguard.verdict import Cause, SubjectKind

# Scale of the Laplace law of falls, logits, by group.
_SPREAD: dict[str, float] = {"vehicle": 0.35, "cycle": 0.5, "person": 0.45, "sign": 0.5}
_SIGMA: F64 = np.array([_SPREAD[c.group] for c in objects.CLASSES])


class ConfidenceSettings(Settings):
    """Parameters of `confidence`."""

    window_s: float = Field(0.3, gt=0, le=5, description="time over which the present score is averaged, s")
    memory_s: float = Field(3.0, gt=0, le=60, description="time over which the usual score is learnt, s")
    min_age_s: float = Field(1.0, gt=0, le=30, description="observation that a track's usual score needs, s")
    min_height_px: float = Field(25.0, gt=1, description="height of a box below which scores flicker, px")
    edge_px: float = Field(40.0, ge=0, description="distance to the side within which scores fall, px")
    per_log_height: float = Field(
        1.0, ge=0, le=10, description="how much a logit rises while a box grows by a factor of e"
    )


class Confidence:
    """See the module. Subjects are camera tracks."""

    name = "confidence"
    needs = frozenset({Channel.DETECTIONS})
    sees = frozenset({"patch", "hide"})

    def __init__(self, settings: ConfidenceSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._memory = np.zeros((loops.CONFIDENCES, CAPACITY))

    def score(self, scene: Scene) -> list[Scores]:
        t = scene.tracks
        surprise, fall, common, known_s = loops.lost_faith(scene, self._memory, _SIGMA, self.settings)
        veil.excuse(surprise, scene.veiled)
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                surprise,
                (Cause.CAMERA,) * len(t),
                {"score": t.score, "fall_logit": fall, "common_fall_logit": common, "known_s": known_s},
            )
        ]

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        return (
            f"its score fell to {measured['score']:.2f} in plain view, {measured['fall_logit']:.1f} logits "
            "under its usual"
        )
