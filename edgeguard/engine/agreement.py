"""How far two engines see the same in the same images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from edgeguard.types import F32, F64, I64, Detections


@dataclass(frozen=True)
class Agreement:
    """What one engine keeps of another's detections.

    Attributes:
        frames: images compared.
        reference: the reference's detections in them.
        kept: those that the other has too: same class, IoU of at least `iou`.
        added: the other's detections that the reference has not.
        iou: least IoU of a match.
        mean_iou: of matched boxes; NaN without any.
        worst_iou: the 5th percentile of matched boxes; NaN without any.
        score_shift: mean of score minus the reference's score; NaN without any match.
    """

    frames: int
    reference: int
    kept: int
    added: int
    iou: float
    mean_iou: float
    worst_iou: float
    score_shift: float

    @property
    def kept_share(self) -> float:
        """Share of the reference's detections kept; NaN where it has none."""
        return self.kept / self.reference if self.reference else float("nan")


def compare(pairs: Iterable[tuple[Detections, Detections]], *, iou: float = 0.5) -> Agreement:
    """Compare detections of the same images: (the reference's, the other's), one pair an image."""
    frames = reference = other = 0
    overlaps: list[F64] = []
    shifts: list[F64] = []
    for ours, theirs in pairs:
        frames, reference, other = frames + 1, reference + len(ours), other + len(theirs)
        i, j, overlap = _matched(ours, theirs)
        good = overlap >= iou
        overlaps.append(overlap[good])
        shifts.append((theirs.score[j[good]] - ours.score[i[good]]).astype(np.float64))
    matched = np.concatenate(overlaps) if overlaps else np.zeros(0)
    shift = np.concatenate(shifts) if shifts else np.zeros(0)
    kept = len(matched)
    nothing = float("nan")
    return Agreement(
        frames,
        reference,
        kept,
        other - kept,
        iou,
        float(matched.mean()) if kept else nothing,
        float(np.percentile(matched, 5)) if kept else nothing,
        float(shift.mean()) if kept else nothing,
    )


def drift(pairs: Iterable[tuple[Detections, Detections]]) -> float:
    """Return by how much the reference's detections change on average: from 0, not at all, to 1, lost.

    A box's change is the overlap that it lost plus what its score moved. Unlike a count of those kept, that
    shows changes too small to lose a box; the other's should reach far below the threshold. NaN without any.
    """
    changes: list[F64] = []
    for ours, theirs in pairs:
        i, j, overlap = _matched(ours, theirs)
        change = np.ones(len(ours))
        moved = 1 - overlap + np.abs(theirs.score[j] - ours.score[i])
        change[i] = np.where(overlap > 0, np.minimum(moved, 1), 1)
        changes.append(change)
    every = np.concatenate(changes) if changes else np.zeros(0)
    return float(every.mean()) if len(every) else float("nan")


def _matched(a: Detections, b: Detections) -> tuple[I64, I64, F64]:
    """Rows of one, rows of the other and their IoU, 0 between classes: the pairs of most overlap in all."""
    overlap = _overlap(a.xyxy, b.xyxy)
    overlap[np.array(a.labels)[:, None] != np.array(b.labels)[None, :]] = 0
    i, j = linear_sum_assignment(-overlap)
    return i, j, overlap[i, j]


def _overlap(a: F32, b: F32) -> NDArray[np.float64]:
    """(N, M) IoU."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2, dtype=np.float64)
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=1, dtype=np.float64) for x in (a, b))
    return np.asarray(shared / np.maximum(area_a[:, None] + area_b[None] - shared, 1e-9))
