"""How far the LiDAR saw in each direction: what a sweep proves to be free, and where nothing came back.

Pure functions on image cells, so that camera and LiDAR speak of the same directions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeguard.compiled import loops
from edgeguard.edges import CELL_X, CELL_Y, DepthCells
from edgeguard.types import F32, I64

CELL_PX = CELL_Y


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """One sweep's reach per image cell of `CELL_PX` pixels.

    Attributes:
        stamp_ns: the sweep's stamp.
        near: (R, C) float32 range of the nearest return, metres; infinite without one.
        far: (R, C) float32 range of the farthest return, metres; 0 without one.
        count: (R, C) how many.
    """

    stamp_ns: int
    near: F32
    far: F32
    count: I64


def look(stamp_ns: int, cells: DepthCells) -> Sight:
    """Return how far a sweep saw, from what the finest cells of the image hold of it."""
    return Sight(stamp_ns, *loops.wider_cells(cells.nearest, cells.farthest, cells.count, CELL_PX // CELL_X))


def was_free(before: Sight, uv: F32, z: F32, closing_m: float) -> NDArray[np.bool_]:
    """Return (N,) whether the sweep before saw well beyond where points are now.

    Args:
        before: how far the sweep before saw.
        uv: (N, 2) pixels of the points.
        z: (N,) their ranges, metres.
        closing_m: how far a body may have come straight on.
    """
    reach = before.far[(uv[:, 1] / CELL_PX).astype(np.intp), (uv[:, 0] / CELL_PX).astype(np.intp)]
    free: NDArray[np.bool_] = reach > z + closing_m
    return free


def emerging_m(before: Sight, uv: F32, z: F32, focal: float, closing_m: float) -> float:
    """Return how far a body must have come since the sweep before, to stand where it stands now.

    Args:
        before: how far the sweep before saw.
        uv: (N, 2) pixels of the returns on the body.
        z: (N,) their ranges, metres.
        focal: horizontal focal length, pixels.
        closing_m: how far it may have come straight on.

    Returns:
        Metres sideways from the nearest place that was hidden or out of view, to its far side in the open;
        0 where it may have stood there all along: its place was not seen to be free.
    """
    row, column = (uv[:, 1] / CELL_PX).astype(np.intp), (uv[:, 0] / CELL_PX).astype(np.intp)
    reach = before.far[row, column]
    known = reach > 0
    if np.count_nonzero(known) < 0.5 * len(z) or np.mean(reach[known] > z[known] + closing_m) < 0.5:
        return 0.0
    nearest = float(z.min())
    # A direction hides a body if about half of the rows it would fill ended before it.
    band = before.near[int(row.min()) : int(row.max()) + 1]
    seen = np.maximum(np.count_nonzero(np.isfinite(band), axis=0), 1)
    hiding = np.count_nonzero(band < nearest - 1.0, axis=0) >= 0.4 * seen
    # Out of view on either side is hidden too.
    start = np.concatenate([[-CELL_PX], np.flatnonzero(hiding) * CELL_PX, [before.near.shape[1] * CELL_PX]])
    # What of it stands where cover was need not have come.
    u = uv[~hiding[column], 0]
    if not len(u):
        return 0.0
    come_px = np.maximum(start - float(u.min()), float(u.max()) - (start + CELL_PX))
    return float(max(come_px.min(), 0.0) / focal * nearest)
