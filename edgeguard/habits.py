"""What each subject was like while both sensors held it: against that, a disagreement is judged."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgeguard.arrays import clamp
from edgeguard.compiled import loops
from edgeguard.tracking.kalman import Slots
from edgeguard.types import F64

_MEMORY_S = 1.0
# A disagreement that has lasted this long is how things are.
_RUN_S = 1.0
_FLICKER_MEMORY_S = 2.0
# Frames' worth of agreement that a subject must earn against its own lapses.
_PRIOR_S = 0.5
# Hidden shares up to which a thing stands in the open, and from which it is half hidden.
_OPEN, _HALF = 0.25, 0.45


class Habits:
    """Per subject: how long both held it, how they overlapped, how far it was hidden, how often one lapsed.

    A run of disagreement does not teach until it is over: what lasts stays strange.
    """

    def __init__(self, capacity: int) -> None:
        self._memory = np.zeros((10, capacity))
        (
            self._held_s,
            self._overlap,
            self._hidden,
            self._belief,
            self._last,
            self._run_s,
            self._told_s,
            self._lapsed_s,
            _,
            self._open_lapsed_s,
        ) = self._memory

    def begin(self, slots: Slots) -> None:
        """Forget who had these slots before."""
        self._memory[:, slots] = 0.0

    def held_s(self, slots: Slots, now_s: F64) -> F64:
        """Return (S,) how long both held it before the present run, or until now without one."""
        running = (self._run_s[slots] > 0) & (self._run_s[slots] < _RUN_S)
        return np.where(running, np.maximum(self._held_s[slots], now_s), now_s)

    def overlap(self, slots: Slots) -> F64:
        """Return (S,) the usual overlap of both, 0 unknown."""
        overlap: F64 = self._overlap[slots]
        return overlap

    def hidden(self, slots: Slots) -> F64:
        """Return (S,) the usual hidden share."""
        hidden: F64 = self._hidden[slots]
        return hidden

    def belief(self, slots: Slots) -> F64:
        """Return (S,) the camera's score of late, its last one in half if that is less.

        Not the last alone: who takes an object from the camera lowers its score a frame before.
        """
        late = self._belief[slots]
        belief: F64 = np.minimum(late, 0.5 * (late + self._last[slots]))
        return belief

    def lapses(self, slots: Slots, hidden: F64 | None = None) -> F64:
        """Return (S,) share of the last seconds, before the present run, in which one did not see it.

        Args:
            slots: (S,) rows.
            hidden: (S,) hidden share now: of a thing in the open, only what lapsed in the open tells.
        """
        lapsed_s = self._lapsed_s[slots]
        if hidden is not None:
            share = clamp((hidden - _OPEN) / (_HALF - _OPEN), 0.0, 1.0)
            lapsed_s = self._open_lapsed_s[slots] + share * (lapsed_s - self._open_lapsed_s[slots])
        lapses: F64 = lapsed_s / (self._told_s[slots] + _PRIOR_S)
        return lapses

    def agreed_s(self, slots: Slots) -> F64:
        """Return (S,) for how long, of the last seconds before the present run, both saw it."""
        agreed: F64 = self._told_s[slots] - self._lapsed_s[slots]
        return agreed

    def learn(
        self,
        slots: Slots,
        told: NDArray[np.bool_],
        missed: NDArray[np.bool_],
        held_s: F64,
        overlap: F64,
        hidden: F64,
        score: F64,
        dt_s: float,
    ) -> None:
        """Take this frame in.

        Args:
            slots: (S,) rows.
            told: (S,) whether the other sensor could be expected to see it.
            missed: (S,) whether it did not.
            held_s: (S,) how long both have held it.
            overlap: (S,) of both, where it was not missed.
            hidden: (S,) hidden share.
            score: (S,) the camera's, where it was not missed; NaN where there is none.
            dt_s: since the frame before, s.
        """
        loops.habits_learn(
            self._memory, slots, told.view(np.uint8), missed.view(np.uint8), held_s, overlap, hidden, score,
            dt_s, math.exp(-dt_s / _MEMORY_S), math.exp(-dt_s / _FLICKER_MEMORY_S), _OPEN, _HALF,
        )  # fmt: skip
