"""What NumPy's general functions take ten times as long for on the dozen numbers of a frame's subjects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeguard.types import F64


def clamp(x: F64, low: float, high: float) -> F64:
    """Return `x` kept to [low, high]; NaN stays."""
    out: F64 = np.minimum(np.maximum(x, low), high)
    return out


def median(x: NDArray[np.number]) -> F64:
    """Return the median of an array's rows, of which there is at least one; none may hold NaN."""
    ordered = np.sort(x, axis=0)
    middle: F64 = (ordered[(len(x) - 1) // 2] + ordered[len(x) // 2]) / 2
    return middle
