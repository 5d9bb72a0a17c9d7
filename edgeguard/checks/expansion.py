"""`expansion`: does a box grow as fast as its object comes nearer?

An object's height in the image is f·H/Z, so ḣ/h = −Ż/Z (the inverse of the time to contact, Lee 1976), for
any size and any motion. Growth is a line fitted to ln h over half a second, closing a line fitted to
ln Z of the LiDAR's nearest face. Without LiDAR, what cannot move (a sign) comes nearer as fast as the vehicle
drives. The score is −ln of the two-sided tail of their difference.

Unobservable: range unknown or its body just changed, a box that is small, truncated or half hidden, its foot
hidden, a vehicle that turns fast, a track younger than the fit needs.
Benign look-alikes: a nearer body entering the box, detectors that let boxes breathe, long vehicles turning
(the face that gives the range is not the one that gives the height).
Blind to: an attack that lets box and range change together; a box of wrong but constant scale.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard import objects
from edgeguard.checks.base import Scores
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.tracking.camera import CAPACITY
from edgeguard.tracking.trend import TrendBank
from edgeguard.types import F64, Channel
from edgeguard.verdict import Cause, SubjectKind

# A range that jumps by more than this share within a frame is another body's.
_JUMP = 0.12


class ExpansionSettings(Settings):
    """Parameters of `expansion`."""

    memory_s: float = Field(
        0.5, gt=0, le=5, description="time over which both are fitted, s; longer is surer, but later"
    )
    min_age_s: float = Field(0.6, gt=0, le=10, description="observation that a fit needs, s")
    min_height_px: float = Field(30.0, gt=1, description="box height below which growth is noise, px")
    max_range_m: float = Field(50.0, gt=1, le=300, description="range beyond which nothing can be told, m")
    box_noise: float = Field(
        0.025, gt=0, le=1, description="noise of ln height; larger tolerates boxes that breathe"
    )
    range_noise_m: float = Field(0.15, ge=0, le=5, description="noise of the nearest face's range, m")
    max_turn_rad_s: float = Field(
        0.3, gt=0, le=5, description="own turn rate above which a sign tells nothing, rad/s"
    )
    tail: float = Field(
        4.0, gt=1, le=50, description="degrees of freedom of the difference's heavy-tailed null"
    )


class Expansion:
    """See the module. Subjects are camera tracks."""

    name = "expansion"
    needs = frozenset({Channel.DETECTIONS})
    sees = frozenset({"box_drift"})

    def __init__(self, settings: ExpansionSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._trend = TrendBank(CAPACITY, 2, self.settings.memory_s)
        self._known_s = np.zeros(CAPACITY)
        self._range = np.full(CAPACITY, np.nan)

    def score(self, scene: Scene) -> list[Scores]:
        t, s = scene.tracks, self.settings
        slot = t.slot
        near, measured = self._range_of(scene)
        last = np.where(t.is_new, np.nan, self._range[slot])
        jumped = np.abs(np.log(near / last)) > _JUMP + 4.0 * s.range_noise_m / near
        known_s = self._known_s[slot]
        clear = ~scene.truncated & (scene.hidden < 0.2) & (scene.foot_hidden < 0.3)
        good = t.matched & clear & np.isfinite(near)
        fresh = t.is_new | ~clear | jumped
        self._trend.advance(scene.dt_s)
        self._trend.clear(slot[fresh])
        known_s = np.where(fresh, 0.0, known_s + np.where(good, scene.dt_s, 0.0))
        self._known_s[slot], self._range[slot] = known_s, np.where(good, near, last)
        row = np.flatnonzero(good)
        height = np.maximum(t.height, 1.0)
        self._trend.add(slot[row], np.log(np.array([height[row], near[row]])).T)

        growth, closing = (self._trend.slope(slot) * (1.0, -1.0)).T
        range_noise = s.range_noise_m / near
        noise = np.array([s.box_noise + 0.75 / height, range_noise]).T
        sigma = np.hypot(*self._trend.slope_sigma(slot, noise).T)
        speed, turning = _own_motion(scene)
        if speed is not None:
            closing = np.where(measured, closing, speed / near)
        told = good & scene.asserted & (known_s >= s.min_age_s) & (near <= s.max_range_m)
        told &= (t.height >= s.min_height_px) & (measured | (turning <= s.max_turn_rad_s))
        z = (growth - closing) / sigma
        nu = s.tail
        surprise = np.maximum(0.0, 0.5 * (nu + 1.0) * np.log1p(z**2 / nu) - np.log(2.0))
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                np.where(told, surprise, np.nan),
                (Cause.CAMERA,) * len(t),
                {"growth_per_s": growth, "closing_per_s": closing, "range_m": near, "sigma": z},
            )
        ]

    def _range_of(self, scene: Scene) -> tuple[F64, NDArray[np.bool_]]:
        """Range of each track's nearest face, and whether it was measured, not taken from its size."""
        t, pairing, seen = scene.tracks, scene.pairing, scene.objects
        near = np.full(len(t), np.nan)
        if scene.objects_are_classified and pairing is not None and seen is not None and len(seen):
            k = pairing.object_of
            face = seen.center[k, 2] - 0.5 * seen.size[k, 2]
            near = np.where((k >= 0) & seen.matched[k] & (face > 1.0), face, np.nan)
        elif scene.support is not None:
            near = np.where(scene.supported, scene.support.foreground, np.nan)
        measured = np.isfinite(near)
        if _own_motion(scene)[0] is not None:
            still = objects.MAX_SPEED[t.label] == 0.0
            near = np.where(~measured & still, scene.size_range, near)
        return near, measured

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        return (
            f"box grows by {measured['growth_per_s']:+.0%} a second while its object at "
            f"{measured['range_m']:.0f} m comes nearer by {measured['closing_per_s']:+.0%}"
        )


def _own_motion(scene: Scene) -> tuple[float | None, float]:
    """Speed of the camera along its axis, m/s, None where unknown, and its turn rate, rad/s."""
    own = scene.camera_motion
    if own is None:
        return None, 0.0
    return float(own[0][2]), float(np.linalg.norm(own[1]))
