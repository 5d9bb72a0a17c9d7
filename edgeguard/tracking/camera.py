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
from edgeguard.types import F64, I64, Detections

CAPACITY = 256
_APART = 1e3


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
        self._slots: Slots = np.zeros(0, np.intp)  # alive, by identity
        self._next_id = 1
        self._stamp_ns: int | None = None
        self._followed = np.zeros((loops.FOLLOWED, CAPACITY), np.int64)
        self._id, self._born_ns, self._seen_ns, self._hits, _, self._run_ns, _, _ = self._followed
        self._id[:] = -1
        self._looks = np.zeros((CAPACITY, 6))
        self._confidence, self._xyxy = self._looks[:, 1], self._looks[:, 2:]

    def update(self, stamp_ns: int, detections: Detections | None) -> Tracks:
        """Advance to `stamp_ns` and match the frame's detections; None coasts all tracks.

        A stamp that does not advance moves nothing: its detections are matched where the tracks are.
        """
        before_ns = stamp_ns if self._stamp_ns is None else self._stamp_ns
        dt_s = max(0.0, (stamp_ns - before_ns) * 1e-9)
        self._stamp_ns = stamp_ns = max(stamp_ns, before_ns)
        first_new_id, bank, followed = self._next_id, self._bank.state, self._followed
        if dt_s > 0 and len(self._slots):
            loops.camera_predict(bank, followed, self._slots, before_ns, dt_s)
            self._slots = loops.survivors(followed, self._slots, stamp_ns, dt_s, self.settings.max_coast_s)
        slots = self._slots
        self._xyxy[slots] = predicted = loops.predicted_boxes(bank, slots)

        xyxy, score, label, index = self._usable(detections)
        rows, found = self._associate(slots, predicted, xyxy, score, label, dt_s)
        residual, sigma = loops.camera_correct(bank, followed, slots, rows, xyxy[found])
        loops.camera_see(
            followed, self._looks, slots[rows], stamp_ns, score[found], label[found], xyxy[found]
        )
        detection = np.full(len(slots), -1, np.int64)
        detection[rows] = index[found]

        born = self._begin(stamp_ns, xyxy, score, label, found)
        if len(born):
            unknown = np.full((len(born), 4), np.nan)
            residual, sigma = np.concatenate([residual, unknown]), np.concatenate([sigma, unknown])
            detection = np.concatenate([detection, index[born]])
        slots = self._slots
        ids, labels, hits, scores, confidence, age_s, missed_s, held_s, box, velocity, matched, is_new = (
            loops.camera_tracks(bank, followed, self._looks, slots, detection, stamp_ns, first_new_id)
        )
        return Tracks(
            id=ids, slot=slots, xyxy=box, velocity=velocity, residual=residual, residual_sigma=sigma,
            matched=matched, detection=detection, score=scores, confidence=confidence, label=labels,
            age_s=age_s, missed_s=missed_s, hits=hits, held_s=held_s, is_new=is_new,
        )  # fmt: skip

    def _usable(self, detections: Detections | None) -> tuple[F64, F64, I64, I64]:
        """Boxes, scores, class numbers and indices of the detections worth tracking, bounded in number."""
        if detections is None or not len(detections):
            return np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64)
        xyxy, score = detections.xyxy.astype(np.float64), detections.score.astype(np.float64)
        label = objects.class_numbers(detections.class_names)[detections.class_id]
        index = loops.usable(xyxy, score, label, self.settings.low_score)
        if len(index) > self.settings.max_detections:
            best = np.argsort(-score[index], kind="stable")[: self.settings.max_detections]
            index = index[np.sort(best)]
        return xyxy[index], score[index], label[index], index

    def _associate(
        self, slots: Slots, predicted: F64, xyxy: F64, score: F64, label: I64, dt_s: float
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Pairs as rows in `slots` and detections: confident detections first, then the rest."""
        if not len(slots) or not len(xyxy):
            return np.zeros(0, np.intp), np.zeros(0, np.intp)
        every, high = np.arange(len(slots)), score >= self.settings.high_score
        rows, found = self._match(slots, every, predicted, xyxy, label, np.flatnonzero(high), dt_s)
        if len(rows) == len(slots) or high.all():
            return rows, found
        free = np.ones(len(slots), bool)
        free[rows] = False
        more, second = self._match(slots, every[free], predicted, xyxy, label, np.flatnonzero(~high), dt_s)
        return np.concatenate([rows, more]), np.concatenate([found, second])

    def _match(
        self, slots: Slots, rows: Slots, predicted: F64, xyxy: F64, label: I64, columns: Slots, dt_s: float
    ) -> tuple[Slots, Slots]:
        """Pairs of least total cost among `rows` of tracks and `columns` of detections."""
        if not len(rows) or not len(columns):
            return rows[:0], columns[:0]
        cost = loops.camera_cost(
            predicted, self._bank.state, self._followed, slots, rows, xyxy, label, columns, dt_s,
            self.settings.min_iou, _APART,
        )  # fmt: skip
        return loops.affordable(cost, *linear_sum_assignment(cost), rows, columns, _APART)

    def _begin(self, stamp_ns: int, xyxy: F64, score: F64, label: I64, found: Slots) -> Slots:
        """Start tracks from unmatched confident detections; return those detections, by identity."""
        # A second box on an object that a track already holds is a duplicate, not an object.
        candidates = loops.unheld(
            xyxy, score, found, self.settings.birth_score, self._followed, self._looks, self._slots, stamp_ns
        )
        if not len(candidates):
            return candidates
        room = np.flatnonzero(self._id < 0)
        count = min(len(candidates), len(room))
        if count < len(candidates):
            candidates = candidates[np.argsort(-score[candidates], kind="stable")]
        candidates, slots = np.sort(candidates[:count]), room[:count]
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
        loops.camera_see(
            self._followed, self._looks, slots, stamp_ns,
            score[candidates], label[candidates], xyxy[candidates],
        )  # fmt: skip
        self._slots = np.concatenate([self._slots, slots])
        return candidates
