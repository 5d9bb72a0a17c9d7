"""`class_stability`: does a track keep its class?

Surprisal of a detection's class group under the track's own history (a Dirichlet predictive over groups,
counts weighted by score and fading over seconds; the present run of a class does not teach, so a flip that
lasts stays strange). Entropy and flips per second over the window are given beside it.

Unobservable: a track younger than the window, or without a detection on this frame.
Benign look-alikes: rider and bicycle, van and truck (both within a group or near it); identity switches.
Source: known practice; PercepGuard (USENIX Security 2023) uses the same inconsistency.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard import objects
from edgeguard.arrays import clamp
from edgeguard.checks.base import Scores
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.tracking.camera import CAPACITY, Tracks
from edgeguard.tracking.kalman import Slots
from edgeguard.types import F64, I64, Channel
from edgeguard.verdict import Cause, SubjectKind

_GROUPS = len(objects.GROUPS)
# Riders are boxed as person or cycle, and a cycle beside a person as either: weigh that confusion less.
_KINDRED = np.eye(_GROUPS)
for _a, _b in (("person", "cycle"), ("cycle", "person")):
    _KINDRED[objects.GROUPS.index(_a), objects.GROUPS.index(_b)] = 0.5
# Gait changes a person's width by a half, and a car that turns does within a second: another body by more.
_RESHAPED = 0.5
_SHAPE_MEMORY_S = 0.3


class ClassStabilitySettings(Settings):
    """Parameters of `class_stability`."""

    window_s: float = Field(
        0.5, gt=0, le=10, description="history a track needs before its class is judged, s"
    )
    memory_s: float = Field(5.0, gt=0, le=60, description="time over which the class history fades, s")
    min_detections: float = Field(3.0, gt=0, le=100, description="detections' worth of history to judge by")
    prior: float = Field(0.003, gt=0, le=10, description="detections' worth of doubt that every class keeps")


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
        self._run = np.zeros(CAPACITY)
        self._run_group = np.full(CAPACITY, -1, np.int64)
        self._run_s = np.zeros(CAPACITY)
        self._flips = np.zeros(CAPACITY)
        self._shape = np.full(CAPACITY, np.nan)

    def score(self, scene: Scene) -> list[Scores]:
        t = scene.tracks
        slot, group = t.slot, objects.GROUP[t.label]
        self._follow(scene, group)
        n = np.arange(len(t))
        history = self._counts[slot]
        counts = history @ _KINDRED + self.settings.prior
        share = counts / np.add.reduce(counts, axis=1, keepdims=True)
        known = np.add.reduce(history, axis=1) >= self.settings.min_detections
        told = scene.asserted & t.matched & (t.age_s >= self.settings.window_s) & (scene.hidden < 0.8)
        # A detection that is hardly believed is hardly evidence.
        own, log = share[n, group], np.log(share)
        surprise = np.where(known, -log[n, group] * clamp(t.score / 0.5, 0.0, 1.0), 0.0)
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                np.where(told, surprise, np.nan),
                (Cause.CAMERA,) * len(t),
                {
                    "class_share": own,
                    "entropy_nats": -np.add.reduce(share * log, axis=1),
                    "flips_per_s": self._flips[slot] / self.settings.memory_s,
                },
            )
        ]

    def _follow(self, scene: Scene, group: I64) -> None:
        """Keep each track's history and its present run of one class apart: a run is judged by what preceded.

        A run that outlasts the memory, or that ends, becomes history.
        """
        t = scene.tracks
        slot = t.slot
        self._forget(slot[t.is_new | self._swapped(t, group)])
        fade = math.exp(-scene.dt_s / self.settings.memory_s)
        counts, run_group, run_s = self._counts[slot] * fade, self._run_group[slot], self._run_s[slot]
        self._counts[slot] = counts

        flipped = t.matched & (run_group != group)
        # While the class is the one that history knows, its run is history too.
        own = counts[np.arange(len(slot)), group] >= 0.5 * np.add.reduce(counts, axis=1)
        settle = flipped | own | (run_s > self.settings.memory_s / 2)
        had_run = run_group >= 0
        done = slot[settle & t.matched & had_run]
        self._counts[done, self._run_group[done]] += self._run[done]
        self._run[done] = 0.0
        self._flips[slot] = self._flips[slot] * fade + (flipped & had_run)
        self._run_s[slot] = np.where(flipped, 0.0, run_s + scene.dt_s)
        self._run_group[slot] = np.where(t.matched, group, run_group)
        self._run[slot] += np.where(t.matched, t.score, 0.0)
        shape, usual = _shape(t), self._shape[slot]
        follow = 1.0 - math.exp(-scene.dt_s / _SHAPE_MEMORY_S)
        known = np.where(np.isnan(usual), shape, usual + follow * (shape - usual))
        self._shape[slot] = np.where(t.matched & (own | np.isnan(usual)), known, usual)

    def _swapped(self, t: Tracks, group: I64) -> NDArray[np.bool_]:
        """(N,) whether a track is on another body than the one whose class is known.

        Whoever walks past a car may take over its track, however slowly, and the box is then not of the shape
        that it had while it was of its old class. A flip leaves the box as it is.
        """
        counts = self._counts[t.slot]
        other = counts[np.arange(len(t)), group] < 0.5 * np.add.reduce(counts, axis=1)
        swapped: NDArray[np.bool_] = t.matched & other & (np.abs(_shape(t) - self._shape[t.slot]) > _RESHAPED)
        return swapped

    def _forget(self, slots: Slots) -> None:
        self._counts[slots] = 0.0
        self._run[slots] = self._run_s[slots] = self._flips[slots] = 0.0
        self._run_group[slots] = -1
        self._shape[slots] = np.nan

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        return f"class changed to one that made up {measured['class_share']:.1%} of the track's history"


def _shape(t: Tracks) -> F64:
    """(N,) ln(width/height) of boxes."""
    shape: F64 = np.log(np.maximum(t.width, 1.0) / np.maximum(t.height, 1.0))
    return shape
