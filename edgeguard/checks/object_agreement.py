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
unclassified cluster that neither was boxed before nor appeared in the open; for what the camera misses, fog.
Benign look-alikes: the detectors' own misses (about 6 % of boxes), mostly of objects that one of them never
held, and of half hidden ones.
Source: Perception Simplex (arXiv 2209.01710), made two-way and probabilistic; CARLO (arXiv 2006.16974).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from edgeguard import veil
from edgeguard.appearances import Appearances
from edgeguard.checks.base import Scores, camera_or_lidar
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.pairing import Pairing
from edgeguard.scene import Scene
from edgeguard.tracking.camera import CAPACITY as CAMERA_CAPACITY
from edgeguard.tracking.lidar import CAPACITY, LidarObjects
from edgeguard.types import Channel
from edgeguard.verdict import Cause, SubjectKind


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
        self._track_habits = np.zeros((loops.HABITS, CAMERA_CAPACITY))
        self._object_habits = np.zeros((loops.HABITS, CAPACITY))
        self._partners = np.full(CAMERA_CAPACITY, -1, np.int64)
        self._seats = np.zeros((loops.SEATS, CAMERA_CAPACITY))
        self._bodies = np.full((loops.BODIES, CAMERA_CAPACITY), np.nan)
        self._body_habits = np.zeros((loops.HABITS, CAMERA_CAPACITY))

    def score(self, scene: Scene) -> list[Scores]:
        seen, pairing = scene.objects, scene.pairing
        if seen is None or scene.measured_objects is None or pairing is None:
            return [Scores.unobservable(SubjectKind.TRACK, scene.tracks.id)]
        return [self._tracks(scene, pairing), self._objects(scene, seen, pairing)]

    def _tracks(self, scene: Scene, pairing: Pairing) -> Scores:
        """Camera tracks that LiDAR should hold, or that the camera should hold still."""
        t, lost = scene.tracks, None
        if not scene.objects_are_classified:
            lost = loops.bodies_camera_lost(scene, pairing, self._bodies, self._body_habits)
        (surprise, held_s, range_m, drift), missed = loops.tracks_lidar_misses(
            scene, pairing, self._track_habits, self._partners, self._seats, lost, self.settings
        )
        # The camera's silence, not what it sees.
        veil.excuse(surprise, np.where(t.matched, 0.0, scene.veiled))
        return Scores(
            SubjectKind.TRACK,
            t.id,
            surprise,
            camera_or_lidar(missed & scene.suspects_lidar),
            {
                "camera_sees": t.matched.astype(np.float64),
                "overlap": pairing.any_object,
                "held_s": held_s,
                "range_m": range_m,
                "hidden_share": scene.hidden,
                "drift_sigma": drift,
            },
        )

    def _objects(self, scene: Scene, seen: LidarObjects, pairing: Pairing) -> Scores:
        """LiDAR objects that the camera should box."""
        hidden, visible, new = loops.objects_in_view(scene, self.settings)
        appeared = self._appearances.follow(scene, seen, new)
        (surprise, held_s), held = loops.objects_camera_misses(
            scene, pairing, hidden, visible, appeared, self._object_habits, self.settings
        )
        veil.excuse(surprise, scene.veiled_objects)
        n = len(seen)
        return Scores(
            SubjectKind.LIDAR_OBJECT,
            seen.id,
            surprise,
            camera_or_lidar(~held),
            {
                "camera_sees": np.zeros(n),
                "overlap": pairing.any_box,
                "held_s": held_s,
                "range_m": seen.center[:, 2],
                "hidden_share": hidden,
                "drift_sigma": np.full(n, np.nan),
            },
        )

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        if measured["drift_sigma"] > 2.5:
            return f"box slid off its LiDAR object by {measured['drift_sigma']:.1f} standard deviations"
        where = f"at {measured['range_m']:.0f} m"
        held = f", after {measured['held_s']:.1f} s in which both did" if measured["held_s"] > 0.1 else ""
        sees, misses = ("the camera", "LiDAR") if measured["camera_sees"] else ("LiDAR", "the camera")
        return f"{sees} sees an object {where} that {misses} does not{held}"
