"""Which tracks went from the camera and from the LiDAR in one moment, with nothing before them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeguard import objects
from edgeguard.scene import Cloud, Scene, core
from edgeguard.tracking import boxes
from edgeguard.tracking.camera import CAPACITY
from edgeguard.types import F64

# A person's place a moment later is not known to its own width.
_VEHICLE = np.array([c.group == "vehicle" for c in objects.CLASSES])
# Farther off or with fewer returns nothing can be told; so near the image's side, things leave.
_MAX_RANGE_M, _MIN_RETURNS, _EDGE_PX = 30.0, 8.0, 30.0
_HELD_S = 0.4
_GONE_S = 0.6
_FIRM = 0.6
_AT_ONCE_S = 0.25
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
        self._gone = np.zeros(CAPACITY, bool)

    def follow(self, scene: Scene) -> F64:
        """Return (N,) what is left of each track's returns once it is lost, 1 while it is boxed, else NaN."""
        t, support, cloud = scene.tracks, scene.support, scene.cloud
        left = np.full(len(t), np.nan)
        self._returns[t.slot[t.is_new]] = 0.0
        if support is None or cloud is None or scene.frame.detections is None:
            return left
        held_s = scene.lidar_held_s
        lost = ~t.matched & (t.missed_s <= _GONE_S) & (t.held_s >= _HELD_S) & (held_s >= _HELD_S)
        if lost.any():
            lost &= scene.asserted & _VEHICLE[t.label] & ~scene.truncated & (scene.hidden < _CLEAR)
            lost &= (scene.edge_px >= _EDGE_PX) & (self._returns[t.slot] >= _MIN_RETURNS)
            lost &= self._range_m[t.slot] <= _MAX_RANGE_M
            # What the sweep held when the camera had lost it went later, or the track went astray.
            lost &= self._gone[t.slot] | (t.missed_s <= _AT_ONCE_S)
            lost &= np.minimum(t.score, t.confidence) >= _FIRM
            for i in np.flatnonzero(lost & ~self._boxed(scene)):
                left[i] = self._left(cloud, int(i), scene)
                self._gone[t.slot[i]] = left[i] <= LEFT
        self._gone[t.slot[t.matched]] = False
        left[t.matched & (held_s >= _HELD_S)] = 1.0
        row = np.flatnonzero(t.matched & scene.supported & ~scene.truncated & np.isfinite(support.foreground))
        slot = t.slot[row]
        self._returns[slot], self._range_m[slot] = support.on[row], support.foreground[row]
        self._box[slot] = t.xyxy[row]
        return left

    def _boxed(self, scene: Scene) -> NDArray[np.bool_]:
        """(N,) whether the camera boxes anything of its size where a track should be, or was."""
        detections, t = scene.frame.detections, scene.tracks
        assert detections is not None
        xyxy = detections.xyxy.astype(np.float64)
        if not len(xyxy):
            return np.zeros(len(t), bool)
        tall = np.maximum(xyxy[:, 3] - xyxy[:, 1], 1.0)[None, :] / np.maximum(t.height, 1.0)[:, None]
        alike, seen = np.abs(np.log(tall)) <= _AS_TALL, np.zeros(len(t), bool)
        for place in (t.xyxy, self._box[t.slot]):
            covered = boxes.intersection(place, xyxy) / np.maximum(boxes.area(place), 1e-9)[:, None]
            seen |= ((covered > _SEEN) & alike).any(axis=1)
        return seen

    def _left(self, cloud: Cloud, i: int, scene: Scene) -> float:
        """Return what is left of a track's returns where it should be and where it was, nearer ones too."""
        t, slot = scene.tracks, scene.tracks.slot[i]
        reach = self._range_m[slot] * _BEYOND + float(objects.LENGTH[t.label[i]])
        most = 0.0
        for box in core(np.stack([t.xyxy[i], self._box[slot]])):
            index = cloud.in_box(box)
            near = cloud.z[index] <= reach
            most = max(
                most, float(np.count_nonzero(near if cloud.above is None else near & cloud.above[index]))
            )
        return most / float(self._returns[slot])
