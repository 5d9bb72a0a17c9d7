"""How each camera box sits on its LiDAR object, and how far it has slid from there."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgeguard.compiled import loops
from edgeguard.tracking.kalman import Slots
from edgeguard.types import F64, I64

_MEMORY_S = 1.0
# Jitter of a box's sides against its object's: share of its width, and pixels. Limbs swing.
_JITTER_RIGID, _JITTER_LIMBED = 0.04, 0.05
_JITTER_PX = 1.2
_UNKNOWN = 1.3
_OFF = 2.5
_JUMP = 0.3
_SWAP = 0.12


class Seats:
    """Per track: where its box's sides lie on its object's, in widths, and how they usually jitter.

    Both sides must have moved the same way: a box that is cut by what hides it moves one side only.
    """

    def __init__(self, capacity: int) -> None:
        self._partner = np.full(capacity, -1, np.int64)
        self._memory = np.zeros((6, capacity))

    def follow(
        self,
        slots: Slots,
        is_new: NDArray[np.bool_],
        partner: I64,
        box: F64,
        other: F64,
        elsewhere: NDArray[np.bool_],
        limbed: NDArray[np.bool_],
        dt_s: float,
    ) -> tuple[F64, F64]:
        """Return (S,) how far each slid, in standard deviations, and (S,) how long the pair is known, s.

        Args:
            slots: (S,) rows of the tracks.
            is_new: (S,) whether a track began now.
            partner: (S,) identity of its object.
            box: (S, 4) its box.
            other: (S, 4) its object's box.
            elsewhere: (S,) whether its box lies on another object rather than on its own.
            limbed: (S,) whether it is a person's or rider's.
            dt_s: since the frame before, s.
        """
        return loops.seats_follow(
            self._partner, self._memory, slots, is_new.view(np.uint8), partner, box, other,
            elsewhere.view(np.uint8), limbed.view(np.uint8), dt_s, 1.0 - math.exp(-dt_s / _MEMORY_S),
            _JITTER_RIGID, _JITTER_LIMBED, _JITTER_PX, _UNKNOWN, _OFF, _JUMP, _SWAP,
        )  # fmt: skip
