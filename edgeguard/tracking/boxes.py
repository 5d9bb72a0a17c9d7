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
    ax0, ay0, ax1, ay1 = a.T[:, :, None]
    bx0, by0, bx1, by1 = b.T
    w: F64 = np.minimum(ax1, bx1)
    h = np.minimum(ay1, by1)
    w -= np.maximum(ax0, bx0)
    h -= np.maximum(ay0, by0)
    np.maximum(w, 0.0, out=w)
    np.maximum(h, 0.0, out=h)
    w *= h
    return w


def iou(a: F64, b: F64) -> F64:
    """Return the (N, M) intersections over unions."""
    return shares(a, b)[0]


def shares(a: F64, b: F64) -> tuple[F64, F64]:
    """Return the (N, M) intersections over unions, and the shares of each `a` that each `b` covers."""
    both = intersection(a, b)
    own = area(a)[:, None]
    union = own + (own.T if a is b else area(b))
    union -= both
    np.maximum(union, 1e-9, out=union)
    return both / union, both / np.maximum(own, 1e-9)


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
