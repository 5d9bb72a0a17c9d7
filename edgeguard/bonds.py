"""Which track has been which LiDAR object lately: what pairing needs to know of the past."""

from __future__ import annotations

import numpy as np

from edgeguard import objects
from edgeguard.compiled import loops
from edgeguard.pairing import SURE_OVERLAP, Pairing, pair
from edgeguard.tracking.camera import CAPACITY as CAMERA_CAPACITY
from edgeguard.tracking.camera import Tracks
from edgeguard.tracking.kalman import Slots
from edgeguard.tracking.lidar import CAPACITY as LIDAR_CAPACITY
from edgeguard.tracking.lidar import LidarObjects
from edgeguard.types import F64, I64, U8, seconds

_PERSON = np.array([c.group == "person" for c in objects.CLASSES], np.uint8)
_MEMORY_S = 1.0
_UNKNOWN, _UNKNOWN_FIT, _UNKNOWN_PART = 0.35, 0.8, 0.4
# How fast a range may change beyond what is known of it: a detector's box keeps its speed, a cluster's
# middle jumps as parts of it come into view.
_STRAY_MPS = 6.0
# A detector that sees one end of a car may sit half its length off; near by, a share of the range.
_OFF_M, _OFF = 2.0, 0.15
_CLOSING_MPS = 30.0
_FASTEST_MPS = 70.0
_STEADY_S = 0.25
# Both sensors looked for so long, and neither thing was the other.
_STRANGERS_S = 0.25


class Bonds:
    """Per track its last object and where that stood; per object its last track."""

    def __init__(self) -> None:
        self._partner = np.full(CAMERA_CAPACITY, -1, np.int64)
        self._partner_ns = np.zeros(CAMERA_CAPACITY, np.int64)
        self._range_m = np.zeros(CAMERA_CAPACITY)
        self._rate_mps = np.zeros(CAMERA_CAPACITY)
        self._range_ns = np.zeros(CAMERA_CAPACITY, np.int64)
        self._size = np.full(CAMERA_CAPACITY, np.nan)
        self._track = np.full(LIDAR_CAPACITY, -1, np.int64)
        self._track_ns = np.zeros(LIDAR_CAPACITY, np.int64)

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
        self._partner[t.slot[t.is_new]] = -1
        self._range_ns[t.slot[t.is_new]] = 0
        self._size[t.slot[t.is_new]] = np.nan
        self._track[seen.slot[seen.is_new]] = -1
        track_of_detection = np.full(len(detections), -1, np.int64)
        track_of_detection[t.detection[t.matched]] = np.flatnonzero(t.matched)
        expected, gate, fit_gate = self._expected_range(stamp_ns, t, size_range, whole)
        found = pair(
            detections, track_of_detection, t.xyxy, expected, gate, fit_gate, self._size[t.slot] * size_range,
            _row(seen.id, self._partner[t.slot]), box, seen.center[:, 2], seen.matched,
            self._rivals(stamp_ns, t, seen), whole,
        )  # fmt: skip
        own = np.flatnonzero(found.object_of >= 0)
        of, slot = found.object_of[own], t.slot[own]
        self._partner[slot] = seen.id[of]
        sure = found.object_overlap[own] >= SURE_OVERLAP
        own, of, slot = own[sure], of[sure], slot[sure]
        now_m, since_s = seen.center[of, 2], seconds(stamp_ns - self._range_ns[slot])
        # What comes at motorway speed gets a new identity with each sweep: the track knows how fast it came.
        came_m = np.where(since_s < _STEADY_S, now_m - self._range_m[slot], 0.0)
        own_mps = came_m / np.maximum(since_s, 1e-3)
        rate_mps = np.where(seen.hits[of] >= 3, seen.velocity[of, 1], own_mps)
        self._rate_mps[slot] = np.where(whole, np.clip(rate_mps, -_FASTEST_MPS, _FASTEST_MPS), 0.0)
        self._range_m[slot], self._range_ns[slot] = now_m, stamp_ns
        self._partner_ns[slot] = stamp_ns
        size = seen.center[of, 2] / size_range[own]
        known = np.isfinite(self._size[slot]) & np.isfinite(size)
        self._size[slot] = np.where(known, 0.8 * self._size[slot] + 0.2 * size, size)
        self._track[seen.slot[of]], self._track_ns[seen.slot[of]] = t.id[own], stamp_ns
        return found

    def range_m(self, stamp_ns: int, slots: Slots) -> F64:
        """Return (S,) range at which LiDAR lately held tracks, moved on to now, metres; NaN if it did not."""
        ago_s = seconds(stamp_ns - self._range_ns[slots])
        held = (self._range_ns[slots] > 0) & (ago_s < _MEMORY_S)
        now_m = np.maximum(self._range_m[slots] + self._rate_mps[slots] * np.minimum(ago_s, _MEMORY_S), 1.0)
        return np.where(held, now_m, np.nan)

    def _expected_range(self, stamp_ns: int, t: Tracks, size_range: F64, whole: bool) -> tuple[F64, F64, F64]:
        """(N,) where each track should stand, metres, and the ratio (logarithm) by which it may be off.

        A LiDAR that held it lately knows far better than the size of a box does. A class' usual size may
        mislead, a van's say, where an object fits the box: that ratio is the third.
        """
        ago_s, last = seconds(stamp_ns - self._range_ns[t.slot]), self.range_m(stamp_ns, t.slot)
        known = np.isfinite(last)
        stray_mps = _STRAY_MPS if whole else _CLOSING_MPS
        gate = np.minimum(_OFF, _OFF_M / last if whole else _OFF) + stray_mps * ago_s / last
        return (
            np.where(known, last, size_range),
            np.where(known, gate, _UNKNOWN if whole else _UNKNOWN_PART),
            np.where(known, gate, _UNKNOWN_FIT if whole else _UNKNOWN_PART),
        )

    def _rivals(self, stamp_ns: int, t: Tracks, seen: LidarObjects) -> U8:
        """(N, M) 1 where a track and an object are of two kinds, or were both seen, and not as one thing.

        Beside the other's sure partner, or for a while before the track has had any. Then they are two
        things, however well one covers the other now.
        """
        partner, track = self._partner[t.slot], self._track[seen.slot]
        held_ns, boxed_ns = self._partner_ns[t.slot], self._track_ns[seen.slot]
        object_began = stamp_ns - np.round(seen.age_s * 1e9).astype(np.int64)
        track_began = stamp_ns - np.round(t.age_s * 1e9).astype(np.int64)
        # A car's box is not borne out by a person that stands in it.
        person = _PERSON[seen.label] * (seen.label >= 0)
        strangers = ((partner < 0) & (t.age_s >= _STRANGERS_S))[:, None] & (seen.age_s >= _STRANGERS_S)
        return strangers | loops.rivals(
            t.id, partner, held_ns, track_began, objects.RIGID[t.label].view(np.uint8),
            seen.id, track, boxed_ns, object_began, person,
        )  # fmt: skip


def _row(ids: I64, wanted: I64) -> I64:
    """(K,) rows of wanted identities among ascending ones, -1 where there is none."""
    if not len(ids):
        return np.full(len(wanted), -1, np.int64)
    row = np.minimum(np.searchsorted(ids, wanted), len(ids) - 1)
    return np.where(ids[row] == wanted, row, -1)
