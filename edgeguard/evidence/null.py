"""How strange a check's scores are in a benign world: the null that a drive is measured against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeguard.types import F64


@dataclass(frozen=True, slots=True, eq=False)
class Null:
    """Survival function of a check's scores on clean drives, with an exponential tail beyond the data.

    Attributes:
        score: (K,) increasing scores.
        surprisal: (K,) −ln of the share of clean subjects at or above each, nats, increasing.
        tail: nats per unit of score beyond the last.
    """

    score: F64
    surprisal_at: F64
    tail: float

    def surprisal(self, score: F64) -> F64:
        """Return (N,) −ln p of scores; NaN stays NaN, infinity stays infinite."""
        beyond = np.maximum(score - self.score[-1], 0.0) * self.tail
        out: F64 = np.interp(score, self.score, self.surprisal_at) + beyond
        return out
