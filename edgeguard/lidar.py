"""What a LiDAR sweep says of the ground, of free-standing things, and of its own density. Pure functions.

Points are in the camera's optical frame (x right, y down, z forward), so "height" is minus y above ground.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.rig import CameraModel
from edgeguard.sight import CELL_PX, Sight
from edgeguard.types import F32, F64, I64, U8

# Of a band of density and its groups, in cells of `edgeguard.sight`.
_DENSITY_ROWS, _DENSITY_COLUMNS = 2, 6
_DENSITY_QUANTILE = 0.7
# Of a bonnet's front: least width, greatest height, and distance to the cabin, metres; how alike in width.
_WIDE_M, _LOW_M, _BONNET_M, _AS_WIDE = 1.2, 1.1, 2.0, 0.6
# Residuals from which a cell is no ground, metres, fit by fit: from nothing, and from the last plane on.
_FIRST_SCALES, _SCALES = np.array([0.6, 0.4, 0.25, 0.25]), np.array([0.3, 0.25])


class LidarSettings(Settings):
    """Parameters of what is taken from a sweep."""

    max_range_m: float = Field(60.0, gt=5, le=300, description="range to which points are used, m")
    ground_tolerance_m: float = Field(0.25, gt=0, le=1, description="height up to which a point is ground, m")
    ground_slope: float = Field(0.01, ge=0, le=0.2, description="growth of that height with range, m/m")
    cell_m: float = Field(0.25, gt=0.05, le=1, description="cell of the clustering grid, m")
    max_height_m: float = Field(3.0, gt=1, le=6, description="height to which points belong to road users, m")
    min_cluster_points: int = Field(20, ge=3, description="points below which a cluster is ignored")


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """A ground plane y = a·x + b·z + c in the optical frame.

    Attributes:
        plane: (3,) a, b, c.
        cells: how many ground cells carried the fit.
    """

    plane: F64
    cells: int

    def height(self, xyz: F32) -> F32:
        """Return (N,) heights above ground, metres."""
        return loops.heights(xyz, self.plane, 0.0, 0.0)[0]


def fit_ground(xyz: F32, previous: Ground | None) -> Ground | None:
    """Fit the road: the lowest point of each square metre, robustly (Tukey), from the last plane on.

    Args:
        xyz: (N, 3) points in the optical frame.

    Returns:
        None where too little ground is seen to tell.
    """
    low, count = loops.lowest(xyz, 3.0, 40.0, 15)
    if count < 100:
        return None
    if previous is not None:
        plane = previous.plane
    else:
        # Without a plane to start from: the densest height, on a level road.
        counts, edges = np.histogram(low[:, 1], bins=np.arange(0.3, 4.0, 0.1))
        plane = np.array([0.0, 0.0, edges[int(np.argmax(counts))] + 0.05])
    fitted = loops.tukey_plane(low, plane, _FIRST_SCALES if previous is None else _SCALES, 15)
    if fitted is None:
        return None
    plane, carried = fitted
    if abs(plane[0]) > 0.2 or abs(plane[1]) > 0.2:
        return None
    return Ground(plane, carried)


@dataclass(frozen=True, slots=True, eq=False)
class Clusters:
    """Free-standing things of one sweep, as parallel arrays.

    Attributes:
        low: (N, 3) smallest x, y, z of the points, metres, optical frame.
        high: (N, 3) largest.
        points: (N,) how many.
        nearest: (N,) range of the nearest point ahead, metres.
        xyxy: (N, 4) box of the points in the image, pixels.
        bottom: (N,) height of the lowest point above ground, metres.
    """

    low: F64
    high: F64
    points: I64
    nearest: F64
    xyxy: F64
    bottom: F64

    def __len__(self) -> int:
        return len(self.points)


def cluster(
    xyz: F32, u: F32, v: F32, height: F32, above_ground: NDArray[np.bool_], settings: LidarSettings
) -> tuple[Clusters, U8]:
    """Group points above ground by connected cells seen from above.

    Args:
        xyz: (N, 3) points in the optical frame.
        u, v: (N,) their pixels.
        height: (N,) their heights above ground, metres.
        above_ground: (N,) whether they are clearly above it.

    Returns:
        The clusters, and the (X, Z) grid of occupied cells.
    """
    s, cell = settings, settings.cell_m
    columns, rows = math.ceil(80.0 / cell), math.ceil(s.max_range_m / cell)
    occupied, index, place = loops.occupy(
        xyz, height, above_ground, s.max_height_m, s.max_range_m, 39.9, cell, columns, rows
    )
    label, count = loops.components(occupied)
    low, high, box, bottom, many = loops.bodies(
        xyz, u, v, height, index, place, label, count, s.min_cluster_points
    )
    return _whole(Clusters(low, high, many, low[:, 2], box, bottom)), occupied


def _whole(c: Clusters) -> Clusters:
    """Join a bonnet's front, or a boot's end, and the cabin behind it: from afar no ray meets what is there.

    Nothing as wide as a car is that low, and the next car in a queue is a car's length farther off.
    """
    width, top = c.high[:, 0] - c.low[:, 0], c.bottom + (c.high[:, 1] - c.low[:, 1])
    ends = np.flatnonzero((width >= _WIDE_M) & (top <= _LOW_M))
    if not len(ends) or len(c) < 2:
        return c
    left, right = c.low[:, 0], c.high[:, 0]
    both = np.minimum(right[ends, None], right) - np.maximum(left[ends, None], left)
    either = np.maximum(right[ends, None], right) - np.minimum(left[ends, None], left)
    gap = c.low[None, :, 2] - c.high[ends, None, 2]
    on = (both > _AS_WIDE * either) & (gap > 0.0) & (gap < _BONNET_M) & (top > top[ends, None])
    keep = np.ones(len(c), bool)
    low, high, points, xyxy = c.low.copy(), c.high.copy(), c.points.copy(), c.xyxy.copy()
    bottom = c.bottom.copy()
    for end in np.flatnonzero(on.any(axis=1)):
        i = int(ends[end])
        j = int(np.argmin(np.where(on[end], gap[end], np.inf)))
        low[j], high[j] = np.minimum(low[i], low[j]), np.maximum(high[i], high[j])
        xyxy[j, :2], xyxy[j, 2:] = np.minimum(xyxy[i, :2], xyxy[j, :2]), np.maximum(xyxy[i, 2:], xyxy[j, 2:])
        points[j], bottom[j] = points[i] + points[j], min(bottom[i], bottom[j])
        keep[i] = False
    return Clusters(low[keep], high[keep], points[keep], low[keep, 2], xyxy[keep], bottom[keep])


class DensityMap:
    """How many returns a solid thing would give per square pixel, by image row, learnt from the sweeps.

    A LiDAR's density depends on elevation alone (its azimuth step is constant), and elevation is nearly the
    image row. Of the cells along a row band, an upper quantile is taken, so what an attacker removes or a
    dark car swallows in some columns does not count; over sweeps, a slow average.
    """

    def __init__(self, camera: CameraModel) -> None:
        self._camera = camera
        self._density: F64 | None = None

    def update(self, sight: Sight) -> None:
        """Learn from what one sweep holds."""
        usual = loops.upper_counts(sight.count, _DENSITY_ROWS, _DENSITY_COLUMNS, _DENSITY_QUANTILE)
        density = usual / (_DENSITY_ROWS * _DENSITY_COLUMNS * CELL_PX**2)
        self._density = density if self._density is None else 0.9 * self._density + 0.1 * density

    def per_cell(self, rows: int) -> F32:
        """Return what a cell of each of the first `rows` rows of `edgeguard.sight` is expected to return."""
        if self._density is None:
            return np.zeros(rows, np.float32)
        return np.repeat((self._density * CELL_PX**2).astype(np.float32), _DENSITY_ROWS)[:rows]

    def expected(self, xyxy: F64) -> F64:
        """Return (N,) returns expected from solid things that fill (N, 4) boxes."""
        if self._density is None:
            return np.zeros(len(xyxy))
        return loops.expected_returns(xyxy, self._density, _DENSITY_ROWS * CELL_PX, self._camera.width)
