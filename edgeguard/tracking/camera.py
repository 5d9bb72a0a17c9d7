"""Camera boxes to tracks: identities over time, on real time stamps.

Two-stage association by score after ByteTrack (Zhang et al., ECCV 2022); unlike it, motion, gates and
lifetimes are in seconds, so frames may come at any interval, late or out of order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard import objects
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.tracking import boxes
from edgeguard.tracking.assignment import linear_sum_assignment
from edgeguard.tracking.kalman import KalmanBank, Slots
from edgeguard.types import F64, I64, Detections, seconds

CAPACITY = 256
_CONFIDENCE_S = 0.33
_HEIGHT_CHANGE = 0.5
_GROWTH_MEMORY_S = 0.15
_APART = 1e3
_OTHER_CLASS = 0.15


class CameraTrackerSettings(Settings):
    """Parameters of the camera tracker."""

    high_score: float = Field(0.5, ge=0, le=1, description="score from which a detection is matched first")
    low_score: float = Field(0.1, ge=0, le=1, description="score below which a detection is ignored")
    birth_score: float = Field(0.4, ge=0, le=1, description="score from which a detection may begin a track")
    min_iou: float = Field(0.15, gt=0, lt=1, description="overlap below which box and track are not the same")
    max_coast_s: float = Field(1.5, gt=0, le=10, description="how long a track lives without a detection, s")
    max_detections: int = Field(
        128, ge=1, le=CAPACITY, description="detections looked at per frame, best first"
    )


@dataclass(frozen=True, slots=True, eq=False)
class Tracks:
    """All camera tracks alive at a frame, as parallel arrays, ordered by identity.

    Attributes:
        id: (N,) identity, never reused in a drive.
        slot: (N,) row of the track in per-track state that a check may keep (`CAPACITY` rows); a slot is
            reused by a later track.
        xyxy: (N, 4) the matched detection's box, or the predicted one while coasting.
        velocity: (N, 4) per second: centre x, centre y (px), ln width, ln height.
        residual: (N, 4) detection minus prediction: centre x, y (px), ln width, ln height; NaN when coasting.
        residual_sigma: (N, 4) standard deviations expected of `residual`.
        matched: (N,) whether a detection of this frame belongs to it.
        detection: (N,) index into the frame's detections, -1 when coasting.
        score: (N,) score of the latest detection.
        confidence: (N,) score averaged over the last third of a second of detections.
        label: (N,) class number of the latest detection (`edgeguard.objects`).
        age_s: (N,) since the first detection.
        missed_s: (N,) since the latest detection; 0 when matched.
        hits: (N,) detections so far.
        held_s: (N,) how long it was detected without a gap up to its latest detection.
        is_new: (N,) begun on this frame.
    """

    id: I64
    slot: Slots
    xyxy: F64
    velocity: F64
    residual: F64
    residual_sigma: F64
    matched: NDArray[np.bool_]
    detection: I64
    score: F64
    confidence: F64
    label: I64
    age_s: F64
    missed_s: F64
    hits: I64
    held_s: F64
    is_new: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.id)

    @property
    def height(self) -> F64:
        """(N,) box heights, pixels."""
        h: F64 = self.xyxy[:, 3] - self.xyxy[:, 1]
        return h

    @property
    def width(self) -> F64:
        """(N,) box widths, pixels."""
        w: F64 = self.xyxy[:, 2] - self.xyxy[:, 0]
        return w


class CameraTracker:
    """Keeps identities over frames; the same input gives the same identities."""

    def __init__(self, settings: CameraTrackerSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget all tracks: a new drive begins."""
        self._bank = KalmanBank(CAPACITY, 4)
        self._id = np.full(CAPACITY, -1, np.int64)
        self._slots: Slots = np.zeros(0, np.intp)  # alive, by identity
        self._next_id = 1
        self._stamp_ns: int | None = None
        self._born_ns = np.zeros(CAPACITY, np.int64)
        self._seen_ns = np.zeros(CAPACITY, np.int64)
        self._run_ns = np.zeros(CAPACITY, np.int64)
        self._hits = np.zeros(CAPACITY, np.int64)
        self._score = np.zeros(CAPACITY)
        self._confidence = np.zeros(CAPACITY)
        self._label = np.zeros(CAPACITY, np.int64)
        self._xyxy = np.zeros((CAPACITY, 4))

    def update(self, stamp_ns: int, detections: Detections | None) -> Tracks:
        """Advance to `stamp_ns` and match the frame's detections; None coasts all tracks.

        A stamp that does not advance moves nothing: its detections are matched where the tracks are.
        """
        dt_s = 0.0 if self._stamp_ns is None else max(0.0, (stamp_ns - self._stamp_ns) * 1e-9)
        self._last_update_ns = stamp_ns if self._stamp_ns is None else self._stamp_ns
        stamp_ns = max(stamp_ns, self._last_update_ns)
        self._stamp_ns = stamp_ns
        self._first_new_id = self._next_id
        if dt_s > 0 and len(self._slots):
            self._predict(stamp_ns, dt_s)
        slots = self._slots
        predicted = boxes.from_center(self._bank.position[slots])

        xyxy, score, label, index = self._usable(detections)
        rows, found = self._associate(slots, predicted, xyxy, score, label, dt_s)
        residual = np.full((len(slots), 4), np.nan)
        residual_sigma = np.full((len(slots), 4), np.nan)
        detection = np.full(len(slots), -1, np.int64)
        if len(rows):
            s = slots[rows]
            residual[rows], variance = self._bank.update(s, boxes.to_center(xyxy[found]), self._sigma(s))
            residual_sigma[rows] = np.sqrt(variance)
            detection[rows] = index[found]
            self._see(s, stamp_ns, score[found], label[found], xyxy[found])
        coasting = detection < 0
        self._xyxy[slots[coasting]] = predicted[coasting]

        free = np.ones(len(xyxy), bool)
        free[found] = False
        born = self._begin(stamp_ns, xyxy, score, label, np.flatnonzero(free), slots)
        if len(born):
            unknown = np.full((len(born), 4), np.nan)
            residual = np.concatenate([residual, unknown])
            residual_sigma = np.concatenate([residual_sigma, unknown])
            detection = np.concatenate([detection, index[born]])
        return self._snapshot(stamp_ns, residual, residual_sigma, detection)

    def _predict(self, stamp_ns: int, dt_s: float) -> None:
        slots = self._slots
        # Growth that is no longer measured must not run away with a box.
        coasting = slots[self._seen_ns[slots] < self._last_update_ns]
        self._bank.velocity[coasting, 2:] *= np.exp(-dt_s / _GROWTH_MEMORY_S)
        self._bank.predict(slots, dt_s, self._acceleration(slots))
        missed_s = (stamp_ns - self._seen_ns[slots]) * 1e-9
        # A box seen once is likelier noise than an object: it earns its lifetime by hits. However slow the
        # camera, the next frame may still confirm it.
        earned = np.maximum(0.15 * self._hits[slots] + 0.1, dt_s)
        lost = missed_s > np.minimum(self.settings.max_coast_s, earned)
        self._id[slots[lost]] = -1
        self._slots = slots[~lost]

    def _size(self, slots: Slots) -> F64:
        """(S, 2) width and height of the filters' boxes, pixels, kept to what is sane."""
        size: F64 = np.exp(np.minimum(np.maximum(self._bank.position[slots, 2:], 1.0), 9.0))
        return size

    def _sigma(self, slots: Slots) -> F64:
        """(S, 4) standard deviations of a measurement; they grow with the box."""
        size = self._size(slots)
        return np.concatenate([0.05 * size + 1.0, 0.07 + 1.5 / size], axis=1)

    def _acceleration(self, slots: Slots) -> F64:
        """(S, 4) standard deviations of acceleration; they grow with the box."""
        acceleration = np.full((len(slots), 4), 1.5)
        acceleration[:, :2] = 2.0 * self._size(slots).max(axis=1, keepdims=True)
        return acceleration

    def _usable(self, detections: Detections | None) -> tuple[F64, F64, I64, I64]:
        """Boxes, scores, class numbers and indices of the detections worth tracking, bounded in number."""
        if detections is None or not len(detections):
            return np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64)
        label = objects.class_numbers(detections.class_names)[detections.class_id]
        boxed = detections.xyxy[:, 2:] > detections.xyxy[:, :2]
        ok = (label >= 0) & (detections.score >= self.settings.low_score) & np.all(boxed, axis=1)
        ok &= np.all(np.isfinite(detections.xyxy), axis=1)
        index = np.flatnonzero(ok)
        if len(index) > self.settings.max_detections:
            best = np.argsort(-detections.score[index], kind="stable")[: self.settings.max_detections]
            index = index[np.sort(best)]
        xyxy = detections.xyxy[index].astype(np.float64)
        return xyxy, detections.score[index].astype(np.float64), label[index], index.astype(np.int64)

    def _associate(
        self, slots: Slots, predicted: F64, xyxy: F64, score: F64, label: I64, dt_s: float
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Pairs as rows in `slots` and detections: confident detections first, then the rest."""
        if not len(slots) or not len(xyxy):
            return np.zeros(0, np.intp), np.zeros(0, np.intp)
        # A young track's velocity is unknown, and a long gap lets any object move: widen the overlap test.
        young = self._hits[slots] < 3
        share = np.minimum(np.maximum(0.05 + 0.5 * dt_s + 0.15 * young, 0.0), 0.6)
        # Neighbours overlap in the image, but a body keeps its height from frame to frame.
        cost = loops.camera_cost(
            predicted,
            self._bank.position[slots, 3],
            objects.GROUP[self._label[slots]],
            share,
            xyxy,
            objects.GROUP[label],
            np.full(len(xyxy), 0.05),
            self.settings.min_iou,
            _HEIGHT_CHANGE + 0.5 * dt_s,
            _OTHER_CLASS,
            _APART,
        )
        high = score >= self.settings.high_score
        rows, found = _match(cost, np.arange(len(slots)), np.flatnonzero(high))
        if high.all() or len(rows) == len(slots):
            return rows, found
        free = np.ones(len(slots), bool)
        free[rows] = False
        more, second = _match(cost, np.flatnonzero(free), np.flatnonzero(~high))
        return np.concatenate([rows, more]), np.concatenate([found, second])

    def _see(self, slots: Slots, stamp_ns: int, score: F64, label: I64, xyxy: F64) -> None:
        # A gap of more than a few frames ends a run of uninterrupted detection.
        gap = (stamp_ns - self._seen_ns[slots]) > 250_000_000
        self._run_ns[slots] = np.where(gap, stamp_ns, self._run_ns[slots])
        keep = np.exp((self._seen_ns[slots] - stamp_ns) * 1e-9 / _CONFIDENCE_S)
        self._confidence[slots] = keep * self._confidence[slots] + (1 - keep) * score
        self._seen_ns[slots] = stamp_ns
        self._hits[slots] += 1
        self._score[slots] = score
        self._label[slots] = label
        self._xyxy[slots] = xyxy

    def _begin(
        self, stamp_ns: int, xyxy: F64, score: F64, label: I64, candidates: NDArray[np.intp], alive: Slots
    ) -> NDArray[np.intp]:
        """Start tracks from unmatched confident detections; return those detections, by identity."""
        candidates = candidates[score[candidates] >= self.settings.birth_score]
        # A second box on an object that a track already holds is a duplicate, not an object.
        held = alive[self._seen_ns[alive] == stamp_ns]
        if len(candidates) and len(held):
            candidates = candidates[boxes.iou(xyxy[candidates], self._xyxy[held]).max(axis=1) < 0.6]
        free = np.flatnonzero(self._id < 0)
        count = min(len(candidates), len(free))
        if count < len(candidates):
            candidates = candidates[np.argsort(-score[candidates], kind="stable")]
        candidates, slots = np.sort(candidates[:count]), free[:count]
        if not count:
            return candidates
        state = boxes.to_center(xyxy[candidates])
        size = np.exp(state[:, 2:])
        one = np.ones_like(size)
        sigma = np.concatenate([0.05 * size + 1.0, 0.07 * one + 1.5 / size], axis=1)
        self._bank.start(slots, state, sigma, np.concatenate([1.0 * size, 0.5 * one], axis=1))
        self._id[slots] = self._next_id + np.arange(count)
        self._next_id += count
        self._born_ns[slots] = self._run_ns[slots] = self._seen_ns[slots] = stamp_ns
        self._hits[slots] = 0
        self._confidence[slots] = score[candidates]
        self._see(slots, stamp_ns, score[candidates], label[candidates], xyxy[candidates])
        self._slots = np.concatenate([self._slots, slots])
        return candidates

    def _snapshot(self, stamp_ns: int, residual: F64, residual_sigma: F64, detection: I64) -> Tracks:
        s = self._slots
        return Tracks(
            id=self._id[s],
            slot=s,
            xyxy=self._xyxy[s],
            velocity=self._bank.velocity[s],
            residual=residual,
            residual_sigma=residual_sigma,
            matched=detection >= 0,
            detection=detection,
            score=self._score[s],
            confidence=self._confidence[s],
            label=self._label[s],
            age_s=seconds(stamp_ns - self._born_ns[s]),
            missed_s=seconds(stamp_ns - self._seen_ns[s]),
            hits=self._hits[s],
            held_s=seconds(self._seen_ns[s] - self._run_ns[s]),
            is_new=self._id[s] >= self._first_new_id,
        )


def _match(
    cost: F64, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pairs of least total cost among `rows` and `columns`, without those that are apart."""
    if not len(rows) or not len(columns):
        return rows[:0], columns[:0]
    block = cost[rows[:, None], columns]
    r, c = linear_sum_assignment(block)
    ok = block[r, c] < _APART
    return rows[r[ok]], columns[c[ok]]
