"""What follows from one sweep seen from one camera, each computed on first use: before its frame is complete,
or in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgeguard import edges
from edgeguard.compiled import loops
from edgeguard.lidar import Clusters, Ground, LidarSettings, cluster, fit_ground
from edgeguard.rig import Rig
from edgeguard.sight import Sight, look
from edgeguard.types import F32, F64, I64, U8, PointCloud

_MIN_DEPTH_M = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Cloud:
    """The points of a sweep that the camera could see.

    Attributes:
        xyz: (M, 3) optical frame, metres; sorted by column of pixels.
        u, v: (M,) pixels.
        z: (M,) of `xyz`, as one run of memory.
        height: (M,) above ground, metres; None where no ground was found.
        above: (M,) whether a point is clearly above it; None likewise.
        start: (width + 1,) index of the first point of each column of pixels.
    """

    xyz: F32
    u: F32
    v: F32
    z: F32
    height: F32 | None
    above: NDArray[np.bool_] | None
    start: NDArray[np.intp]

    def in_box(self, box: NDArray[np.floating]) -> NDArray[np.intp]:
        """Return indices of the points inside one `xyxy` box."""
        return loops.in_box(self.u, self.v, self.start, *box.tolist())

    def uv(self, index: NDArray[np.intp]) -> F32:
        """Return (K, 2) pixels of some of the points."""
        return np.column_stack([self.u[index], self.v[index]])


class Sweep:
    """The products of one sweep that the camera does not see anew. Pure: computed early or late, the same.

    Attributes:
        points: the sweep.
        rig: where its sensor stands, and the camera.
    """

    def __init__(self, points: PointCloud, rig: Rig, matrix: F64, max_points: int) -> None:
        """Look at a sweep.

        Args:
            points: the sweep.
            rig: camera and extrinsics.
            matrix: (4, 4) from the sweep's frame to the optical one.
            max_points: more are thinned evenly.
        """
        self.points, self.rig = points, rig
        self._matrix, self._max_points = matrix, max_points
        self._fitted: tuple[Ground | None, Ground | None] | None = None
        self._standing: Standing | None = None

    @cached_property
    def view(self) -> tuple[F32, F32, F32, F32, NDArray[np.intp]]:
        """(M, 3) points in view, (M,) u, v, z of these, and the first of each column: see `Cloud`."""
        thinned = self.points.xyz[:: max(-(-len(self.points) // self._max_points), 1)]
        return self.rig.camera.view(thinned, self._matrix, _MIN_DEPTH_M)

    @cached_property
    def sight(self) -> Sight:
        """How far it saw in each direction."""
        return look(self.points.stamp_ns, self.depth_cells)

    @cached_property
    def depth_cells(self) -> edges.DepthCells:
        """What each of the finest cells of the image holds of it."""
        _, u, v, z, _ = self.view
        return edges.depth_cells(u, v, z, (self.rig.camera.width, self.rig.camera.height))

    @cached_property
    def side_rims(self) -> I64:
        """(N, 2) x, y in `Picture.gradient_across` of near bodies' sides."""
        return edges.side_rims(self.depth_cells)

    def ground(self, previous: Ground | None) -> Ground | None:
        """Return the road in it, fitted from the last plane on; afresh where that one no longer fits."""
        if self._fitted is None or self._fitted[0] is not previous:
            xyz = self.view[0]
            found = fit_ground(xyz, previous)
            if found is None and previous is not None:
                found = fit_ground(xyz, None)
            self._fitted = previous, found
        return self._fitted[1]

    def on(self, ground: Ground | None, settings: LidarSettings) -> Standing:
        """Return what follows where that is the ground."""
        standing = self._standing
        if standing is None or standing.ground is not ground or standing.settings is not settings:
            self._standing = standing = Standing(self, ground, settings)
        return standing


class Grouped(NamedTuple):
    """Free-standing things, and the (X, Z) cells that hold something."""

    clusters: Clusters
    occupied: U8


class Standing:
    """The products of a sweep over a ground.

    Attributes:
        ground: the ground; None where it is not known.
        settings: what counts as ground, and as one thing.
    """

    def __init__(self, sweep: Sweep, ground: Ground | None, settings: LidarSettings) -> None:
        self.ground, self.settings = ground, settings
        self._view = sweep.view

    @cached_property
    def cloud(self) -> Cloud:
        """The points in view with their heights."""
        xyz, u, v, z, start = self._view
        if self.ground is None:
            return Cloud(xyz, u, v, z, None, None, start)
        s = self.settings
        height, above = loops.heights(xyz, self.ground.plane, s.ground_tolerance_m, s.ground_slope)
        return Cloud(xyz, u, v, z, height, above, start)

    @cached_property
    def grouped(self) -> Grouped | None:
        """What stands on the ground; None where it is not known."""
        c = self.cloud
        if c.height is None or c.above is None:
            return None
        return Grouped(*cluster(c.xyz, c.u, c.v, c.height, c.above, self.settings))
