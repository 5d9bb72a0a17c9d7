"""`birth_death`: objects appear at the edge of sight, far away or from behind something; and leave there.

Birth: how large a new track already was, away from the image's sides and from anything that could have hidden
it. Death: a well-held, unhidden track without a detection while it is predicted in plain view. Each counts
for the first part of a second. Alone it is weak, since detectors blink and people pass behind people. A near
vehicle that was held steadily is another matter: it is too large to be hidden at once, narrows while it
passes behind a corner, and a second's absence is no blink.

Unobservable: near the field of view's edge, behind an occluder, far away, the first second of a drive or
after a gap in the camera's stream.
Benign look-alikes: emergence from occlusion, doors, tunnel exits, detectors that blink.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from pydantic import Field

from edgeguard import objects
from edgeguard.checks.base import Scores
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.tracking.camera import CAPACITY
from edgeguard.types import Channel
from edgeguard.verdict import Cause, SubjectKind

_SETTLE_S = 1.0
_GONE_S = 1.0
_STEADY_S = 1.0
_FIRM = 0.6
_NARROWING_PER_S = 0.4
_RAREST = 6.0
_VEHICLE = np.array([c.group == "vehicle" for c in objects.CLASSES])


class BirthDeathSettings(Settings):
    """Parameters of `birth_death`."""

    far_height_px: float = Field(
        40.0, gt=1, description="box height below which an object may appear from afar, px"
    )
    edge_px: float = Field(
        40.0, ge=0, description="distance to the image's side within which objects come and go, px"
    )
    window_s: float = Field(0.5, gt=0, le=5, description="how long a birth or death counts, s")
    held_s: float = Field(
        0.5, gt=0, le=10, description="uninterrupted detection before a death is strange, s"
    )


class BirthDeath:
    """See the module. Subjects are camera tracks."""

    name = "birth_death"
    needs = frozenset({Channel.DETECTIONS})
    sees = frozenset({"hide", "phantom"})

    def __init__(self, settings: BirthDeathSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._settled_s = 0.0
        self._birth = np.full(CAPACITY, np.nan)
        self._growth = np.zeros(CAPACITY)  # of width over height, while seen

    def score(self, scene: Scene) -> list[Scores]:
        t, s = scene.tracks, self.settings
        self._settled_s = 0.0 if scene.dt_s >= 0.5 else self._settled_s + scene.dt_s
        if scene.frame.detections is None:
            return [Scores.unobservable(SubjectKind.TRACK, t.id)]
        open_view = (scene.edge_px > s.edge_px) & (scene.hidden < 0.2) & ~scene.truncated
        # Ahead by a factor of e in size for every 2 nats: tracks are born small.
        size = 2.0 * np.log(np.maximum(t.height, 1.0) / s.far_height_px)
        birth = np.where(open_view & (self._settled_s > _SETTLE_S), np.maximum(size, 0.0), np.nan)
        self._birth[t.slot] = np.where(t.is_new, birth, self._birth[t.slot])
        # The start of a drive and of sight after a gap: everything is born then.
        young = (t.age_s <= s.window_s) & scene.asserted
        gone = (
            ~t.matched
            & (t.held_s >= s.held_s)
            & (t.missed_s <= np.where(_VEHICLE[t.label], _GONE_S, s.window_s))
            & scene.asserted
            & open_view
        )
        size = np.maximum(size, 0.0)
        death = np.minimum(1.0 + size, 3.0)
        firm = _VEHICLE[t.label] & (t.held_s >= _STEADY_S) & (np.minimum(t.score, t.confidence) >= _FIRM)
        seen = t.slot[t.matched]
        self._growth[seen] = (t.velocity[:, 2] - t.velocity[:, 3])[t.matched]
        firm &= self._growth[t.slot] > -_NARROWING_PER_S
        death = np.where(firm, np.minimum(1.0 + 1.5 * size, _RAREST), death)
        held = t.matched & (t.held_s >= s.held_s)
        surprise = np.full(len(t), np.nan)
        surprise[held] = 0.0
        surprise[young] = self._birth[t.slot][young]
        surprise[gone] = death[gone]
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                surprise,
                (Cause.CAMERA,) * len(t),
                {"age_s": t.age_s, "missed_s": t.missed_s, "height_px": t.height, "edge_px": scene.edge_px},
            )
        ]

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        if measured["missed_s"] > 0:
            verb = f"vanished in plain view {measured['missed_s']:.1f} s ago"
        else:
            verb = "appeared in the open"
        return f"{verb}, {measured['height_px']:.0f} px high, {measured['edge_px']:.0f} px from the side"
