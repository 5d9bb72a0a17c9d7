"""Which track has been which LiDAR object lately: what pairing needs to know of the past."""

from __future__ import annotations

import numpy as np

from edgeguard.compiled import loops
from edgeguard.pairing import Pairing, pair
from edgeguard.tracking.camera import CAPACITY as CAMERA_CAPACITY
from edgeguard.tracking.camera import Tracks
from edgeguard.tracking.kalman import Slots
from edgeguard.tracking.lidar import CAPACITY as LIDAR_CAPACITY
from edgeguard.tracking.lidar import LidarObjects
from edgeguard.types import F64


class Bonds:
    """Per track its last object and where that stood; per object its last track."""

    def __init__(self) -> None:
        self._bonds = np.full((loops.BONDS, CAMERA_CAPACITY), -1, np.int64)
        self._ranges = np.full((loops.BOND_RANGES, CAMERA_CAPACITY), np.nan)
        self._owners = np.full((loops.OWNERS, LIDAR_CAPACITY), -1, np.int64)

    def pair(
        self,
        stamp_ns: int,
        detections: F64,
        t: Tracks,
        size_range: F64,
        seen: LidarObjects,
        box: F64,
        whole: bool,
    ) -> Pairing:
        """Pair this frame's detections and objects, and remember what was surely paired.

        Args:
            stamp_ns: of the frame.
            detections: (D, 4) boxes of this frame.
            t: the tracks, N of them.
            size_range: (N,) range at which a track's class fills its box, metres; NaN unknown.
            seen: the LiDAR objects, M of them.
            box: (M, 4) their boxes, cut to the image.
            whole: as in `pair`.
        """
        memory = self._bonds, self._ranges, self._owners
        track_of, (expected, gate, fit_gate, own_range), loyal, rivals = loops.expected(
            stamp_ns, len(detections), t, size_range, seen, whole, *memory
        )
        found = pair(
            detections, track_of, t.xyxy, expected, gate, fit_gate, own_range, loyal, box,
            seen.center[:, 2], seen.matched, rivals, whole,
        )  # fmt: skip
        loops.bond(stamp_ns, t, size_range, seen, found, whole, *memory)
        return found

    def range_m(self, stamp_ns: int, slots: Slots) -> F64:
        """Return (S,) range at which LiDAR lately held tracks, moved on to now, metres; NaN if it did not."""
        return loops.held_range(self._bonds, self._ranges, slots, stamp_ns)
