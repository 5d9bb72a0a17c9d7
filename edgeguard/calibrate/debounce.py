"""The plain rule that the evidence is compared with: a disagreement that lasts for some frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgeguard.scene import Scene
from edgeguard.tracking import boxes
from edgeguard.types import F64, I64
from edgeguard.verdict import SubjectKind

_IOU = 0.3
_LIDAR_PROBABILITY = float(1.0 / (1.0 + np.exp(-2.0)))
_LIDAR_RANGE_M = 30.0
_CAMERA_SCORE = 0.5
_CAMERA_WIDTH_PX = 40.0


class Debounce:
    """Counts consecutive frames in which a sensor's object has no partner in the other sensor.

    A LiDAR object counts from a logit of 2, within 30 m; a camera box from a score of 0.5 and a width of
    40 px; partners overlap by an IoU of 0.3. Nothing is asked about occlusion, borders or history.
    """

    name = "debounce"

    def __init__(self) -> None:
        self._count: dict[tuple[SubjectKind, int], int] = {}

    def counts(self, scene: Scene) -> Iterator[tuple[SubjectKind, I64, F64]]:
        """Yield per kind of subject the identities and how many frames each has been alone for."""
        seen, t, found = scene.objects, scene.tracks, scene.frame.detections
        if seen is None or found is None or scene.frame.lidar_detections is None:
            return
        objects = scene.clipped(seen.xyxy)
        now = seen.matched & (seen.probability > _LIDAR_PROBABILITY) & (boxes.area(objects) > 0)
        now &= (seen.center[:, 2] > 0) & (seen.center[:, 2] <= _LIDAR_RANGE_M)
        alone = boxes.iou(objects, found.xyxy.astype(np.float64)).max(axis=1, initial=0.0) < _IOU
        yield SubjectKind.LIDAR_OBJECT, seen.id, self._add(SubjectKind.LIDAR_OBJECT, seen.id, now & alone)
        now = t.matched & (t.score > _CAMERA_SCORE) & (t.xyxy[:, 2] - t.xyxy[:, 0] > _CAMERA_WIDTH_PX)
        alone = boxes.iou(t.xyxy, objects[seen.matched]).max(axis=1, initial=0.0) < _IOU
        yield SubjectKind.TRACK, t.id, self._add(SubjectKind.TRACK, t.id, now & alone)

    def _add(self, kind: SubjectKind, ids: I64, alone: np.ndarray) -> F64:
        keys = [(kind, int(i)) for i in ids]
        for key, more in zip(keys, alone.tolist()):
            self._count[key] = self._count.get(key, 0) + 1 if more else 0
        return np.array([self._count[k] for k in keys], np.float64)
