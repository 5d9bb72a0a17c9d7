"""`sanitised_view`: does what the camera sees survive a picture that is a little worse?

Once in a while the picture is run through the engine again, after a median filter, JPEG compression or a blur
in turn: operations that hardly change what a sound network sees of a near object, and break the pixel-exact
patterns that patches need. Strange is a confident near track that vanishes or changes class in such a view,
and an object that appears in it where the picture itself showed none, or none any more. While one of the last
looks disagreed, another is taken every `alert_period_s`, each of another kind: what one kind of view alone
takes away convicts nobody.

Costs one inference a look: `period_s` sets the duty. Frames are chosen by stamp, so replays look at the same.

Unobservable: no engine, no picture, not this frame's turn; small, young or unsure tracks.
Benign look-alikes: objects at the engine's limit (small, dim, half hidden), thin structures that a median
removes.
Limits: patches trained through such filters survive them; a real body under a patch that hides it is only
seen here if the view breaks the patch.
Source: feature squeezing (Xu et al., NDSS 2018); costlier forms mask regions (ObjectSeeker, IEEE S&P 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from pydantic import Field

from edgeguard.checks.base import Scores
from edgeguard.checks.view import Engine, Schedule, ViewSettings, compare, dropped
from edgeguard.scene import Scene
from edgeguard.types import U8, Channel, Image
from edgeguard.verdict import Cause, SubjectKind

_CAMERA = np.array([list(Channel).index(Channel.CAMERA)], np.int64)
# Surprisal, nats, of a sure near track gone from a view, and of an object that only a view shows.
_GONE = 6.0
_EXTRA = 4.5
_SURE = 0.8
_DISAGREES = 0.6
_STILL_THERE = 0.6


class SanitisedViewSettings(ViewSettings):
    """Parameters of `sanitised_view`; its engine is the one that makes the detections."""

    strength: float = Field(
        1.0, gt=0, le=4, description="how much worse views are: 1 hardly touches near objects, 2 much"
    )


class SanitisedView:
    """See the module. Subjects are camera tracks, and the camera stream for what only a view shows."""

    name = "sanitised_view"
    needs = frozenset({Channel.CAMERA, Channel.DETECTIONS})
    sees = frozenset({"patch", "hide"})

    def __init__(self, settings: SanitisedViewSettings, engine: Engine | None) -> None:
        self.settings = settings
        self._engine = engine
        self.reset()

    def reset(self) -> None:
        self._schedule = Schedule(self.settings.period_s, self.settings.alert_period_s)
        self._looks = 0
        self._doubtful_looks = 0

    def score(self, scene: Scene) -> list[Scores]:
        t, image = scene.tracks, scene.frame.image
        if self._engine is None or image is None or scene.frame.detections is None:
            return [Scores.unobservable(SubjectKind.TRACK, t.id)]
        if not self._schedule.due(scene.frame.stamp_ns, alert=self._doubtful_looks > 0):
            return [
                Scores.unobservable(SubjectKind.TRACK, t.id),
                Scores.unobservable(SubjectKind.STREAM, _CAMERA),
            ]
        kind = self._looks % len(VIEWS)
        self._looks += 1
        s = self.settings
        view = Image(image.stamp_ns, image.frame_id, VIEWS[kind](image.bgr, s.strength))
        found = compare(scene, self._engine.detect(view), s.min_confidence)
        told = t.matched & scene.asserted & ~scene.truncated & (scene.hidden < 0.3)
        told &= (t.height >= s.min_height_px) & (t.confidence >= s.min_confidence)
        gone = told & (found.disagreement > _DISAGREES)
        back = dropped(scene, s) & (found.disagreement < _STILL_THERE)
        sure = np.clip(t.confidence / _SURE, 0.0, 1.0)
        new = found.extra[:, 3] - found.extra[:, 1] >= s.min_height_px
        # One kind of view may leave a pattern whole: doubt lasts until every kind has agreed.
        doubt = bool(gone.any() or back.any() or new.any())
        self._doubtful_looks = len(VIEWS) if doubt else max(self._doubtful_looks - 1, 0)
        number = np.full(len(t), float(kind))
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                np.where(back, _GONE, np.where(told, np.where(gone, _GONE * sure, 0.0), np.nan)),
                (Cause.CAMERA,) * len(t),
                {
                    "disagreement": found.disagreement,
                    "view": number,
                    "extra_objects": back.astype(np.float64),
                },
            ),
            Scores(
                SubjectKind.STREAM,
                _CAMERA,
                np.array([_EXTRA if new.any() else 0.0]),
                (Cause.CAMERA,),
                {
                    "disagreement": np.array([float(new.any())]),
                    "view": np.array([float(kind)]),
                    "extra_objects": np.array([float(np.count_nonzero(new))]),
                },
            ),
        ]

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        if np.isnan(measured.get("view", np.nan)):
            return "a slightly worse picture shows something else"
        view = _NAMES[int(measured["view"])]
        if measured["extra_objects"]:
            return f"{measured['extra_objects']:.0f} lost or new objects appear once the picture is {view}"
        return f"is gone or another class once the picture is {view}"


def _median(bgr: U8, strength: float) -> U8:
    return np.asarray(cv2.medianBlur(bgr, 2 * round(2 * strength) + 1), np.uint8)


def _jpeg(bgr: U8, strength: float) -> U8:
    quality = max(5, round(30 / strength))
    _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded, np.uint8)


def _blur(bgr: U8, strength: float) -> U8:
    return np.asarray(cv2.GaussianBlur(bgr, (0, 0), 1.5 * strength), np.uint8)


VIEWS: tuple[Callable[[U8, float], U8], ...] = (_median, _jpeg, _blur)
"""How a picture is made worse, in turn."""

_NAMES = ("median-filtered", "compressed", "blurred")
