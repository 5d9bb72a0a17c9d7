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
from edgeguard.scene import Scene, covered_share
from edgeguard.tracking import boxes
from edgeguard.tracking.lidar import CAPACITY
from edgeguard.types import F64, Channel
from edgeguard.verdict import Cause, SubjectKind

# Surprisal of a disagreement on one frame, nats: how rarely good detectors disagree there.
_HELD = 7.0
_OPEN = 7.0
_NEVER = 5.0


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
        15.0, ge=0, description="distance to the image's side below which nothing can be told"
    )
    new_radius_m: float = Field(
        1.0, gt=0, le=10, description="distance from anything seen before that is open, m"
    )


class ObjectAgreement:
    """See the module. Subjects are camera tracks and LiDAR objects."""

    name = "object_agreement"
    needs = frozenset({Channel.DETECTIONS})

    def __init__(self, settings: ObjectAgreementSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._appeared = np.zeros(CAPACITY, bool)

    def score(self, scene: Scene) -> list[Scores]:
        seen = scene.objects
        if seen is None or scene.measured_objects is None:
            return [Scores.unobservable(SubjectKind.TRACK, scene.tracks.id)]
        return [self._tracks(scene), self._objects(scene)]

    def _tracks(self, scene: Scene) -> Scores:
        """Camera tracks that LiDAR should hold."""
        t, s = scene.tracks, self.settings
        partner, overlap = scene.partner
        told = t.matched & scene.asserted & objects.SOLID[t.label] & ~scene.truncated
        told &= (scene.hidden < s.max_hidden) & (t.height >= s.min_height_px) & (scene.edge_px >= s.edge_px)
        told &= scene.size_range <= s.max_range_m
        if not scene.objects_are_classified:
            # Clusters merge and break; only what LiDAR had held as returns at that range may be missed.
            told &= scene.lidar_held_s >= s.held_s
        held = scene.lidar_held_s >= s.held_s
        missed = (overlap < s.min_overlap) & ~scene.supported
        surprise = np.where(missed, np.where(held, _HELD, _NEVER), 0.0)
        surprise *= np.clip(t.confidence / 0.6, 0.0, 1.0)
        seen = scene.objects
        assert seen is not None
        there = seen.center[np.maximum(partner, 0), 2] if len(seen) else np.full(len(t), np.nan)
        return Scores(
            SubjectKind.TRACK,
            t.id,
            np.where(told, surprise, np.nan),
            scene.unsupported_cause,
            {
                "camera_sees": np.ones(len(t)),
                "overlap": overlap,
                "held_s": scene.lidar_held_s,
                "range_m": np.where(partner >= 0, there, scene.size_range),
                "hidden_share": scene.hidden,
            },
        )

    def _objects(self, scene: Scene) -> Scores:
        """LiDAR objects that the camera should box."""
        seen, s = scene.objects, self.settings
        assert seen is not None
        box = scene.clipped(seen.xyxy)
        visible = boxes.area(box) / np.maximum(boxes.area(np.nan_to_num(seen.xyxy)), 1e-9)
        hidden = self._hidden(scene, box)
        width = scene.image_size[0] if scene.image_size else 0.0
        told = seen.matched & (seen.probability >= s.min_probability) & (seen.center[:, 2] <= s.max_range_m)
        told &= (visible > 0.9) & (hidden < s.max_hidden) & (box[:, 3] - box[:, 1] >= s.min_height_px)
        told &= (box[:, 0] >= s.edge_px) & (box[:, 2] <= width - s.edge_px)
        told &= scene.frame.detections is not None
        held = scene.camera_held_s >= s.held_s
        self._appear(scene, told)
        appeared = self._appeared[seen.slot]
        if not scene.objects_are_classified:
            told &= held | appeared
        missed = scene.boxed < s.min_overlap
        surprise = np.where(missed, np.where(held, _HELD, np.where(appeared, _OPEN, _NEVER)), 0.0)
        cause = tuple(Cause.CAMERA if h else Cause.LIDAR for h in held)
        return Scores(
            SubjectKind.LIDAR_OBJECT,
            seen.id,
            np.where(told, surprise, np.nan),
            cause,
            {
                "camera_sees": np.zeros(len(seen)),
                "overlap": scene.boxed,
                "held_s": scene.camera_held_s,
                "range_m": seen.center[:, 2],
                "hidden_share": hidden,
            },
        )

    def _hidden(self, scene: Scene, box: F64) -> F64:
        """Share of an object's box that nearer objects or camera tracks cover."""
        seen = scene.objects
        assert seen is not None
        inner = boxes.intersection(box, box) / np.maximum(boxes.area(box)[:, None], 1e-9)
        nearer = seen.center[None, :, 2] < seen.center[:, None, 2] - 1.0
        by_object = (
            np.where(nearer & seen.matched[None, :], inner, 0.0).max(axis=1) if len(seen) else np.zeros(0)
        )
        sure = scene.tracks.xyxy[(scene.tracks.confidence >= 0.3) & ~scene.duplicate]
        return np.maximum(by_object, covered_share(box, sure))

    def _appear(self, scene: Scene, told: NDArray[np.bool_]) -> None:
        """Mark objects that stood up in the open: nothing was near on the sweep before."""
        seen = scene.objects
        assert seen is not None
        self._appeared[seen.slot[seen.is_new]] = False
        candidates = np.flatnonzero(seen.is_new & told & (seen.bottom < 0.6))
        occupied = scene.occupied if not scene.objects_are_classified else None
        if occupied is None or occupied[1] is None or not len(candidates):
            return
        cell = scene.settings.lidar.cell_m
        reach = 2 * round(self.settings.new_radius_m / cell) + 1
        near = cv2.dilate(occupied[1], cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
        for i in candidates:
            low = seen.center[i] - seen.size[i] / 2
            high = seen.center[i] + seen.size[i] / 2
            x0, x1 = int((low[0] + 40.0) / cell), int((high[0] + 40.0) / cell) + 1
            z0, z1 = int(low[2] / cell), int(high[2] / cell) + 1
            now = occupied[0][x0:x1, z0:z1] > 0
            old = now & (near[x0:x1, z0:z1] > 0)
            self._appeared[seen.slot[i]] = np.count_nonzero(old) <= 0.1 * np.count_nonzero(now)

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        where = f"at {measured['range_m']:.0f} m"
        held = f", after {measured['held_s']:.1f} s in which both did" if measured["held_s"] > 0.1 else ""
        sees, misses = ("the camera", "LiDAR") if measured["camera_sees"] else ("LiDAR", "the camera")
        return f"{sees} sees an object {where} that {misses} does not{held}"
