"""A second look at a picture, for the checks that take one: whose engine, when, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard import objects
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.tracking import boxes
from edgeguard.types import F64, I64, Detections, Image

NO_ENGINE = "none"
_LOST_S = 1.0
_HELD_S = 0.4


class ViewSettings(Settings):
    """Parameters of any check that takes a second look."""

    engine: str = Field(
        NO_ENGINE,
        min_length=1,
        description="engine to look with, a name under engines/ or a path; none: the check can tell nothing",
    )
    period_s: float = Field(
        1.0, gt=0, le=60, description="time between looks; an inference each: shorter finds sooner, s"
    )
    alert_period_s: float = Field(
        0.1, gt=0, le=60, description="time between looks while one of the last disagreed, s"
    )
    min_height_px: float = Field(
        60.0, gt=1, description="height of a box below which looks differ in good faith, px"
    )
    min_confidence: float = Field(
        0.6, ge=0, le=1, description="confidence below which looks differ in good faith"
    )


class Engine(Protocol):
    """What looks: an open `edgeguard.engine.Engine`, handed in by whoever made the monitor."""

    def detect(self, image: Image) -> Detections: ...

    def close(self) -> None: ...


class Schedule:
    """When to look, by stamps of frames alone, so that a replay looks at the same frames."""

    def __init__(self, period_s: float, alert_period_s: float) -> None:
        self._period_ns = round(period_s * 1e9)
        self._alert_period_ns = round(alert_period_s * 1e9)
        self._last_ns: int | None = None

    def due(self, stamp_ns: int, *, alert: bool) -> bool:
        """Whether to look at this frame; `alert` while the last look differed. Asking takes the turn."""
        period_ns = self._alert_period_ns if alert else self._period_ns
        # Half a millisecond of jitter is no reason to wait for another frame.
        if self._last_ns is not None and 0 <= stamp_ns - self._last_ns < period_ns - 500_000:
            return False
        self._last_ns = stamp_ns
        return True


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """How a second look compares with the frame's tracks.

    Attributes:
        overlap: (N,) IoU of each track with its best second box of any class.
        same_class: (N,) whether that box is of the track's group of classes.
        extra: (K, 4) confident second boxes where no track and no first detection is.
        extra_score: (K,) their scores.
    """

    overlap: F64
    same_class: I64
    extra: F64
    extra_score: F64

    @property
    def disagreement(self) -> F64:
        """(N,) 1 − IoU × class agreement."""
        different: F64 = 1.0 - self.overlap * self.same_class
        return different


def dropped(scene: Scene, settings: ViewSettings) -> NDArray[np.bool_]:
    """Return (N,) whether a near, sure track in plain view lost its detections less than a second ago."""
    t = scene.tracks
    lost: NDArray[np.bool_] = ~t.matched & (t.missed_s < _LOST_S) & (t.held_s >= _HELD_S) & scene.asserted
    lost &= ~scene.truncated & (scene.hidden < 0.3) & (t.height >= settings.min_height_px)
    return lost & (np.minimum(t.score, t.confidence) >= settings.min_confidence)


def compare(scene: Scene, second: Detections, min_score: float) -> Agreement:
    """Match a second look's boxes with the frame's tracks; boxes of things not watched are left out.

    Args:
        scene: the frame.
        second: what the second look saw in it.
        min_score: from which an extra box counts.
    """
    t = scene.tracks
    label = np.array([objects.class_number(n) for n in second.class_names], np.int64)[second.class_id]
    keep = label >= 0
    xyxy, score, group = second.xyxy[keep].astype(np.float64), second.score[keep], objects.GROUP[label[keep]]
    overlap = boxes.iou(t.xyxy, xyxy)
    same = group[None, :] == objects.GROUP[t.label][:, None]
    # Where two boxes fit about alike, the one of the same class is meant.
    best = np.argmax(overlap * np.where(same, 1.0, 0.8), axis=1) if len(xyxy) else np.zeros(len(t), np.int64)
    n = np.arange(len(t))
    first = scene.frame.detections
    known = np.concatenate([t.xyxy, first.xyxy.astype(np.float64)]) if first is not None else t.xyxy
    # A part of a known thing, or several things in one box, are no new object.
    both = boxes.intersection(xyxy, known)
    smaller = np.minimum(boxes.area(xyxy)[:, None], boxes.area(known)[None, :])
    new = np.max(both / np.maximum(smaller, 1e-9), axis=1, initial=0.0) < 0.3
    extra = new & (score >= min_score)
    return Agreement(
        overlap=overlap[n, best] if len(xyxy) else np.zeros(len(t)),
        same_class=same[n, best].astype(np.int64) if len(xyxy) else np.zeros(len(t), np.int64),
        extra=xyxy[extra],
        extra_score=score[extra].astype(np.float64),
    )
