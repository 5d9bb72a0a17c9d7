"""Arithmetic on axis-aligned `xyxy` boxes, vectorised."""

from __future__ import annotations

import numpy as np

from edgeguard.types import F64


def area(boxes: F64) -> F64:
    """Return the (N,) areas of (N, 4) boxes; 0 for an empty one."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 0.0)
    product: F64 = size[:, 0] * size[:, 1]
    return product


def intersection(a: F64, b: F64) -> F64:
    """Return the (N, M) intersection areas of (N, 4) and (M, 4) boxes."""
    w = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    h = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    both: F64 = np.maximum(w, 0.0) * np.maximum(h, 0.0)
    return both


def iou(a: F64, b: F64) -> F64:
    """Return the (N, M) intersections over unions."""
    both = intersection(a, b)
    share: F64 = both / np.maximum(area(a)[:, None] + area(b)[None, :] - both, 1e-9)
    return share


def grown(boxes: F64, share: float | F64) -> F64:
    """Return the boxes with `share` (a number, or (N, 1)) of their width and height added on every side."""
    size = boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([boxes[:, :2] - share * size, boxes[:, 2:] + share * size], axis=1)


def to_center(boxes: F64) -> F64:
    """Return (N, 4) centre x, centre y, ln width, ln height."""
    size = np.maximum(boxes[:, 2:] - boxes[:, :2], 1.0)
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, np.log(size)], axis=1)


def from_center(state: F64) -> F64:
    """Undo `to_center`. Sizes are bounded: a filter without measurements must not overflow."""
    half = np.exp(np.minimum(np.maximum(state[:, 2:], -5.0), 12.0)) / 2
    return np.concatenate([state[:, :2] - half, state[:, :2] + half], axis=1)
