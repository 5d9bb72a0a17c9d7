"""`object_agreement`: does each sensor see the objects that the other sees?

Both ways. A camera track without a LiDAR object, and a LiDAR object without a camera box: strange in
proportion to how surely the other sensor ought to hold it: nearer, unhidden, wholly in view, confident, and
above all held by both until now. Raw clusters carry no class, so one that the camera never boxed tells only
when it stands up out of nowhere: a body in the open does not appear between two sweeps.

Unobservable: beyond range, hidden, at the image's border, too small, LiDAR absent, an unclassified cluster
that neither was boxed before nor appeared in the open.
Benign look-alikes: the detectors' own misses (about 6 % of boxes), mostly of objects that one of them never
held, and of half hidden ones.
Source: Perception Simplex (arXiv 2209.01710), made two-way and probabilistic; CARLO (arXiv 2006.16974).
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard import objects
from edgeguard.checks.base import Scores
from edgeguard.config import Settings
from edgeguard.pairing import MIN_OVERLAP, SURE_OVERLAP, Pairing
from edgeguard.scene import Scene, covered_share
from edgeguard.tracking import boxes
from edgeguard.tracking.camera import CAPACITY as CAMERA_CAPACITY
from edgeguard.tracking.lidar import CAPACITY
from edgeguard.types import F64, Channel
from edgeguard.verdict import Cause, SubjectKind

# Surprisal of a disagreement on one frame, nats: how rarely good detectors disagree there.
_HELD = 7.0
_OPEN = 7.0
_STRAY = 1.5
# People walk in groups, where one box or LiDAR object stands for several.
_STRICT = np.array([c.group == "vehicle" for c in objects.CLASSES])
_VEHICLE = objects.GROUPS.index("vehicle")
_NEVER = np.array([{"vehicle": 7.5, "cycle": 5.0, "person": 5.0}.get(g, 3.0) for g in objects.GROUPS])

# How a box sits on its object: jitter as a share of its width and in pixels, and how long that is learnt.
_DRIFT_SHARE = 0.07
_DRIFT_PX = 3.0
_DRIFT_MEMORY_S = 1.0
_HIDDEN_MEMORY_S = 1.0
# Farther than this, detectors find and lose things as they please.
_APPEAR_RANGE_M = 30.0


class ObjectAgreementSettings(Settings):
    """Parameters of `object_agreement`."""

    max_range_m: float = Field(35.0, gt=1, le=300, description="range beyond which nothing can be told, m")
    min_height_px: float = Field(
        25.0, gt=1, description="height of a box below which nothing can be told, px"
    )
    min_probability: float = Field(
        0.88, gt=0, lt=1, description="LiDAR object probability that counts as sure"
    )
    min_overlap: float = Field(
        0.2, gt=0, lt=1, description="overlap in the image from which both see one thing"
    )
    held_s: float = Field(
        0.4, gt=0, le=5, description="agreement after which an object counts as held by both, s"
    )
    max_hidden: float = Field(0.25, ge=0, le=1, description="covered share above which nothing can be told")
    edge_px: float = Field(
        30.0, ge=0, description="distance to the image's side below which nothing can be told"
    )
    new_radius_m: float = Field(
        1.0, gt=0, le=10, description="distance from anything seen before that is open, m"
    )


class ObjectAgreement:
    """See the module. Subjects are camera tracks and LiDAR objects."""

    name = "object_agreement"
    needs = frozenset({Channel.DETECTIONS})
    sees = frozenset({"hide", "phantom", "box_drift", "lidar_ghost", "lidar_remove"})
    needs_any = frozenset({Channel.LIDAR, Channel.LIDAR_DETECTIONS})

    def __init__(self, settings: ObjectAgreementSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._settled_s = 0.0
        self._appeared = np.zeros(CAPACITY, bool)
        self._hidden_track = np.zeros(CAMERA_CAPACITY)
        self._hidden_object = np.zeros(CAPACITY)
        self._partner = np.full(CAMERA_CAPACITY, -1, np.int64)
        self._known_s = np.zeros(CAMERA_CAPACITY)
        self._offset = np.zeros(CAMERA_CAPACITY)

    def score(self, scene: Scene) -> list[Scores]:
        seen = scene.objects
        if seen is None or scene.measured_objects is None or scene.pairing is None:
            return [Scores.unobservable(SubjectKind.TRACK, scene.tracks.id)]
        return [self._tracks(scene, scene.pairing), self._objects(scene, scene.pairing)]

    def _tracks(self, scene: Scene, pairing: Pairing) -> Scores:
        """Camera tracks that LiDAR should hold."""
        t, s, seen = scene.tracks, self.settings, scene.objects
        assert seen is not None
        held = scene.lidar_held_s >= s.held_s
        told = t.matched & scene.asserted & objects.SOLID[t.label] & ~scene.truncated
        told &= scene.hidden < self._bearable(
            self._hidden_track, t.slot, t.is_new, scene.hidden, held, scene.dt_s
        )
        told &= (t.height >= s.min_height_px) & (scene.edge_px >= s.edge_px)
        told &= scene.size_range <= s.max_range_m
        if scene.objects_are_classified:
            # A neighbour's object is no excuse for one that was held and is gone.
            strict = held & _STRICT[t.label]
            missed = np.where(strict, pairing.own_object, pairing.any_object) < MIN_OVERLAP
        else:
            # Clusters merge and break; only what LiDAR had held as returns at that range may be missed.
            missed, told = ~scene.supported, told & held
        # Detectors' recall of what they do not hold yet falls off with range, of people sooner.
        reach = np.where(_STRICT[t.label], 32.0, 20.0)
        never = _NEVER[objects.GROUP[t.label]] * np.clip((reach - scene.size_range) / 6.0, 0.0, 1.0)
        rare = np.where(held, _HELD, never)
        surprise = np.where(missed, rare, 0.0) * np.clip(t.confidence / 0.6, 0.0, 1.0)
        drift = self._drift(scene, pairing)
        surprise = np.where(missed, surprise, np.nan_to_num(0.5 * drift**2))
        found = seen.center[pairing.object_of, 2] if len(seen) else scene.size_range
        return Scores(
            SubjectKind.TRACK,
            t.id,
            np.where(told, surprise, np.nan),
            tuple(c if m else Cause.CAMERA for c, m in zip(scene.unsupported_cause, missed)),
            {
                "camera_sees": np.ones(len(t)),
                "overlap": pairing.any_object,
                "held_s": scene.lidar_held_s,
                "range_m": np.where(pairing.object_of >= 0, found, scene.size_range),
                "hidden_share": scene.hidden,
                "drift_sigma": drift,
            },
        )

    def _drift(self, scene: Scene, pairing: Pairing) -> F64:
        """How far each track's box has moved off its LiDAR object, against where it used to sit on it."""
        t, seen = scene.tracks, scene.objects
        drift = np.full(len(t), np.nan)
        row = np.flatnonzero((pairing.object_of >= 0) & t.matched & _STRICT[t.label])
        if seen is None or not scene.objects_are_classified or not len(row):
            return drift
        box, other = t.xyxy[row], scene.clipped(seen.xyxy)[pairing.object_of[row]]
        width = np.maximum(box[:, 2] - box[:, 0], 1.0)
        offset = ((box[:, 0] + box[:, 2]) - (other[:, 0] + other[:, 2])) / 2 / width
        slot = t.slot[row]
        fresh = t.is_new[row] | (self._partner[slot] != seen.id[pairing.object_of[row]])
        self._partner[slot] = seen.id[pairing.object_of[row]]
        self._known_s[slot] = np.where(fresh, 0.0, self._known_s[slot] + scene.dt_s)
        self._offset[slot] = np.where(fresh, offset, self._offset[slot])
        off = (offset - self._offset[slot]) / np.hypot(_DRIFT_SHARE, _DRIFT_PX / width)
        # What is off does not teach where the box sits.
        learn = np.where(np.abs(off) < 2.5, 1.0 - np.exp(-scene.dt_s / _DRIFT_MEMORY_S), 0.0)
        self._offset[slot] += learn * (offset - self._offset[slot])
        steady = (self._known_s[slot] >= self.settings.held_s) & ~scene.truncated[row]
        drift[row] = np.where(steady & (scene.hidden[row] < 0.15), np.abs(off), np.nan)
        return drift

    def _objects(self, scene: Scene, pairing: Pairing) -> Scores:
        """LiDAR objects that the camera should box."""
        seen, s = scene.objects, self.settings
        assert seen is not None
        box = scene.clipped(seen.xyxy)
        visible = boxes.area(box) / np.maximum(boxes.area(np.nan_to_num(seen.xyxy)), 1e-9)
        hidden = self._hidden(scene, box)
        width = scene.image_size[0] if scene.image_size else 0.0
        told = seen.matched & (seen.probability >= s.min_probability) & (seen.center[:, 2] <= s.max_range_m)
        told &= (visible > 0.9) & (box[:, 3] - box[:, 1] >= s.min_height_px)
        told &= (box[:, 0] >= s.edge_px) & (box[:, 2] <= width - s.edge_px)
        told &= scene.frame.detections is not None
        held = (scene.camera_held_s >= s.held_s) | self._orphaned(scene, box)
        appeared = self._appear(scene, hidden)
        # What stands up in the open was not hidden a moment ago: half of it in view is enough to box it.
        bearable = self._bearable(self._hidden_object, seen.slot, seen.is_new, hidden, held, scene.dt_s)
        told &= hidden < np.where(appeared, 2.0 * s.max_hidden, bearable)
        if not scene.objects_are_classified:
            told &= held | appeared
        strict = appeared | (held & ((seen.label < 0) | _STRICT[seen.label]))
        missed = np.where(strict, pairing.own_box, pairing.any_box) < MIN_OVERLAP
        # A detector's false object of odds e^L is that rare, and no rarer.
        trust = np.where((seen.label >= 0) & (objects.GROUP[seen.label] == _VEHICLE), 1.4, 1.0)
        stray = np.minimum(-np.log(np.maximum(1.0 - seen.probability, 1e-9)) * trust, _OPEN)
        surprise = np.where(missed, np.where(held, _HELD, np.where(appeared, stray, _STRAY)), 0.0)
        return Scores(
            SubjectKind.LIDAR_OBJECT,
            seen.id,
            np.where(told, surprise, np.nan),
            tuple(Cause.CAMERA if h else Cause.LIDAR for h in held),
            {
                "camera_sees": np.zeros(len(seen)),
                "overlap": pairing.any_box,
                "held_s": scene.camera_held_s,
                "range_m": seen.center[:, 2],
                "hidden_share": hidden,
                "drift_sigma": np.full(len(seen), np.nan),
            },
        )

    def _orphaned(self, scene: Scene, box: F64) -> NDArray[np.bool_]:
        """(M,) whether an object stands where a track that both held was just lost, whatever its identity."""
        t, seen = scene.tracks, scene.objects
        assert seen is not None
        lost = ~t.matched & (t.missed_s < 1.0) & (scene.lidar_held_s >= self.settings.held_s)
        lost &= (t.held_s >= self.settings.held_s) & scene.asserted
        if not np.any(lost) or not len(seen) or not scene.objects_are_classified:
            return np.zeros(len(seen), bool)
        orphaned: NDArray[np.bool_] = np.any(boxes.iou(t.xyxy[lost], box) >= SURE_OVERLAP, axis=0)
        return orphaned

    def _bearable(
        self,
        usual: F64,
        slot: NDArray[np.intp],
        is_new: NDArray[np.bool_],
        hidden: F64,
        held: NDArray[np.bool_],
        dt_s: float,
    ) -> F64:
        """Return (N,) how far each subject may be hidden and still be missed: as far as when both held it."""
        usual[slot[is_new]] = 0.0
        # Until both hold it, what hides it now is usual; from then on that moves slowly.
        learn = np.where(held, 1.0 - np.exp(-dt_s / _HIDDEN_MEMORY_S), 1.0)
        usual[slot] += learn * (hidden - usual[slot])
        bearable: F64 = np.where(held, np.clip(usual[slot] + 0.15, 0.0, 0.5), 0.0)
        return np.maximum(bearable, self.settings.max_hidden)

    def _hidden(self, scene: Scene, box: F64) -> F64:
        """Share of an object's box that nearer objects or camera tracks cover."""
        seen = scene.objects
        assert seen is not None
        inner = boxes.intersection(box, box) / np.maximum(boxes.area(box)[:, None], 1e-9)
        nearer = seen.center[None, :, 2] < seen.center[:, None, 2] - 1.0
        by_object = (
            np.where(nearer & seen.matched[None, :], inner, 0.0).max(axis=1) if len(seen) else np.zeros(0)
        )
        return np.maximum(by_object, covered_share(box, scene.occluders))

    def _appear(self, scene: Scene, hidden: F64) -> NDArray[np.bool_]:
        """Remember which objects stood up in the open: nothing was near on the sweep before."""
        seen = scene.objects
        assert seen is not None
        self._settled_s = 0.0 if scene.dt_s >= 0.5 else self._settled_s + scene.dt_s
        self._appeared[seen.slot[seen.is_new]] = False
        sure = seen.is_new & (seen.probability >= self.settings.min_probability) & (hidden < 0.15)
        new = np.flatnonzero(sure & ~(seen.bottom > 0.6) & (seen.center[:, 2] < _APPEAR_RANGE_M))
        if len(new) and self._settled_s > 0.3:
            if scene.objects_are_classified:
                # Nothing else was followed near there, at whatever score.
                old = np.flatnonzero(~seen.is_new)
                gap = seen.center[new][:, None, (0, 2)] - seen.center[old][None, :, (0, 2)]
                alone = np.all(np.hypot(gap[..., 0], gap[..., 1]) > 3.0, axis=1)
            else:
                alone = self._in_free_cells(scene, new)
            self._appeared[seen.slot[new]] = alone
        return self._appeared[seen.slot]

    def _in_free_cells(self, scene: Scene, rows: NDArray[np.intp]) -> NDArray[np.bool_]:
        seen, occupied = scene.objects, scene.occupied
        alone = np.zeros(len(rows), bool)
        if seen is None or occupied is None or occupied[1] is None:
            return alone
        cell = scene.settings.lidar.cell_m
        reach = 2 * round(self.settings.new_radius_m / cell) + 1
        near = cv2.dilate(occupied[1], cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
        for n, i in enumerate(rows):
            low = seen.center[i] - seen.size[i] / 2
            high = seen.center[i] + seen.size[i] / 2
            x0, x1 = int((low[0] + 40.0) / cell), int((high[0] + 40.0) / cell) + 1
            z0, z1 = int(low[2] / cell), int(high[2] / cell) + 1
            now = occupied[0][x0:x1, z0:z1] > 0
            old = now & (near[x0:x1, z0:z1] > 0)
            alone[n] = np.count_nonzero(old) <= 0.1 * np.count_nonzero(now)
        return alone

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        if measured["drift_sigma"] > 2.5:
            return f"box slid off its LiDAR object by {measured['drift_sigma']:.1f} standard deviations"
        where = f"at {measured['range_m']:.0f} m"
        held = f", after {measured['held_s']:.1f} s in which both did" if measured["held_s"] > 0.1 else ""
        sees, misses = ("the camera", "LiDAR") if measured["camera_sees"] else ("LiDAR", "the camera")
        return f"{sees} sees an object {where} that {misses} does not{held}"
