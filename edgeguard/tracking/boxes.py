"""Arithmetic on axis-aligned `xyxy` boxes, (N, 4) float64.

`area` (N,); `intersection` and `iou` (N, M); `shares`: (N, M) intersections over unions, and the shares of
each `a` that each `b` covers; `covered`: (N,) the largest share of a box that a box standing lower in the
image covers, not its twin. An empty box has no area and overlaps nothing.
"""

from __future__ import annotations

import numpy as np

from edgeguard.compiled.loops import area, covered, intersection, iou, shares
from edgeguard.types import F64

__all__ = ["area", "covered", "grown", "intersection", "iou", "shares", "to_center"]


def grown(boxes: F64, share: float | F64) -> F64:
    """Return the boxes with `share` (a number, or (N, 1)) of their width and height added on every side."""
    size = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] - share * size, boxes[:, 2:] + share * size], axis=1)


def to_center(boxes: F64) -> F64:
    """Return (N, 4) centre x, centre y, ln width, ln height."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, np.log(size)], axis=1)
