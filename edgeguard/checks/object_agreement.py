"""`object_agreement`: does each sensor see the objects that the other sees?

Both ways. A camera track without a LiDAR object, and a LiDAR object without a camera box: strange in
proportion to how surely the other sensor ought to hold it: nearer, unhidden, wholly in view, confident, and
above all held by both until now. Raw clusters carry no class, so one that the camera never boxed tells only
when it stands up out of nowhere: a body in the open does not appear between two sweeps.

What was held is judged by what this very pair did while both held it: how well they overlapped, how far it
was hidden, how often one lapsed, how sure the camera was. A box that stays but slides off its object is told
by both its sides moving the same way. Nor is a box on a part of a body, of a thing that the road does not
know or of a score on which nobody acts the box of the car that stood there.

Unobservable: beyond range, more hidden than before, at the image's border, too small, LiDAR absent, an
unclassified cluster that neither was boxed before nor appeared in the open.
Benign look-alikes: the detectors' own misses (about 6 % of boxes), mostly of objects that one of them never
held, and of half hidden ones.
Source: Perception Simplex (arXiv 2209.01710), made two-way and probabilistic; CARLO (arXiv 2006.16974).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard import excuses, objects
from edgeguard.appearances import Appearances
from edgeguard.arrays import clamp
from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.habits import Habits
from edgeguard.losses import Losses
from edgeguard.pairing import MIN_OVERLAP, SURE_OVERLAP, Pairing
from edgeguard.scene import Scene, covered_share
from edgeguard.seats import Seats
from edgeguard.tracking import boxes
from edgeguard.tracking.camera import CAPACITY as CAMERA_CAPACITY
from edgeguard.tracking.lidar import CAPACITY
from edgeguard.types import F64, Channel
from edgeguard.verdict import Cause, SubjectKind

# Surprisal of a disagreement on one frame, nats: how rarely good detectors disagree there.
_HELD = 8.5
_OPEN = 8.5
_STRAY = 1.5
_STRICT = np.array([c.group == "vehicle" for c in objects.CLASSES])
_VEHICLE = objects.GROUPS.index("vehicle")
# What the camera alone sees: LiDAR detectors overlook people beside the road for seconds, cars hardly ever.
_NEVER = np.array([{"vehicle": 8.5, "cycle": 3.0, "person": 3.0}.get(g, 3.0) for g in objects.GROUPS])
# Of two people side by side, one box often stands for both.
_SHARED = 0.35
_GLIMPSE_S = 0.1
_GLIMPSED = 0.25
# What overlaps less only brushes it.
_BRUSHED = 0.3
_INSIDE_PX = 8.0
_DRIFT_HIDDEN = 0.85
# Farther than this, detectors find and lose things as they please.
_APPEAR_RANGE_M = 30.0
_SLIM_M = 0.4
_PEOPLE_RANGE_M = 28.0


class ObjectAgreementSettings(Settings):
    """Parameters of `object_agreement`."""

    max_range_m: float = Field(35.0, gt=1, le=300, description="range beyond which nothing can be told, m")
    min_height_px: float = Field(
        25.0, gt=1, description="height of a box below which nothing can be told, px"
    )
    min_probability: float = Field(
        0.88, gt=0, lt=1, description="LiDAR object probability that counts as sure"
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
    sees = frozenset({"hide", "phantom", "box_drift", "lidar_ghost", "lidar_remove", "blind", "delay"})
    needs_any = frozenset({Channel.LIDAR, Channel.LIDAR_DETECTIONS})

    def __init__(self, settings: ObjectAgreementSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._appearances = Appearances(self.settings.new_radius_m)
        self._track_habits = Habits(CAMERA_CAPACITY)
        self._object_habits = Habits(CAPACITY)
        self._seats = Seats(CAMERA_CAPACITY)
        self._losses = Losses()

    def score(self, scene: Scene) -> list[Scores]:
        seen = scene.objects
        if seen is None or scene.measured_objects is None or scene.pairing is None:
            return [Scores.unobservable(SubjectKind.TRACK, scene.tracks.id)]
        return [self._tracks(scene, scene.pairing), self._objects(scene, scene.pairing)]

    def _tracks(self, scene: Scene, pairing: Pairing) -> Scores:
        """Camera tracks that LiDAR should hold."""
        t, s, seen = scene.tracks, self.settings, scene.objects
        assert seen is not None
        habits = self._track_habits
        habits.begin(t.slot[t.is_new])
        held_s = habits.held_s(t.slot, scene.lidar_held_s)
        held = held_s >= s.held_s
        told = t.matched & scene.asserted & objects.SOLID[t.label]
        whole = ~scene.truncated & (t.height >= s.min_height_px) & (scene.edge_px >= s.edge_px)
        near = scene.size_range <= s.max_range_m
        if scene.objects_are_classified:
            clear = excuses.in_view(scene.hidden, habits.hidden(t.slot), held, s.max_hidden)
            short = np.where(
                held,
                excuses.short(pairing.own_object, habits.overlap(t.slot)),
                pairing.own_object < MIN_OVERLAP,
            )
            told &= (clear > 0) & np.where(
                held, (scene.edge_px >= _INSIDE_PX) & (near | np.isnan(scene.size_range)), whole & near
            )
        else:
            # Clusters merge and break; only what LiDAR had held as returns at that range may be missed.
            clear, short = (scene.hidden < s.max_hidden).astype(float), (~scene.supported).astype(float)
            told &= held & whole & near & (clear > 0)
        missed = short > 0
        # Detectors' recall of what they do not hold yet falls off with range, of people sooner.
        reach = np.where(_STRICT[t.label], 36.0, 20.0)
        never = _NEVER[objects.GROUP[t.label]] * clamp((reach - scene.size_range) / 6.0, 0.0, 1.0)
        # What LiDAR had found there, if only for a moment, is no invention of the camera's.
        glimpsed_s = np.where(habits.overlap(t.slot) >= _BRUSHED, habits.agreed_s(t.slot), 0.0)
        never *= clamp(1.0 - glimpsed_s / _GLIMPSE_S, _GLIMPSED, 1.0)
        lasting = _HELD * excuses.steady(habits.lapses(t.slot))
        far = np.where(_STRICT[t.label], s.max_range_m, _PEOPLE_RANGE_M)
        lasting *= clamp((far - np.fmax(scene.size_range, 0.0)) / 5.0, 0.0, 1.0)
        rare = np.where(held, lasting, never) * short * clear
        surprise = rare * clamp(t.confidence / 0.6, 0.0, 1.0)
        habits.learn(
            t.slot,
            told,
            missed & t.matched,
            held_s,
            pairing.object_overlap,
            scene.hidden,
            t.score,
            scene.dt_s,
        )
        drift = self._drift(scene, pairing)
        surprise = np.where(told, surprise, np.nan)
        # A rigid body's box jitters as Gauss says; limbs swing farther than that.
        off = np.where(_STRICT[t.label], loops.gauss_surprisal(drift), 0.5 * drift**2)
        surprise = np.fmax(surprise, np.where(t.matched & held & scene.asserted, off, np.nan))
        lost = self._lost(scene, pairing, held)
        surprise = np.where(np.isnan(lost), surprise, lost)
        found = seen.center[pairing.object_of, 2] if len(seen) else scene.size_range
        return Scores(
            SubjectKind.TRACK,
            t.id,
            surprise,
            tuple(c if m else Cause.CAMERA for c, m in zip(scene.unsupported_cause, missed & t.matched)),
            {
                "camera_sees": t.matched.astype(np.float64),
                "overlap": pairing.any_object,
                "held_s": held_s,
                "range_m": np.where(pairing.object_of >= 0, found, np.fmin(scene.size_range, scene.range)),
                "hidden_share": scene.hidden,
                "drift_sigma": drift,
            },
        )

    def _lost(self, scene: Scene, pairing: Pairing, held: NDArray[np.bool_]) -> F64:
        """(N,) how surely the camera just lost a track whose body raw clusters still show; else NaN."""
        t, s = scene.tracks, self.settings
        if scene.objects_are_classified:
            return np.full(len(t), np.nan)
        lost = self._losses.follow(scene, pairing)
        habits = self._losses.habits
        lost = _HELD * lost * excuses.believed(habits.belief(t.slot)) * excuses.steady(habits.lapses(t.slot))
        told = held & scene.asserted & (scene.hidden < s.max_hidden) & (scene.edge_px >= s.edge_px)
        told &= (t.height >= s.min_height_px) & ~(scene.size_range > _APPEAR_RANGE_M)
        return np.where(told, lost, np.nan)

    def _drift(self, scene: Scene, pairing: Pairing) -> F64:
        """(N,) how far each track's box slid off its LiDAR object, in standard deviations of how it sits."""
        t, seen = scene.tracks, scene.objects
        drift = np.full(len(t), np.nan)
        row = np.flatnonzero((pairing.object_of >= 0) & t.matched)
        if seen is None or not scene.objects_are_classified or not len(row):
            return drift
        other = pairing.object_of[row]
        box, place = t.xyxy[row], scene.object_boxes
        best = np.where(seen.matched[None, :], boxes.iou(box, place), 0.0).max(axis=1)
        off, known_s = self._seats.follow(
            t.slot[row],
            t.is_new[row],
            seen.id[other],
            box,
            place[other],
            best > pairing.object_overlap[row] + 1e-6,
            ~_STRICT[t.label[row]],
            scene.dt_s,
        )
        steady = (known_s >= self.settings.held_s) & (scene.edge_px[row] >= _INSIDE_PX)
        steady &= seen.center[other, 2] <= _APPEAR_RANGE_M
        # Where it truly stands: a box that slides behind a neighbour takes no body there.
        steady &= np.minimum(scene.hidden[row], covered_share(place[other], scene.occluders)) < _DRIFT_HIDDEN
        drift[row] = np.where(steady, off, np.nan)
        return drift

    def _objects(self, scene: Scene, pairing: Pairing) -> Scores:
        """LiDAR objects that the camera should box."""
        seen, s = scene.objects, self.settings
        assert seen is not None
        box = scene.object_boxes
        whole = boxes.area(np.where(np.isnan(seen.xyxy), 0.0, seen.xyxy))
        visible = boxes.area(box) / np.maximum(whole, 1e-9)
        hidden = excuses.hidden(scene, box)
        width = scene.image_size[0] if scene.image_size else 0.0
        told = seen.matched & (seen.probability >= s.min_probability) & (seen.center[:, 2] <= s.max_range_m)
        told &= (visible > 0.7) & (box[:, 3] - box[:, 1] >= s.min_height_px)
        told &= (box[:, 0] >= _INSIDE_PX) & (box[:, 2] <= width - _INSIDE_PX)
        told &= scene.frame.detections is not None
        told &= excuses.stays(scene, box, width)
        habits = self._object_habits
        habits.begin(seen.slot[seen.is_new])
        held_s = habits.held_s(seen.slot, scene.camera_held_s)
        orphaned, left_score = self._orphaned(scene, box)
        held = (held_s >= s.held_s) | orphaned
        sure = (
            (seen.probability >= s.min_probability) & (hidden < 0.15) & (seen.center[:, 2] < _APPEAR_RANGE_M)
        )
        # What overtakes comes into view from the side.
        sure &= (box[:, 0] >= s.edge_px) & (box[:, 2] <= width - s.edge_px)
        appeared = self._appearances.follow(scene, seen, sure)
        clear = excuses.in_view(hidden, habits.hidden(seen.slot), held, s.max_hidden)
        # What stands up in the open was not hidden a moment ago: half of it in view is enough to box it.
        clear = np.where(appeared & ~held, hidden < 2.0 * s.max_hidden, clear)
        told &= (clear > 0) & (
            held | (visible > 0.9) & (box[:, 0] >= s.edge_px) & (box[:, 2] <= width - s.edge_px)
        )
        if not scene.objects_are_classified:
            # A cluster as slim as a post is nothing that the camera has a class for.
            told &= held | appeared & (seen.size[:, 0] >= _SLIM_M)
        other = np.where(appeared | held, pairing.own_box, pairing.any_box) < MIN_OVERLAP
        beside = excuses.beside(scene)
        grouped = beside > 0
        clear = clear * excuses.alone(beside)
        # Clusters merge and break: how well one usually overlaps says little of the next.
        usual = habits.overlap(seen.slot)
        shared = np.where(grouped & (pairing.any_box >= _SHARED), pairing.any_box, pairing.own_box)
        gone = excuses.short(shared, usual) if scene.objects_are_classified else other
        short = np.where(held, gone, other)
        missed = short > 0
        # A detector's false object of odds e^L is that rare, and no rarer.
        trust = np.where((seen.label >= 0) & (objects.GROUP[seen.label] == _VEHICLE), 1.6, 1.0)
        stray = np.minimum(-np.log(np.maximum(1.0 - seen.probability, 1e-9)) * trust, _OPEN)
        lasting = _HELD * excuses.steady(habits.lapses(seen.slot, hidden))
        # A detector lets go of what it hardly believed in.
        believed = np.where(orphaned, left_score, habits.belief(seen.slot))
        lasting *= excuses.believed(believed)
        surprise = np.where(held, lasting, np.where(appeared, stray, _STRAY)) * short * clear
        detections = scene.frame.detections
        score = np.full(len(seen), np.nan)
        if detections is not None and len(detections):
            score = np.where(pairing.box_of >= 0, detections.score[pairing.box_of].astype(np.float64), np.nan)
        habits.learn(seen.slot, told, missed & seen.matched, held_s, pairing.boxed, hidden, score, scene.dt_s)
        return Scores(
            SubjectKind.LIDAR_OBJECT,
            seen.id,
            np.where(told, surprise, np.nan),
            tuple(Cause.CAMERA if h else Cause.LIDAR for h in held),
            {
                "camera_sees": np.zeros(len(seen)),
                "overlap": pairing.any_box,
                "held_s": held_s,
                "range_m": seen.center[:, 2],
                "hidden_share": hidden,
                "drift_sigma": np.full(len(seen), np.nan),
            },
        )

    def _orphaned(self, scene: Scene, box: F64) -> tuple[NDArray[np.bool_], F64]:
        """(M,) whether an object stands where a track that both held was just lost, and its last score.

        Whatever the object's identity: an attack on one sensor may unsettle the other's tracks.
        """
        t, seen = scene.tracks, scene.objects
        assert seen is not None
        lost = ~t.matched & (t.missed_s < 1.0) & (scene.lidar_held_s >= self.settings.held_s)
        lost &= (t.held_s >= self.settings.held_s) & scene.asserted
        if not np.any(lost) or not len(seen) or not scene.objects_are_classified:
            return np.zeros(len(seen), bool), np.zeros(len(seen))
        over: NDArray[np.bool_] = boxes.iou(t.xyxy[lost], box) >= SURE_OVERLAP
        score: F64 = np.where(over, t.score[lost][:, None], 0.0).max(axis=0)
        orphaned: NDArray[np.bool_] = np.any(over, axis=0)
        return orphaned, score

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        if measured["drift_sigma"] > 2.5:
            return f"box slid off its LiDAR object by {measured['drift_sigma']:.1f} standard deviations"
        where = f"at {measured['range_m']:.0f} m"
        held = f", after {measured['held_s']:.1f} s in which both did" if measured["held_s"] > 0.1 else ""
        sees, misses = ("the camera", "LiDAR") if measured["camera_sees"] else ("LiDAR", "the camera")
        return f"{sees} sees an object {where} that {misses} does not{held}"
