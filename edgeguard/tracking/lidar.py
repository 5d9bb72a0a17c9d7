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
from edgeguard.types import F64, I64, Detections3D

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
        self._slots: Slots = np.zeros(0, np.intp)  # alive, by identity
        self._next_id = 1
        self._stamp_ns: int | None = None
        self._followed = np.zeros((loops.FOLLOWED, CAPACITY), np.int64)
        self._id, self._born_ns, _, self._hits, _, _, _, self._measurement = self._followed
        self._id[:] = self._measurement[:] = -1
        self._body = np.zeros((CAPACITY, loops.BODY))
        self._corner = np.zeros((CAPACITY, 8, 3))

    def update(self, stamp_ns: int, measured: LidarBoxes | None, rig: Rig) -> LidarObjects:
        """Advance to `stamp_ns` and match the measurements of a new sweep; None where there is no new one."""
        dt_s = 0.0 if self._stamp_ns is None else max(0.0, (stamp_ns - self._stamp_ns) * 1e-9)
        stamp_ns = stamp_ns if self._stamp_ns is None else max(stamp_ns, self._stamp_ns)
        self._stamp_ns = stamp_ns
        first_new_id, slots, bank = self._next_id, self._slots, self._bank.state
        if dt_s > 0 and len(slots):
            loops.lidar_predict(bank, slots, dt_s)
            self._slots = loops.survivors(self._followed, slots, stamp_ns, dt_s, self.settings.max_coast_s)
        if measured is not None:
            self._measurement[:] = -1
            if len(measured) > self.settings.max_objects:
                nearest = np.argsort(measured.center[:, 2], kind="stable")[: self.settings.max_objects]
                index = np.sort(nearest)
            else:
                index = np.arange(len(measured))
            self._assign(stamp_ns, measured, index, dt_s)
        slots = self._slots
        (
            ids, label, points, measurement, hits, probability, bottom, age_s, missed_s, center, size, xyxy,
            velocity, matched, is_new,
        ) = loops.lidar_objects(
            bank, self._followed, self._body, self._corner, slots, rig.camera.k, stamp_ns, first_new_id
        )  # fmt: skip
        return LidarObjects(
            id=ids, slot=slots, center=center, size=size, xyxy=xyxy, velocity=velocity, matched=matched,
            measurement=measurement, probability=probability, label=label, points=points, bottom=bottom,
            age_s=age_s, missed_s=missed_s, hits=hits, is_new=is_new,
        )  # fmt: skip

    def _assign(self, stamp_ns: int, measured: LidarBoxes, index: NDArray[np.intp], dt_s: float) -> None:
        slots, s = self._slots, self.settings
        free = np.ones(len(index), bool)
        if len(slots) and len(index):
            # Staying without a measurement has its price too: else a far-fetched pair robs a sure one.
            cost = loops.lidar_cost(
                self._bank.state, self._followed, self._body, slots, measured, index,
                s.gate_m, s.max_speed_mps, dt_s, _ALONE_M, _APART,
            )  # fmt: skip
            r, c = linear_sum_assignment(cost)
            ok = (c < len(index)) & (cost[r, c] < _APART)
            free[c[ok]] = False
            self._see(slots[r[ok]], stamp_ns, measured, index[c[ok]])
        fresh = index[free]
        if len(fresh):
            room = np.flatnonzero(self._id < 0)[: len(fresh)]
            fresh, count = fresh[: len(room)], len(room)
            place = measured.center[fresh][:, (0, 2)]
            self._bank.start(room, place, np.full((count, 2), 0.25), np.full((count, 2), 8.0))
            self._id[room] = self._next_id + np.arange(count)
            self._next_id += count
            self._born_ns[room] = stamp_ns
            self._hits[room] = 0
            self._see(room, stamp_ns, measured, fresh, begun=True)
            self._slots = np.concatenate([slots, room])

    def _see(
        self,
        slots: Slots,
        stamp_ns: int,
        measured: LidarBoxes,
        index: NDArray[np.intp],
        *,
        begun: bool = False,
    ) -> None:
        loops.lidar_see(
            self._bank.state, self._followed, self._body, self._corner,
            slots, measured, index, stamp_ns, begun,
        )  # fmt: skip
