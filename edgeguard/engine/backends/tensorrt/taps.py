"""Where each pixel of the network's input comes from: OpenCV's bilinear weights, once per layout."""

from __future__ import annotations

import numpy as np

from edgeguard.engine.preprocess import Placement
from edgeguard.engine.spec import InputSpec
from edgeguard.types import I32

_ONE = np.float32(2048)
"""OpenCV's fixed point for bytes: 11 bits."""


def taps(placement: Placement, network: InputSpec) -> I32:
    """Return (width + height, 3): for each column, then row, source pixel, its weight, the next one's.

    Pixels are those of the image; -1 is padding. Weights are 2048ths.
    """
    p, r = placement, placement.region
    columns = _axis(p.x, p.width, r.x, r.width, network.width)
    rows = _axis(p.y, p.height, r.y, r.height, network.height)
    return np.concatenate([columns, rows])


def _axis(start: int, length: int, source_start: int, source_length: int, total: int) -> I32:
    """Half-pixel centres in double, then single precision, borders replicated: as cv2.resize has it."""
    at = ((np.arange(length) + 0.5) * (source_length / length) - 0.5).astype(np.float32)
    low = np.floor(at).astype(np.int32)
    weight = at - low.astype(np.float32)
    outside = (low < 0) | (low >= source_length - 1)
    weight[outside] = 0
    low = np.clip(low, 0, source_length - 1)
    out = np.full((total, 3), (-1, 0, 0), np.int32)
    out[start : start + length, 0] = low + source_start
    out[start : start + length, 1] = np.rint((np.float32(1) - weight) * _ONE)
    out[start : start + length, 2] = np.rint(weight * _ONE)
    return out
