"""Which camera detection and which LiDAR object are the same thing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeguard.tracking import boxes
from edgeguard.tracking.assignment import linear_sum_assignment
from edgeguard.types import F64, I64

MIN_OVERLAP = 0.2
SURE_OVERLAP = 0.4
_SAME = 0.45
_LOYALTY = 0.3
_SIZE_GATE = 0.2
_FITS = 0.6
_RESIZED = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """One-to-one pairs of this frame, and how well others overlap; N tracks, M LiDAR objects.

    Attributes:
        object_of: (N,) row of the object that is the track, -1 none.
        track_of: (M,) row of the track that is the object, -1 none.
        boxed: (M,) how well the detection that is the object covers it, 0 without one.
        box_of: (M,) the detection that is the object, -1 none.
        object_overlap: (N,) how well a track's own object covers it, 0 without one.
        any_object: (N,) best overlap with any object measured now.
        own_object: (N,) the same, unless that object is another track's and only brushes this one.
        any_box: (M,) best overlap with any detection of this frame.
        own_box: (M,) the same, unless that detection is another object's and only brushes this one, or stands
            at another range.
    """

    object_of: I64
    track_of: I64
    boxed: F64
    box_of: I64
    object_overlap: F64
    any_object: F64
    own_object: F64
    any_box: F64
    own_box: F64


def pair(
    detections: F64,
    track_of_detection: I64,
    tracks: F64,
    track_range: F64,
    range_gate: F64,
    fit_gate: F64,
    box_range: F64,
    loyal_object: I64,
    objects: F64,
    object_range: F64,
    measured: NDArray[np.bool_],
    rivals: NDArray[np.bool_],
    whole: bool,
) -> Pairing:
    """Pair detections with LiDAR objects one to one, former partners first.

    Args:
        detections: (D, 4) boxes of this frame.
        track_of_detection: (D,) row of the detection's track, -1 none.
        tracks: (N, 4) boxes.
        track_range: (N,) range at which a track is thought to stand, metres; NaN unknown.
        range_gate: (N,) ratio of ranges, as a logarithm, beyond which an object is another thing.
        fit_gate: (N,) the same, for an object that fits the track's box well.
        box_range: (N,) range at which the track's own known size fills its box, metres; NaN unknown.
        loyal_object: (N,) row of the object that was the track until now, -1 none.
        objects: (M, 4) projected boxes, cut to the image.
        object_range: (M,) metres.
        measured: (M,) whether the object was measured now.
        rivals: (N, M) whether a track and an object are known to be two things.
        whole: objects are a detector's boxes; otherwise clusters, which may be a part of a thing, or more.
    """
    overlap_of = boxes.iou if whole else _overlap_of_parts
    n, m, d = len(tracks), len(objects), len(detections)
    # A box in front of a far object overlaps it too: they must also stand at about one range.
    far = np.log(np.maximum(object_range, 0.5))
    fit = overlap_of(tracks, objects)
    off = np.abs(far[None, :] - np.log(track_range)[:, None])
    apart = off > np.where(fit >= _FITS, fit_gate[:, None], range_gate[:, None])
    resized = np.abs(far[None, :] - np.log(box_range)[:, None])
    apart &= ~(resized < _SIZE_GATE)
    if not whole:
        # A box inside a cluster's outline may be a far thing beside it: its size gives it away.
        apart |= resized > _RESIZED
    by_track = np.where(measured[None, :] & ~apart, fit, 0.0)
    plain = np.where(measured[None, :], overlap_of(detections, objects), 0.0)
    overlap = plain.copy()
    tracked = track_of_detection >= 0
    if n:
        overlap[tracked] = by_track[track_of_detection[tracked]]
    # Known to be two things: only a box that fits well says that identities slipped.
    other = rivals & (by_track < _SAME)
    brushed = np.zeros((d, m), bool)
    brushed[tracked] = other[track_of_detection[tracked]]
    value = np.where(brushed, 0.0, overlap)
    if n and d and m:
        loyal = np.where(tracked, loyal_object[np.maximum(track_of_detection, 0)], -1)
        rows = np.flatnonzero(loyal >= 0)
        value[rows, loyal[rows]] += np.where(value[rows, loyal[rows]] > 0, _LOYALTY, 0.0)
    r, c = linear_sum_assignment(-value)
    ok = (overlap[r, c] >= MIN_OVERLAP) & ~brushed[r, c]
    r, c = r[ok], c[ok]
    object_of, track_of = np.full(n, -1, np.int64), np.full(m, -1, np.int64)
    boxed = np.zeros(m)
    boxed[c] = overlap[r, c]
    with_track = tracked[r]
    object_of[track_of_detection[r[with_track]]] = c[with_track]
    track_of[c[with_track]] = track_of_detection[r[with_track]]
    box_of = np.full(m, -1, np.int64)
    box_of[c] = r
    foreign_object = (boxed > 0)[None, :] & (track_of[None, :] != np.arange(n)[:, None])
    # Whose a box is, geometry tells best: identities slip just when objects crowd.
    r, c = linear_sum_assignment(-plain)
    ok = plain[r, c] >= MIN_OVERLAP
    claimed = np.full(d, -1, np.int64)
    claimed[r[ok]] = c[ok]
    foreign_box = (claimed[:, None] >= 0) & (claimed[:, None] != np.arange(m)[None, :]) & (plain < _SAME)
    if not whole:
        foreign_box[tracked] |= apart[track_of_detection[tracked]]
    return Pairing(
        object_of=object_of,
        track_of=track_of,
        boxed=boxed,
        box_of=box_of,
        object_overlap=np.where(object_of >= 0, boxed[object_of], 0.0) if m else np.zeros(n),
        any_object=by_track.max(axis=1, initial=0.0),
        own_object=np.where(foreign_object & (by_track < _SAME) | other, 0.0, by_track).max(
            axis=1, initial=0.0
        ),
        any_box=plain.max(axis=0, initial=0.0),
        own_box=np.where(foreign_box, 0.0, plain).max(axis=0, initial=0.0),
    )


def _overlap_of_parts(a: F64, b: F64) -> F64:
    """Return (N, M) IoU, or most of the smaller box's covered share where one box holds the other."""
    both = boxes.intersection(a, b)
    area_a, area_b = boxes.area(a)[:, None], boxes.area(b)[None, :]
    small = np.maximum(np.minimum(area_a, area_b), 1e-9)
    large = np.maximum(np.maximum(area_a, area_b), 1e-9)
    iou = both / np.maximum(area_a + area_b - both, 1e-9)
    score: F64 = np.maximum(iou, np.where(small / large > 0.15, 0.6 * both / small, 0.0))
    return score
