"""How each camera box sits on its LiDAR object, and how far it has slid from there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
        self._known_s = np.zeros(capacity)
        self._offset = np.zeros((capacity, 2))
        self._variance = np.zeros(capacity)
        self._moved = np.zeros((capacity, 2))

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
        width = np.maximum(box[:, 2] - box[:, 0], 1.0)
        offset = (box[:, (0, 2)] - other[:, (0, 2)]) / width[:, None]
        jitter = np.hypot(np.where(limbed, _JITTER_LIMBED, _JITTER_RIGID), _JITTER_PX / width)
        fresh = is_new | (self._partner[slots] != partner)
        self._partner[slots] = partner
        self._variance[slots] = np.where(fresh, (_UNKNOWN * jitter) ** 2, self._variance[slots])
        self._moved[slots[fresh]] = 0.0
        moved = np.where(fresh[:, None], 0.0, offset - self._offset[slots])
        # Nothing slides far at once: the box is on another thing now, or the object is another one.
        jump = np.abs(moved - self._moved[slots]).min(axis=1)
        fresh |= jump > np.where(elsewhere, _SWAP, _JUMP)
        moved[fresh] = 0.0
        self._offset[slots[fresh]] = offset[fresh]
        self._moved[slots] = moved
        self._known_s[slots] = np.where(fresh, 0.0, self._known_s[slots] + dt_s)
        slid = np.where(moved[:, 0] * moved[:, 1] > 0, np.abs(moved).min(axis=1), 0.0)
        off = slid / np.maximum(np.sqrt(self._variance[slots]), jitter)
        # What is off does not teach where the box sits.
        learn = np.where(off < _OFF, 1.0 - np.exp(-dt_s / _MEMORY_S), 0.0)
        self._offset[slots] += learn[:, None] * moved
        self._variance[slots] += learn * (slid**2 - self._variance[slots])
        return off, self._known_s[slots]
