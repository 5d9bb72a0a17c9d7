"""A generator of clean driving, fitted to drives: what is promised against what happens over many hours.

A drive's subjects are drawn anew with replacement at the rate at which they came, whole, as frames of one
subject depend on each other. Within a subject its frames are shuffled in blocks (stationary bootstrap:
Politis & Romano, JASA 1994), its life is stretched or shortened and its scores are scaled a little, so that
spells of strangeness come out longer, shorter and stronger than those seen: the tail is continued, not cut.
The scores then pass the evidence that runs on the vehicle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgeguard.calibrate.drive import DriveLog
from edgeguard.checks import Scores
from edgeguard.evidence import Evidence, EvidenceSettings
from edgeguard.evidence.thresholds import Key
from edgeguard.types import F64
from edgeguard.verdict import Cause

_BLOCK_S = 3.0
_LIFE_SHAPE = 4.0
_JITTER = 0.15
_BATCH = 20_000
_SAME_S = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Subjects:
    """Subjects of one check and kind that ever looked strange: the others cannot alarm however shuffled."""

    scores: tuple[F64, ...]
    per_hour: float
    dt_s: float


class Generator:
    """Clean driving of any length, after some drives; the same seed gives the same."""

    def __init__(self, logs: Sequence[DriveLog], settings: EvidenceSettings) -> None:
        self._settings = settings
        hours = sum(log.hours for log in logs)
        self._subjects: dict[Key, _Subjects] = {}
        for key in sorted({k for log in logs for k in log.courses}):
            scores, steps = [], []
            for log in logs:
                alive = {i for i, _ in log.peaks(key)}
                for i, course in log.courses.get(key, {}).items():
                    if i in alive:
                        # Facts are exempt from the budget.
                        scores.append(np.where(np.isposinf(course.score), np.nan, course.score))
                        steps.append(course.dt_s)
            if scores:
                dt_s = float(np.median(np.concatenate(steps)))
                self._subjects[key] = _Subjects(tuple(scores), len(scores) / hours, dt_s)

    def alarms(self, thresholds: Mapping[Key, float], hours: float, seed: int) -> dict[Key, int]:
        """Return the alarms per check and kind in so many hours.

        An alarm that returns on its subject within half a second is the same.
        """
        out: dict[Key, int] = {}
        for n, (key, subjects) in enumerate(self._subjects.items()):
            if key in thresholds:
                rng = np.random.default_rng([seed, n])
                left = int(rng.poisson(subjects.per_hour * hours))
                out[key] = 0
                while left > 0:
                    count = min(left, _BATCH)
                    out[key] += self._batch(key, subjects, thresholds[key], count, rng)
                    left -= count
        return out

    def _batch(
        self, key: Key, subjects: _Subjects, threshold: float, count: int, rng: np.random.Generator
    ) -> int:
        flat = np.concatenate(subjects.scores)
        size = np.array([len(s) for s in subjects.scores])
        first = np.cumsum(size) - size
        pick = rng.integers(len(size), size=count)
        life = np.ceil(size[pick] * rng.gamma(_LIFE_SHAPE, 1.0 / _LIFE_SHAPE, count)).astype(np.int64)
        order = np.argsort(-life)
        pick, life = pick[order], life[order]
        scale = rng.lognormal(0.0, _JITTER, count)
        at = rng.integers(size[pick])
        evidence = Evidence(self._settings, 1, {key: threshold})
        ids = np.arange(count)
        stamp_ns = 0
        quiet = np.full(count, np.inf)
        alarms = 0
        jump = min(1.0, subjects.dt_s / _BLOCK_S)
        for t in range(int(life[0])):
            n = int(np.searchsorted(-life, -t))  # those still alive come first
            own = pick[:n]
            new = rng.random(n) < jump
            at[:n] = np.where(new, rng.integers(size[own]), (at[:n] + 1) % size[own])
            score = flat[first[own] + at[:n]] * scale[:n]
            stamp_ns += round(subjects.dt_s * 1e9)
            told = Scores(key[1], ids[:n], score, (Cause.UNKNOWN,) * n)
            raised = evidence.update(key[0], told, stamp_ns, subjects.dt_s).raised
            alarms += int(np.count_nonzero(raised & (quiet[:n] > _SAME_S)))
            quiet[:n] = np.where(raised, 0.0, quiet[:n] + subjects.dt_s)
        return alarms
