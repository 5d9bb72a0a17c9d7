"""Outlines that camera and LiDAR share: where a body ends, range jumps and so, mostly, does brightness. Pure.

Levinson & Thrun (Automatic Online Calibration of Cameras and Lasers, RSS 2013) judge an extrinsic
calibration by how well the two coincide; over time the same coincidence tells a lag.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeguard.compiled import loops
from edgeguard.types import F32, F64, U8

STEP = 4
"""Pixels of the image per pixel of a gradient."""

CELL_X, CELL_Y = 4, 8
"""Pixels of the image across and down the finest cells that a sweep is looked at by."""

_JUMP = 1.15
_MAX_RANGE_M = 30.0
_MIN_HEIGHT_M = 0.5
_MAX_CONTRAST = 6.0
# Of gradients weaker than this, of the mean one, where they are strongest is noise.
_WEAK = 0.3
_ROWS_AROUND, _FAINT = 5, 2.0


@dataclass(frozen=True, slots=True, eq=False)
class DepthCells:
    """What a sweep gave per cell of the image, fine enough for outlines.

    Attributes:
        nearest: (R, C) float32 metres ahead of the nearest return, infinite without one.
        farthest: (R, C) float32 the same of the farthest, 0 without one.
        count: (R, C) int32 returns.
        cell: (N,) flat cell of each point.
    """

    nearest: F32
    farthest: F32
    count: NDArray[np.int32]
    cell: NDArray[np.int32]


def depth_cells(u: F32, v: F32, z: F32, size: tuple[float, float]) -> DepthCells:
    """Sort a sweep's points into cells.

    Args:
        u, v: (N,) columns and rows of pixels in the image.
        z: (N,) metres ahead.
        size: image width and height, pixels.
    """
    columns, rows = -int(-size[0] // CELL_X), -int(-size[1] // CELL_Y)
    return DepthCells(*loops.depth_cells(u, v, z, rows, columns, CELL_X, CELL_Y))


def side_rims(cells: DepthCells) -> NDArray[np.int64]:
    """Return (N, 2) x, y of near bodies' left and right rims, gradient pixels."""
    return loops.side_rims(cells.nearest, _MAX_RANGE_M, _JUMP, CELL_X, CELL_Y, STEP)


def top_rims(cells: DepthCells, z: F32, height: F32) -> NDArray[np.int64]:
    """Return (N, 2) x, y of near bodies' upper rims, gradient pixels; road is none.

    Args:
        cells: the sweep's cells.
        z: (N,) metres ahead of its points.
        height: (N,) metres above ground.
    """
    return loops.top_rims(
        cells.nearest, cells.cell, z, height, _MIN_HEIGHT_M, _MAX_RANGE_M, _JUMP, CELL_X, CELL_Y, STEP
    )


def gradient(pixels: U8, *, down: bool) -> F32:
    """Return (H, W) float32 how fast brightness changes across or down, over its mean and bounded.

    Down, the mean is that of the rows around: fog and glare take contrast from some rows more than from
    others, and a horizon runs through them all.

    Args:
        pixels: (H, W) a picture sampled every `STEP` pixels.
        down: along columns rather than along rows.
    """
    strength, rows = loops.sobel(pixels, down)
    if down:
        usual = np.asarray(cv2.blur(rows[:, None], (1, _ROWS_AROUND)), np.float64).ravel() + _FAINT
    else:
        usual = np.full(len(rows), rows.mean() + 1e-6)
    loops.bounded_share(strength, usual, _MAX_CONTRAST)
    return strength


def coincidence(strength: F32, at: NDArray[np.int64], shifts: NDArray[np.int64]) -> tuple[F64, int]:
    """Return (K,) the sum of gradients at edges moved by each of (K, 2) shifts, and of how many edges.

    Each edge counts alike, however strong the gradients about it: it says where they are strongest. Edges
    and shifts are x, y in gradient pixels. Edges that any shift moves out of the picture are left out, so
    that all shifts are judged by the same.
    """
    return loops.alignment(strength, at, shifts, _WEAK)


def peak(profile: Sequence[float]) -> float:
    """Return where a profile is highest, between its samples (a parabola through the highest three)."""
    i = max(range(len(profile)), key=profile.__getitem__)
    if i in (0, len(profile) - 1):
        return float(i)
    left, top, right = profile[i - 1 : i + 2]
    bend = left - 2 * top + right
    return i + (0.5 * (left - right) / bend if bend < 0 else 0.0)
