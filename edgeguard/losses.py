"""Which tracks the camera has just lost although their bodies still stand there, as raw clusters show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeguard import objects
from edgeguard.habits import Habits
from edgeguard.pairing import SURE_OVERLAP, Pairing
from edgeguard.scene import Scene
from edgeguard.tracking import boxes
from edgeguard.tracking.camera import CAPACITY
from edgeguard.types import F64

_LOST_S = 1.0
_MEMORY_S = 0.5
# As logarithms: what a cluster's middle jumps in range while parts of it come into view, and how much of a
# body's height its box must have.
_APART = 0.3
_PART = 0.4
_SAME_WIDTH = 0.6
_INSIDE = 0.5
_FAINT = 0.5


class Losses:
    """Remembers per camera track the body that was its own: where it stood, and how tall its box made it.

    Clusters change identity with every sweep, so the track is what is followed, not they: bodies do not stand
    on one another, and what fills the same width at the same range is what stood there before. Lost is also
    what the camera's score fell from to where nobody acts on it.

    Attributes:
        habits: how surely and steadily the camera held each track while it did.
    """

    def __init__(self) -> None:
        self._height_m = np.full(CAPACITY, np.nan)
        self._range_m = np.zeros(CAPACITY)
        self.habits = Habits(CAPACITY)

    def follow(self, scene: Scene, pairing: Pairing) -> F64:
        """Return (N,) 1 where a lost track's body stands without its box, 0 where it is boxed, else NaN."""
        t, seen, rig = scene.tracks, scene.objects, scene.rig
        assert seen is not None and rig is not None
        self._height_m[t.slot[t.is_new]] = np.nan
        self.habits.begin(t.slot[t.is_new])
        usual = self.habits.belief(t.slot)
        faint = (t.score < _FAINT * usual) & (t.score < scene.settings.asserted_confidence)
        self._remember(scene, pairing, ~faint)
        gone = np.full(len(t), np.nan)
        lost = np.flatnonzero((~t.matched & (t.missed_s < _LOST_S)) | (t.matched & faint))
        lost = lost[np.isfinite(self._height_m[t.slot[lost]])]
        if len(lost) and len(seen) and scene.frame.detections is not None:
            gone[lost] = self._stands_alone(scene, lost, _FAINT * usual[lost])
        told = np.flatnonzero((t.matched & ~faint) | np.isfinite(gone))
        zero = np.zeros(len(told))
        self.habits.learn(
            t.slot[told],
            np.ones(len(told), bool),
            gone[told] > 0,
            zero,
            zero,
            zero,
            t.score[told],
            scene.dt_s,
        )
        return gone

    def _stands_alone(self, scene: Scene, lost: NDArray[np.intp], least: F64) -> F64:
        """(L,) 1 where a lost track's body stands without a box of such a score, 0 with one; else NaN."""
        t, seen, rig, detections = scene.tracks, scene.objects, scene.rig, scene.frame.detections
        assert seen is not None and rig is not None and detections is not None
        slot, place, range_m = t.slot[lost], scene.object_boxes, np.maximum(seen.center[:, 2], 0.5)
        stands = _shared_width(t.xyxy[lost], place) >= _SAME_WIDTH
        stands &= np.abs(np.log(range_m[None, :] / self._range_m[slot][:, None])) < _APART
        stands &= seen.matched[None, :]
        # A thing that the road has no class for is no answer, nor is a box that is hardly believed.
        xyxy = detections.xyxy.astype(np.float64)
        road = objects.class_numbers(detections.class_names)[detections.class_id] >= 0
        believed = road[None, :] & (detections.score[None, :] >= least[:, None])
        small = np.maximum(np.minimum(boxes.area(xyxy)[None, :], boxes.area(place)[:, None]), 1e-9)
        on = boxes.intersection(place, xyxy) / small >= _INSIDE
        # A box on a part of a body is that of a lesser one, farther off.
        tall = rig.camera.focal * self._height_m[slot][:, None] / range_m[None, :]
        bottom = scene.image_size[1] if scene.image_size else np.inf
        whole = np.minimum(tall[:, :, None], bottom - xyxy[None, None, :, 1])
        fits = np.log(np.maximum(xyxy[:, 3] - xyxy[:, 1], 1.0)) > np.log(np.maximum(whole, 1.0)) - _PART
        boxed = np.any(fits & on[None] & believed[:, None, :], axis=2)
        return np.where(np.any(stands, axis=1), ~np.any(stands & boxed, axis=1), np.nan)

    def _remember(self, scene: Scene, pairing: Pairing, sure: NDArray[np.bool_]) -> None:
        t, seen, rig = scene.tracks, scene.objects, scene.rig
        assert seen is not None and rig is not None
        own = sure & t.matched & (pairing.object_of >= 0) & (pairing.object_overlap >= SURE_OVERLAP)
        row = np.flatnonzero(own & ~scene.truncated)
        slot, range_m = t.slot[row], np.maximum(seen.center[pairing.object_of[row], 2], 0.5)
        height_m = t.height[row] * range_m / rig.camera.focal
        share = 1.0 - np.exp(-scene.dt_s / _MEMORY_S)
        before = self._height_m[slot]
        self._height_m[slot] = np.where(np.isnan(before), height_m, before + share * (height_m - before))
        self._range_m[slot] = range_m


def _shared_width(a: F64, b: F64) -> F64:
    """Return (N, M) intersection over union of boxes' widths alone."""
    left, right = np.maximum(a[:, None, 0], b[None, :, 0]), np.minimum(a[:, None, 2], b[None, :, 2])
    both = np.maximum(right - left, 0.0)
    either = np.maximum(a[:, None, 2], b[None, :, 2]) - np.minimum(a[:, None, 0], b[None, :, 0])
    share: F64 = both / np.maximum(either, 1e-9)
    return share
