"""A claim outlives the identity under which it was made: evidence goes on with who stands in the place.

A false box changes its track every few frames, and a body that the camera lost is for a while its lost track
and then only its LiDAR object. The claim is the same, so the e-process continues with the new subject. Who
that is follows from where the boxes lie and whether they can be observed, never from what is held against
them, so it is known before the frame's score: a bet that changes hands, not one that is made twice. What it
left stays with the old subject too, and fades there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeguard.scene import Scene
from edgeguard.types import F64, I64
from edgeguard.verdict import SubjectKind

HEIRLESS_NS = 500_000_000
"""How long a subject that can no longer be observed may wait for who takes its place."""
_SAME_PLACE = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where the subjects of a check's scores are, parallel to these.

    Attributes:
        box: (N, 4) xyxy, pixels.
        gone: (N,) whether no detection or cluster of this frame belongs to it.
    """

    box: F64
    gone: NDArray[np.bool_]


def places(scene: Scene, kind: SubjectKind, ids: I64) -> Places | None:
    """Return where subjects are; None where they have no place, as a stream."""
    if kind is SubjectKind.TRACK:
        t = scene.tracks
        if ids is t.id:
            return Places(t.xyxy, ~t.matched)
        at = np.searchsorted(t.id, ids)
        return Places(t.xyxy[at], ~t.matched[at])
    if kind is SubjectKind.LIDAR_OBJECT and scene.objects is not None:
        seen = scene.objects
        if ids is seen.id:
            return Places(scene.object_boxes, ~seen.matched)
        at = np.searchsorted(seen.id, ids)
        return Places(scene.object_boxes[at], ~seen.matched[at])
    return None


def heir(before: F64, now: F64, boxes: F64) -> int:
    """Return which of (N, 4) boxes stands where a subject was last observed, or where it should be by now.

    -1 where none does.
    """
    if not len(boxes):
        return -1
    overlap = np.maximum(_iou(before, boxes), _iou(now, boxes))
    best = int(overlap.argmax())
    return best if overlap[best] >= _SAME_PLACE else -1


def _iou(box: F64, boxes: F64) -> F64:
    common = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.prod(np.maximum(common, 0.0), axis=1)
    union = np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - shared
    overlap: F64 = shared / np.maximum(union, 1e-9)
    return overlap
