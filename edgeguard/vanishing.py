"""Which tracks went from the camera and from the LiDAR in one moment, with nothing before them."""

from __future__ import annotations

import numpy as np

from edgeguard import objects
from edgeguard.compiled import loops
from edgeguard.scene import Scene, core
from edgeguard.sweep import Cloud
from edgeguard.tracking import boxes
from edgeguard.tracking.camera import CAPACITY
from edgeguard.types import F64

# What went while no new picture came did not go before the camera's eyes; a shorter pause hides nothing, lest
# one repeated frame excuse what goes with it.
_UNSEEN_S = 0.3
# Covered so far by a detection of now that is as tall: it is seen still. A lesser box is of what
# lies behind it, a taller one of its neighbour in front.
_SEEN = 0.3
_BEYOND = 1.12
LEFT = 0.2
"""Share of a body's returns that may be its neighbours'."""


class Vanishing:
    """Remembers per camera track what the sweep gave in its box while LiDAR confirmed it.

    A body that leaves is hidden, or leaves over the image's side, or is still there for the other sensor. One
    that the camera no longer boxes while neither its place nor anything before it returns a ray has done
    none of these.
    """

    def __init__(self) -> None:
        self._memory = np.zeros((7, CAPACITY))  # see `loops.follow_returns`
        self._gone = np.zeros(CAPACITY, bool)
        self._unseen_s = 0.0
        self._boxes = b""

    def follow(self, scene: Scene) -> F64:
        """Return (N,) what is left of each track's returns once it is lost, 1 while it is boxed, else NaN."""
        t, support, cloud = scene.tracks, scene.support, scene.cloud
        slot = t.slot
        self._memory[0, slot[t.is_new]], self._gone[slot[t.is_new]] = 0.0, False
        if self._looked_away(scene):
            self._memory[0], self._gone[:] = 0.0, False
        if support is None or cloud is None or scene.frame.detections is None:
            return np.full(len(t), np.nan)
        left, lost = loops.follow_returns(scene, support, self._memory, self._gone)
        for i in lost:
            left[i] = self._left(scene, cloud, int(i))
            self._gone[slot[i]] = left[i] <= LEFT
        return left

    def _looked_away(self, scene: Scene) -> bool:
        """Whether the camera shows anew after a time in which it showed nothing, or one picture all along."""
        detections = scene.frame.detections
        self._unseen_s += scene.dt_s
        if detections is None:
            return False
        before, self._boxes = self._boxes, detections.xyxy.tobytes()
        # Noise never gives the same boxes twice.
        if before and before == self._boxes:
            return False
        unseen_s, self._unseen_s = self._unseen_s, 0.0
        return unseen_s >= _UNSEEN_S

    def _left(self, scene: Scene, cloud: Cloud, i: int) -> float:
        """Return what is left of a track's returns where it should be and where it was, nearer ones too.

        NaN where the camera boxes something of its size there.
        """
        t, detections = scene.tracks, scene.frame.detections
        assert detections is not None
        returns, range_m, *box = self._memory[:6, t.slot[i]].tolist()
        # A box that took its identity is not where it should be.
        places = np.stack([box if t.matched[i] else t.xyxy[i], box])
        xyxy = detections.xyxy.astype(np.float64)
        covered = boxes.intersection(places, xyxy) / np.maximum(boxes.area(places), 1e-9)[:, None]
        height = np.maximum(xyxy[:, 3] - xyxy[:, 1], 1.0)
        alike = np.abs(np.log(height / max(box[3] - box[1], 1.0))) <= loops.AS_TALL
        if (covered[:, alike] > _SEEN).any():
            return float("nan")
        reach, most = range_m * _BEYOND + float(objects.LENGTH[t.label[i]]), 0.0
        for box in core(places):
            index = cloud.in_box(box)
            near = cloud.z[index] <= reach
            near = near if cloud.above is None else near & cloud.above[index]
            most = max(most, float(np.count_nonzero(near)))
        return float(most / returns)
