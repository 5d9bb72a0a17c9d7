"""Which tracks went from the camera and from the LiDAR in one moment, with nothing before them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeguard import objects
from edgeguard.scene import Scene, core
from edgeguard.sweep import Cloud
from edgeguard.tracking import boxes
from edgeguard.tracking.camera import CAPACITY
from edgeguard.tracking.kalman import Slots
from edgeguard.types import F64

# Farther off or with fewer returns nothing can be told; so near the image's side, things leave.
_MAX_RANGE_M, _MIN_RETURNS, _EDGE_PX = 30.0, 8.0, 30.0
_HELD_S = 0.4
_GONE_S = 0.6
_FIRM = 0.6
_AT_ONCE_S = 0.25
# What went while no new picture came did not go before the camera's eyes; a shorter pause hides nothing, lest
# one repeated frame excuse what goes with it.
_UNSEEN_S = 0.3
# What hides a body returns rays itself; only boxes that no sweep knows could hide it unseen.
_CLEAR = 0.5
# Covered so far by a detection of now, as tall to this (in ln): it is seen still. A lesser box is of what
# lies behind it, a taller one of its neighbour in front.
_SEEN, _AS_TALL = 0.3, 0.35
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
        self._returns = np.zeros(CAPACITY)
        self._range_m = np.zeros(CAPACITY)
        self._box = np.zeros((CAPACITY, 4))
        self._absent_s = np.zeros(CAPACITY)
        self._gone = np.zeros(CAPACITY, bool)
        self._unseen_s = 0.0
        self._boxes = b""

    def follow(self, scene: Scene) -> F64:
        """Return (N,) what is left of each track's returns once it is lost, 1 while it is boxed, else NaN."""
        t, support, cloud = scene.tracks, scene.support, scene.cloud
        left, slot = np.full(len(t), np.nan), t.slot
        self._returns[slot[t.is_new]], self._gone[slot[t.is_new]] = 0.0, False
        if self._looked_away(scene):
            self._returns[:], self._gone[:] = 0.0, False
        if support is None or cloud is None or scene.frame.detections is None:
            return left
        held_s = scene.lidar_held_s
        present = t.matched & ~(self._gone[slot] & ~self._as_tall(t.xyxy, slot))
        self._absent_s[slot] = np.where(present, 0.0, self._absent_s[slot] + scene.dt_s)
        self._gone[slot[present | (self._absent_s[slot] > _GONE_S)]] = False
        lost = ~present & (self._absent_s[slot] <= _GONE_S) & (held_s >= _HELD_S)
        # One whose identity another box took had been held as long when it went.
        lost &= self._gone[slot] | ((self._absent_s[slot] <= _AT_ONCE_S) & (t.held_s >= _HELD_S))
        if lost.any():
            # A person's place a moment later is not known to its own width.
            lost &= objects.RIGID[t.label] & (self._returns[slot] >= _MIN_RETURNS)
            plain = scene.asserted & ~scene.truncated & (scene.hidden < _CLEAR) & (scene.edge_px >= _EDGE_PX)
            plain &= np.minimum(t.score, t.confidence) >= _FIRM
            lost &= (self._range_m[slot] <= _MAX_RANGE_M) & (plain | t.matched)
            for i in np.flatnonzero(lost):
                left[i] = self._left(scene, cloud, int(i))
                self._gone[slot[i]] = left[i] <= LEFT
        left[present & (held_s >= _HELD_S)] = 1.0
        row = np.flatnonzero(present & scene.supported & ~scene.truncated & np.isfinite(support.foreground))
        self._returns[slot[row]], self._range_m[slot[row]] = support.on[row], support.foreground[row]
        self._box[slot[row]] = t.xyxy[row]
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

    def _as_tall(self, xyxy: F64, slot: Slots) -> NDArray[np.bool_]:
        """(N,) whether boxes are as tall as those that tracks last held."""
        held = self._box[slot, 3] - self._box[slot, 1]
        ratio = np.maximum(xyxy[:, 3] - xyxy[:, 1], 1.0) / np.maximum(held, 1.0)
        alike: NDArray[np.bool_] = np.abs(np.log(ratio)) <= _AS_TALL
        return alike

    def _left(self, scene: Scene, cloud: Cloud, i: int) -> float:
        """Return what is left of a track's returns where it should be and where it was, nearer ones too.

        NaN where the camera boxes something of its size there.
        """
        t, slot, detections = scene.tracks, scene.tracks.slot[i], scene.frame.detections
        assert detections is not None
        # A box that took its identity is not where it should be.
        places = np.stack([self._box[slot] if t.matched[i] else t.xyxy[i], self._box[slot]])
        xyxy = detections.xyxy.astype(np.float64)
        covered = boxes.intersection(places, xyxy) / np.maximum(boxes.area(places), 1e-9)[:, None]
        alike = self._as_tall(xyxy, np.full(len(xyxy), slot))
        if (covered[:, alike] > _SEEN).any():
            return float("nan")
        reach, most = self._range_m[slot] * _BEYOND + float(objects.LENGTH[t.label[i]]), 0.0
        for box in core(places):
            index = cloud.in_box(box)
            near = cloud.z[index] <= reach
            near = near if cloud.above is None else near & cloud.above[index]
            most = max(most, float(np.count_nonzero(near)))
        return most / float(self._returns[slot])
