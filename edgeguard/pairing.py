"""Which camera detection and which LiDAR object are the same thing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeguard.compiled import loops
from edgeguard.tracking.assignment import linear_sum_assignment
from edgeguard.types import F64, I64, U8

MIN_OVERLAP, SURE_OVERLAP = loops.MIN_OVERLAP, loops.SURE_OVERLAP
_SAME = 0.45
_LOYALTY = 0.3
# A box's height tells its own thing's range to an eighth, where its partner is whole; parts are off by more.
_SIZE_GATE, _PART_SIZE_GATE = 0.125, 0.2
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
    rivals: U8,
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
        rivals: (N, M) 1 where a track and an object are known to be two things.
        whole: objects are a detector's boxes; otherwise clusters, which may be a part of a thing, or more.
    """
    now = measured.view(np.uint8)
    by_track, apart = loops.agreement(
        tracks, track_range, range_gate, fit_gate, box_range, objects, object_range, now,
        _FITS, _SIZE_GATE if whole else _PART_SIZE_GATE, _RESIZED, whole,
    )  # fmt: skip
    # Known to be two things: only a box that fits well says that identities slipped.
    plain, overlap, value = loops.offers(
        detections, track_of_detection, objects, now, by_track, rivals, loyal_object, _SAME, _LOYALTY, whole
    )
    return Pairing(
        *loops.settled(
            by_track,
            apart,
            rivals,
            plain,
            overlap,
            track_of_detection,
            *linear_sum_assignment(-value),
            *linear_sum_assignment(-plain),
            MIN_OVERLAP,
            _SAME,
            whole,
        )
    )
