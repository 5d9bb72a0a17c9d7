"""`class_stability`: does a track keep its class?

Surprisal of a detection's class group under the track's own history (a Dirichlet predictive over groups,
counts weighted by score and fading over seconds; the last half second does not teach, so a flip that lasts
stays strange). Entropy and flips per second over the window are given beside it.

Unobservable: a track younger than the window, or without a detection on this frame.
Benign look-alikes: rider and bicycle, van and truck (both within a group or near it); identity switches.
Source: known practice; PercepGuard (USENIX Security 2023) uses the same inconsistency.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from edgeguard import objects
from edgeguard.checks.base import Scores
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
    prior: float = Field(0.03, gt=0, le=10, description="detections' worth of doubt that every class keeps")


class ClassStability:
    """See the module. Subjects are camera tracks."""

    name = "class_stability"
    needs = frozenset({Channel.DETECTIONS})

    def __init__(self, settings: ClassStabilitySettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._counts = np.zeros((CAPACITY, _GROUPS))
        self._recent = np.zeros((CAPACITY, _GROUPS))
        self._last = np.full(CAPACITY, -1, np.int64)
        self._flips = np.zeros(CAPACITY)

    def score(self, scene: Scene) -> list[Scores]:
        t = scene.tracks
        slot, group = t.slot, objects.GROUP[t.label]
        fresh = slot[t.is_new]
        self._counts[fresh] = self._recent[fresh] = 0.0
        self._flips[fresh] = 0.0
        self._last[fresh] = -1

        counts = self._counts[slot] @ _KINDRED + self.settings.prior
        share = counts / counts.sum(axis=1, keepdims=True)
        n = np.arange(len(t))
        told = scene.asserted & t.matched & (t.age_s >= self.settings.window_s) & (scene.hidden < 0.5)
        # A detection that is hardly believed is hardly evidence.
        surprise = -np.log(share[n, group]) * np.clip(t.score / 0.5, 0.0, 1.0)
        entropy = -(share * np.log(share)).sum(axis=1)

        flipped = t.matched & (self._last[slot] >= 0) & (self._last[slot] != group)
        self._last[slot] = np.where(t.matched, group, self._last[slot])
        fade = np.exp(-scene.dt_s / self.settings.memory_s)
        self._flips[slot] = self._flips[slot] * fade + flipped
        self._learn(scene, group, fade)
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                np.where(told, surprise, np.nan),
                (Cause.CAMERA,) * len(t),
                {
                    "class_share": share[n, group],
                    "entropy_nats": entropy,
                    "flips_per_s": self._flips[slot] / self.settings.memory_s,
                },
            )
        ]

    def _learn(self, scene: Scene, group: np.ndarray, fade: float) -> None:
        """Recent detections reach the history with half a second's delay, as an exponential queue."""
        t = scene.tracks
        slot = t.slot
        move = 1.0 - np.exp(-scene.dt_s / 0.5)
        moved = self._recent[slot] * move
        self._recent[slot] -= moved
        self._counts[slot] = self._counts[slot] * fade + moved
        seen = np.flatnonzero(t.matched)
        np.add.at(self._recent, (slot[seen], group[seen]), t.score[seen])

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        return f"class changed to one that made up {measured['class_share']:.1%} of the track's history"
