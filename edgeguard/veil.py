"""How much of what a camera sees is the air's own light: fog, spray, smoke.

Between the camera and a thing, air takes light away and adds its own (Koschmieder, 1924). What is darkest in
the open, shadows under cars and open windows, is black without it, and where there is much of it shines with
the air's light alone: the darkest of a row is the most that the air can add there (the dark channel: K. He,
J. Sun, X. Tang, CVPR 2009). Air hides more of what is farther off: from the horizon down, rows tell of those
below them too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeguard.arrays import clamp
from edgeguard.compiled import loops
from edgeguard.types import F64, U8

# One in so many of a row is taken for a black thing.
_BLACK = 20
# No horizon is higher in the picture than that.
_HORIZON = 0.4
# Shares of full scale from which air hides, and at which a network's silence says nothing.
_THIN, _THICK = 0.25, 0.4
# Fog comes slowly, in shares of full scale per second. What comes faster is somebody's lamp.
_GATHERS = 0.05


def airlight(pixels: U8) -> F64:
    """Return (H,) the most that the air's light can be in each row of a picture, as a share of full scale."""
    k, horizon = pixels.shape[1] // _BLACK, int(_HORIZON * len(pixels))
    black = np.empty(len(pixels))
    black[horizon:] = loops.row_ranks(pixels, horizon, k) / 255.0
    black[:horizon] = black[horizon]
    out: F64 = np.minimum.accumulate(black)
    return out


def settled(before: F64 | None, now: F64, passed_s: float) -> F64:
    """Return (H,) what of the air's light has been there for long enough to be weather's."""
    if before is None or len(before) != len(now):
        return now
    out: F64 = np.minimum(now, before + _GATHERS * passed_s)
    return out


def hides(light: F64 | None, xyxy: F64, height_px: float) -> F64:
    """Return (N,) how far the air hides what stands in boxes: 0 not at all; 1, and its absence says nothing.

    Args:
        light: (H,) from `settled`; None for clear air.
        xyxy: (N, 4) boxes, pixels.
        height_px: of the picture.
    """
    if light is None or light[0] < _THIN:
        return np.zeros(len(xyxy))
    row = np.clip(xyxy[:, (1, 3)] * (len(light) / height_px), 0, len(light)).astype(np.intp)
    row[:, 0] = np.minimum(row[:, 0], len(light) - 1)
    row[:, 1] = np.maximum(row[:, 1], row[:, 0] + 1)
    summed = np.concatenate([[0.0], np.cumsum(light)])
    mean = (summed[row[:, 1]] - summed[row[:, 0]]) / (row[:, 1] - row[:, 0])
    return clamp((mean - _THIN) / (_THICK - _THIN), 0.0, 1.0)


def clear_of(light: F64 | None, at: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (N, 2) x, y in the picture that `light` is of; none where the air hides most of them.

    Those few that stand out of fog are the lowest of all, and speak for none of the others.
    """
    if light is None or light[0] < _THICK or 2 * np.count_nonzero(light[at[:, 1]] >= _THICK) <= len(at):
        return at
    return at[:0]


def excuse(surprise: F64, share: F64) -> None:
    """Take from (N,) surprisals, nats, the (N,) shares that the air excuses; NaN where that is all of it."""
    if share.any():
        surprise *= np.where(share < 1.0, 1.0 - share, np.nan)
