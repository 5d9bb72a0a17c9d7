"""`confidence`: does the network lose faith in an object that stands in plain view?

An attack on a detector works on its score before it works on its boxes: a patch or projector pulls it down
while the object is as near and as free as before. The track's logit over the last third of a second is held
against its own level, which is learnt over seconds and only while the score is as usual. Nearer objects
score higher, so the level moves with ln h. What all tracks lose at once (sun, blur, dusk) is taken out. Only
a fall counts. The score is −ln of the lower tail of a Laplace law of the class' spread.

Unobservable: a track younger than its level needs, small, hidden, truncated or near the image's side.
Benign look-alikes: sun and shadow on a single object, a person who turns or bends, motion blur, occlusion by
what is no track (a post, a tree): it is weak evidence and asks for no more than caution.
Blind to: an object under attack from its first frame on; attacks that raise scores.
Source: Page's CUSUM (1954) on the detector's logit; the accumulation is the evidence's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from pydantic import Field

from edgeguard import objects
from edgeguard.arrays import clamp, median
from edgeguard.checks.base import Scores
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.tracking.camera import CAPACITY
from edgeguard.types import F64, Channel
from edgeguard.verdict import Cause, SubjectKind

# Beyond this score detectors saturate, and a logit means nothing.
_SURE = 0.95


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
        self._now = np.zeros(CAPACITY)
        self._usual = np.zeros(CAPACITY)
        self._spread = np.zeros(CAPACITY)
        self._known_s = np.zeros(CAPACITY)

    def score(self, scene: Scene) -> list[Scores]:
        t, s = scene.tracks, self.settings
        slot = t.slot
        p = clamp(t.score, 1.0 - _SURE, _SURE)
        logit = np.log(p / (1.0 - p))
        clear = t.matched & ~scene.truncated & (scene.hidden < 0.15) & (scene.edge_px > s.edge_px)
        clear &= ~scene.duplicate & (t.height >= s.min_height_px)
        fresh = t.is_new
        self._known_s[slot[fresh]] = 0.0
        return self._judge(scene, logit, clear)

    def _judge(self, scene: Scene, logit: F64, clear: np.ndarray) -> list[Scores]:
        t, s = scene.tracks, self.settings
        slot = t.slot
        known_s, now = self._known_s[slot], self._now[slot]
        first = clear & (known_s <= 0.0)
        follow = 1.0 - math.exp(-scene.dt_s / s.window_s)
        now = np.where(first, logit, now + np.where(clear, follow * (logit - now), 0.0))
        self._now[slot] = now
        # The level is kept at one apparent size: going away is no loss of faith.
        by_size = s.per_log_height * np.log(np.maximum(t.height, 1.0) / 100.0)
        usual = np.where(first, logit - by_size, self._usual[slot])
        self._usual[slot] = usual
        known = clear & (known_s >= s.min_age_s)
        fall = np.minimum(usual + by_size, math.log(_SURE / (1.0 - _SURE))) - now
        common = float(median(fall[known])) if np.count_nonzero(known) >= 4 else 0.0
        own = fall - max(common, 0.0)
        sigma = _SIGMA[t.label]
        surprise = np.maximum(own / sigma, 0.0)
        self._learn(scene, clear, first, fall, sigma)
        told = known & scene.asserted
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                np.where(told, surprise, np.nan),
                (Cause.CAMERA,) * len(t),
                {
                    "score": t.score,
                    "fall_logit": own,
                    "common_fall_logit": np.full(len(t), common),
                    "known_s": self._known_s[slot],
                },
            )
        ]

    def _learn(self, scene: Scene, clear: np.ndarray, first: np.ndarray, fall: F64, sigma: F64) -> None:
        """The level follows what is seen, at most by what is usual: a fall does not become the rule."""
        slot, known_s = scene.tracks.slot, self._known_s[scene.tracks.slot]
        # Like a mean at first, then fading.
        memory = clamp(known_s, scene.dt_s + 1e-6, self.settings.memory_s)
        step = np.where(clear & ~first, 1.0 - np.exp(-scene.dt_s / memory), 0.0)
        self._usual[slot] -= step * np.minimum(fall, sigma)
        self._known_s[slot] = known_s + np.where(clear, max(scene.dt_s, 1e-3), 0.0)

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        return (
            f"its score fell to {measured['score']:.2f} in plain view, {measured['fall_logit']:.1f} logits "
            "under its usual"
        )


# Scale of the Laplace law of falls, logits, by group.
_SPREAD: dict[str, float] = {"vehicle": 0.35, "cycle": 0.5, "person": 0.45, "sign": 0.5}
_SIGMA: F64 = np.array([_SPREAD[c.group] for c in objects.CLASSES])
