"""`ensemble`: does a second, different network see what the first sees?

Once in a while a second engine looks at the picture too. Patches and other adversarial inputs are made
against one network, or a family of them, and carry over to another badly. Two honest networks differ on what
is small, odd or half hidden, and one may never learn to see what the other does, so most of the weight is on
change: a near, sure track that the second engine had confirmed and no longer does, or an object it sees and
the first, which had it, no longer does. A near, sure track that it never confirmed counts little by little.

Costs one inference of the second engine a look; frames are chosen by stamp. While a look disagrees, another
follows every `alert_period_s`.

Unobservable: no second engine, no picture, not this frame's turn; small, young or unsure tracks, and classes
that the second engine has never shown.
Benign look-alikes: classes that the two networks cut differently (van, truck); objects at either one's limit.
Limits: attacks made against both networks, or carried in the scene itself (a printed picture of a car).
Source: ensemble disagreement as a detector of adversarial examples; Strauss et al. (arXiv 1709.03423).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from edgeguard import objects
from edgeguard.checks.base import Scores
from edgeguard.checks.view import Engine, Schedule, ViewSettings, compare, dropped
from edgeguard.scene import Scene
from edgeguard.tracking.camera import CAPACITY
from edgeguard.types import Channel, Detections
from edgeguard.verdict import Cause, SubjectKind

_CAMERA = np.array([list(Channel).index(Channel.CAMERA)], np.int64)
# Surprisal, nats: confirmed and lost; never confirmed; an object that only the second engine sees.
_LOST = 6.0
_NEVER = 2.9
_EXTRA = 3.5
_SURE = 0.8
_DISAGREES = 0.7
_STILL_THERE = 0.6


class EnsembleSettings(ViewSettings):
    """Parameters of `ensemble`; its engine is another network than the one that makes the detections."""

    min_height_px: float = Field(
        70.0, gt=1, description="height of a box below which networks differ in good faith, px"
    )


class Ensemble:
    """See the module. Subjects are camera tracks, and the camera stream for what only the second sees."""

    name = "ensemble"
    needs = frozenset({Channel.CAMERA, Channel.DETECTIONS})
    sees = frozenset({"patch", "hide", "phantom", "class_flip"})

    def __init__(self, settings: EnsembleSettings, engine: Engine | None) -> None:
        self.settings = settings
        self._engine = engine
        self.reset()

    def reset(self) -> None:
        self._schedule = Schedule(self.settings.period_s, self.settings.alert_period_s)
        self._alert = False
        self._confirmed = np.zeros(CAPACITY, bool)
        self._known_groups = np.zeros(len(objects.GROUPS), bool)

    def score(self, scene: Scene) -> list[Scores]:
        t, image = scene.tracks, scene.frame.image
        self._confirmed[t.slot[t.is_new]] = False
        if self._engine is None or image is None or scene.frame.detections is None:
            return [Scores.unobservable(SubjectKind.TRACK, t.id)]
        if not self._schedule.due(scene.frame.stamp_ns, alert=self._alert):
            return [
                Scores.unobservable(SubjectKind.TRACK, t.id),
                Scores.unobservable(SubjectKind.STREAM, _CAMERA),
            ]
        s = self.settings
        second = self._engine.detect(image)
        self._learn_classes(second)
        found = compare(scene, second, s.min_confidence)
        told = t.matched & scene.asserted & ~scene.truncated & (scene.hidden < 0.3)
        told &= (t.height >= s.min_height_px) & (t.confidence >= s.min_confidence)
        told &= self._known_groups[objects.GROUP[t.label]]
        differs = told & (found.disagreement > _DISAGREES)
        confirmed = self._confirmed[t.slot]
        surprise = np.where(differs, np.where(confirmed, _LOST, _NEVER), 0.0)
        self._confirmed[t.slot] |= told & ~differs
        still = dropped(scene, s) & (found.disagreement < _STILL_THERE)
        surprise[still], told = _LOST, told | still
        new = found.extra[:, 3] - found.extra[:, 1] >= s.min_height_px
        self._alert = bool(differs.any() or still.any() or new.any())
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                np.where(told, surprise * np.clip(t.confidence / _SURE, 0.0, 1.0), np.nan),
                (Cause.CAMERA,) * len(t),
                {
                    "disagreement": found.disagreement,
                    "confirmed": np.where(still, np.nan, confirmed),
                    "extra_objects": np.zeros(len(t)),
                },
            ),
            Scores(
                SubjectKind.STREAM,
                _CAMERA,
                np.array([_EXTRA if new.any() else 0.0]),
                (Cause.CAMERA,),
                {
                    "disagreement": np.array([float(new.any())]),
                    "confirmed": np.array([np.nan]),
                    "extra_objects": np.array([float(np.count_nonzero(new))]),
                },
            ),
        ]

    def _learn_classes(self, second: Detections) -> None:
        label = np.array([objects.class_number(n) for n in second.class_names], np.int64)[second.class_id]
        self._known_groups[objects.GROUP[label[(label >= 0) & (second.score >= _SURE)]]] = True

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        if measured.get("extra_objects", 0.0):
            return f"{measured['extra_objects']:.0f} objects that only the second engine sees"
        if np.isnan(measured.get("confirmed", 0.0)):
            return "the second engine still sees it"
        before = "no longer sees it as such" if measured.get("confirmed", 0.0) else "never saw it"
        return f"the second engine {before}"
