"""LiDAR objects to tracks: oriented boxes of a detector, or clusters of a sweep, followed over the ground."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard import objects
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.lidar import Clusters
from edgeguard.rig import Rig
from edgeguard.tracking.assignment import linear_sum_assignment
from edgeguard.tracking.kalman import KalmanBank, Slots
from edgeguard.types import F64, I64, Detections3D, seconds

CAPACITY = 256
_ALONE_M = 2.5
_APART = 1e3
_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])


class LidarTrackerSettings(Settings):
    """Parameters of the LiDAR object tracker."""

    max_objects: int = Field(128, ge=1, le=CAPACITY, description="objects looked at per sweep, nearest first")
    max_coast_s: float = Field(
        0.6, gt=0, le=10, description="how long an object lives without a measurement, s"
    )
    gate_m: float = Field(
        1.5, gt=0, le=10, description="distance beyond its motion at which an object is another, m"
    )
    max_speed_mps: float = Field(20.0, gt=0, le=100, description="relative speed a new object may have, m/s")


@dataclass(frozen=True, slots=True, eq=False)
class LidarBoxes:
    """Measured objects of one sweep in the optical frame.

    Attributes:
        center: (N, 3) metres.
        size: (N, 3) extents along the optical axes' nearest box axes, metres.
        corners: (N, 8, 3) metres.
        probability: (N,) that it is an object; 1 for a cluster: points are there.
        label: (N,) class number, -1 unknown.
        points: (N,) returns on it, -1 where a detector does not say.
        bottom: (N,) height of its lower side above ground, metres; NaN unknown.
    """

    center: F64
    size: F64
    corners: F64
    probability: F64
    label: I64
    points: I64
    bottom: F64

    def __len__(self) -> int:
        return len(self.center)

    @classmethod
    def from_detections(cls, d: Detections3D, rig: Rig, logits: bool) -> LidarBoxes | None:
        """Transform a detector's boxes; None where the rig does not know their frame."""
        matrix = rig.to_camera.get(d.frame_id.lstrip("/"))
        if matrix is None:
            return None
        center, corners, extent = loops.corners(d.center, d.size, d.orientation, matrix)
        number = objects.class_numbers(d.class_names)
        score = d.score.astype(np.float64)
        n = len(d)
        return cls(
            center=center,
            size=extent,
            corners=corners,
            probability=1 / (1 + np.exp(-np.minimum(np.maximum(score, -50.0), 50.0))) if logits else score,
            label=number[d.class_id] if n else np.zeros(0, np.int64),
            points=np.full(n, -1, np.int64),
            bottom=np.full(n, np.nan),
        )

    @classmethod
    def from_clusters(cls, c: Clusters) -> LidarBoxes:
        """Take clusters as upright boxes aligned with the camera."""
        center, size = (c.low + c.high) / 2, np.maximum(c.high - c.low, 0.05)
        return cls(
            center=center,
            size=size,
            corners=center[:, None, :] + _CORNERS[None] * size[:, None, :],
            probability=np.ones(len(c)),
            label=np.full(len(c), -1, np.int64),
            points=c.points,
            bottom=c.bottom,
        )

    def select(self, index: NDArray[np.intp]) -> LidarBoxes:
        return LidarBoxes(
            self.center[index],
            self.size[index],
            self.corners[index],
            self.probability[index],
            self.label[index],
            self.points[index],
            self.bottom[index],
        )


@dataclass(frozen=True, slots=True, eq=False)
class LidarObjects:
    """All LiDAR objects alive at a frame, as parallel arrays, ordered by identity.

    Attributes:
        id: (N,) identity, never reused in a drive.
        slot: (N,) row in per-object state that a check may keep (`CAPACITY` rows).
        center: (N, 3) optical frame, metres.
        size: (N, 3) extents along the optical axes, metres.
        xyxy: (N, 4) projected box, pixels, not clipped to the image; NaN where it is not wholly ahead.
        velocity: (N, 2) x and z relative to the camera, m/s.
        matched: (N,) measured on this frame; while the sweep is the one already seen, as it was then.
        measurement: (N,) index into the frame's `LidarBoxes`, -1 when not matched.
        probability, label, points, bottom: as in `LidarBoxes`, of the latest measurement.
        age_s: (N,) since first measured.
        missed_s: (N,) since last measured.
        hits: (N,) measurements so far.
        is_new: (N,) begun on this frame.
    """

    id: I64
    slot: Slots
    center: F64
    size: F64
    xyxy: F64
    velocity: F64
    matched: NDArray[np.bool_]
    measurement: I64
    probability: F64
    label: I64
    points: I64
    bottom: F64
    age_s: F64
    missed_s: F64
    hits: I64
    is_new: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.id)


class LidarTracker:
    """Keeps identities of LiDAR objects over sweeps."""

    def __init__(self, settings: LidarTrackerSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget all objects: a new drive begins."""
        self._bank = KalmanBank(CAPACITY, 2)
        self._id = np.full(CAPACITY, -1, np.int64)
        self._slots: Slots = np.zeros(0, np.intp)  # alive, by identity
        self._next_id = 1
        self._stamp_ns: int | None = None
        self._born_ns = np.zeros(CAPACITY, np.int64)
        self._seen_ns = np.zeros(CAPACITY, np.int64)
        self._hits = np.zeros(CAPACITY, np.int64)
        self._place = np.zeros((CAPACITY, 2))
        self._height = np.zeros(CAPACITY)
        self._size = np.zeros((CAPACITY, 3))
        self._offset = np.zeros((CAPACITY, 8, 3))
        self._probability = np.zeros(CAPACITY)
        self._label = np.zeros(CAPACITY, np.int64)
        self._points = np.zeros(CAPACITY, np.int64)
        self._bottom = np.zeros(CAPACITY)
        self._measurement = np.full(CAPACITY, -1, np.int64)

    def update(self, stamp_ns: int, measured: LidarBoxes | None, rig: Rig) -> LidarObjects:
        """Advance to `stamp_ns` and match the measurements of a new sweep; None where there is no new one."""
        dt_s = 0.0 if self._stamp_ns is None else max(0.0, (stamp_ns - self._stamp_ns) * 1e-9)
        stamp_ns = stamp_ns if self._stamp_ns is None else max(stamp_ns, self._stamp_ns)
        self._stamp_ns = stamp_ns
        self._first_new_id = self._next_id
        slots = self._slots
        if dt_s > 0 and len(slots):
            self._bank.predict(slots, dt_s, np.full((len(slots), 2), 4.0))
            missed_s = (stamp_ns - self._seen_ns[slots]) * 1e-9
            earned = np.maximum(0.15 * self._hits[slots] + 0.1, dt_s)
            lost = missed_s > np.minimum(self.settings.max_coast_s, earned)
            self._id[slots[lost]] = -1
            self._slots = slots[~lost]
        if measured is not None:
            self._measurement[:] = -1
            if len(measured) > self.settings.max_objects:
                nearest = np.argsort(measured.center[:, 2], kind="stable")[: self.settings.max_objects]
                index = np.sort(nearest)
            else:
                index = np.arange(len(measured))
            self._assign(stamp_ns, measured, index, dt_s)
        return self._snapshot(stamp_ns, rig)

    def _assign(self, stamp_ns: int, measured: LidarBoxes, index: NDArray[np.intp], dt_s: float) -> None:
        slots, place = self._slots, measured.center[:, (0, 2)]
        free = np.ones(len(index), bool)
        if len(slots) and len(index):
            young = self._hits[slots] < 3
            # Staying without a measurement has its price too: else a far-fetched pair robs a sure one.
            cost = loops.lidar_cost(
                self._bank.position[slots],
                np.hypot(self._size[slots, 0], self._size[slots, 2]),
                self.settings.gate_m + np.where(young, self.settings.max_speed_mps * dt_s, 0.0),
                self._label[slots],
                measured.center[index],
                measured.size[index],
                measured.label[index],
                objects.GROUP,
                _ALONE_M,
                _APART,
            )
            r, c = linear_sum_assignment(cost)
            ok = (c < len(index)) & (cost[r, c] < _APART)
            free[c[ok]] = False
            s, m = slots[r[ok]], index[c[ok]]
            # A LiDAR places things to centimetres, but the centre of what it sees moves with the view.
            self._bank.update(s, place[m], np.full((len(s), 2), 0.25))
            self._see(s, stamp_ns, measured, m)
        fresh = index[free]
        if len(fresh):
            s = np.flatnonzero(self._id < 0)[: len(fresh)]
            m, count = fresh[: len(s)], len(s)
            self._bank.start(s, place[m], np.full((count, 2), 0.25), np.full((count, 2), 8.0))
            self._id[s] = self._next_id + np.arange(count)
            self._next_id += count
            self._born_ns[s] = stamp_ns
            self._hits[s] = 0
            self._see(s, stamp_ns, measured, m)
            self._slots = np.concatenate([self._slots, s])

    def _see(self, slots: Slots, stamp_ns: int, measured: LidarBoxes, index: NDArray[np.intp]) -> None:
        self._seen_ns[slots] = stamp_ns
        self._hits[slots] += 1
        self._place[slots] = measured.center[index][:, (0, 2)]
        self._height[slots] = measured.center[index, 1]
        self._size[slots] = measured.size[index]
        self._offset[slots] = measured.corners[index] - measured.center[index][:, None, :]
        self._probability[slots] = measured.probability[index]
        self._label[slots] = measured.label[index]
        self._points[slots] = measured.points[index]
        self._bottom[slots] = measured.bottom[index]
        self._measurement[slots] = index

    def _snapshot(self, stamp_ns: int, rig: Rig) -> LidarObjects:
        s = self._slots
        # Where it was measured now, it is: a filter's lag would look like disagreement.
        measured = (self._measurement[s] >= 0) & (self._seen_ns[s] == stamp_ns)
        place = np.where(measured[:, None], self._place[s], self._bank.position[s])
        center = np.stack([place[:, 0], self._height[s], place[:, 1]], axis=1)
        return LidarObjects(
            id=self._id[s],
            slot=s,
            center=center,
            size=self._size[s],
            # Distortion is left out: outside the image its polynomial means nothing, and inside it moves a
            # box's edge by less than the detector's own noise.
            xyxy=loops.hulls(self._offset[s], center, rig.camera.k),
            velocity=self._bank.velocity[s],
            matched=self._measurement[s] >= 0,
            measurement=self._measurement[s],
            probability=self._probability[s],
            label=self._label[s],
            points=self._points[s],
            bottom=self._bottom[s],
            age_s=seconds(stamp_ns - self._born_ns[s]),
            missed_s=seconds(stamp_ns - self._seen_ns[s]),
            hits=self._hits[s],
            is_new=self._id[s] >= self._first_new_id,
        )
