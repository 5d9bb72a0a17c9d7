"""`calibration_drift`: does LiDAR still lie where the camera sees things?

The sweep's outlines are moved over the picture, across and up and down, and the shift at which range jumps
and brightness edges coincide best is the extrinsic calibration's error in the image. Every outline says where
about it brightness changes most, and counts alike, so that neither one contrasted body nor an attack on one
moves it. Somewhat under a second is gathered at a time: a mount that gives way is caught while it does. A
drift is a fault to be mended and no attack: it asks for caution at most, and `bias_px` is what other checks
may widen gates by.

It can tell about half a degree: below that, the outlines' own offset from the cells they are measured in (a
quarter of a degree) hides it. A mount may well be off by half a degree: one is borne, two are told. That it
moves is another thing: what it was off for the last seconds it stays off, to what can be told at all, so half
as much is told of a mount that gives way. Roll and shifts of the sensor's place show as far as they move
outlines. An axis that accused and is then unknown is not cleared by the other.

Unobservable: few outlines, most of them in fog, a picture without edges at them (night), a best shift that is
hardly better than those beside it, two shifts that fit about alike, too short a window.
Benign look-alikes: a lag between the sensors while turning (see `sync`); load and temperature drift for real.
Source: Levinson & Thrun, Automatic Online Calibration of Cameras and Lasers (RSS 2013).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from pydantic import Field

from edgeguard import veil
from edgeguard.checks.base import Scores
from edgeguard.config import Settings
from edgeguard.edges import STEP, coincidence, peak
from edgeguard.scene import Scene
from edgeguard.types import F64, Channel
from edgeguard.verdict import Cause, SubjectKind

_LIDAR = np.array([list(Channel).index(Channel.LIDAR)], np.int64)
_MAX_SURPRISE = 8.0
# As the evidence sees it, nats.
_ACCUSES = 2.6
# Heights of what lies beside the best shift and of the next best one, of its own over the usual.
_BROAD, _AMBIGUOUS = 0.6, 0.55
_REACH = 8
# An outline is a line: a step or two beside it, its gradient is gone.
_BESIDE = 3
_NOISE_DEG = 0.25
# How far what a sound mount is off seems to wander as outlines come and go: twice the worst root mean square.
_WANDER_DEG = 0.4
# What a mount is off is known after, and remembered for; unknown for so long, it is another view's.
_LEAST_USUAL_S, _USUAL_S, _LOST_S = 1.5, 10.0, 0.5
# By so much the sensors' stamps may lag behind one another (see `sync`): in a turn, an angle.
_LAG_S = 0.05
# A rim lies in its cell, not on the cell's upper border: the top row of returns lies below it, but the body
# reaches above that row.
_RIM_PX = 2.0
_INTERVAL_S = 0.09  # between looks: nearer sweeps repeat each other
_STEPS = np.arange(-_REACH, _REACH + 1, dtype=np.int64)
_ACROSS = np.column_stack([_STEPS, np.zeros_like(_STEPS)])
_DOWN = _ACROSS[:, ::-1]


class CalibrationDriftSettings(Settings):
    """Parameters of `calibration_drift`."""

    memory_s: float = Field(
        0.5,
        gt=0,
        le=600,
        description="time over which outlines are gathered: longer is steadier and later, s",
    )
    min_s: float = Field(
        0.7, gt=0, le=600, description="time with outlines in view before anything is told, s"
    )
    min_outlines: int = Field(60, ge=1, description="outline points gathered below which nothing can be told")
    min_contrast: float = Field(
        0.25, gt=0, lt=10, description="lead of the best shift over the median one below which none is best"
    )
    spread_deg: float = Field(
        0.5, gt=0, le=5, description="bias that a sound calibration may show, standard deviation, degrees"
    )


class CalibrationDrift:
    """See the module. One subject: the LiDAR stream.

    Attributes:
        bias_px: (2,) how far the LiDAR lies right of and below the picture, pixels; NaN while unknown.
    """

    name = "calibration_drift"
    needs = frozenset({Channel.CAMERA, Channel.LIDAR})
    sees = frozenset({"decalibration"})

    def __init__(self, settings: CalibrationDriftSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self.bias_px = np.full(2, np.nan)
        self._across, self._down = _Average(), _Average()
        self._usual = _Usual(), _Usual()
        self._accuser = 0
        self._since_s = 0.0

    def score(self, scene: Scene) -> list[Scores]:
        if scene.frame.points is None:
            return [Scores.unobservable(SubjectKind.STREAM, _LIDAR)]
        s = self.settings
        self._since_s += scene.dt_s
        if scene.new_sweep and self._since_s >= _INTERVAL_S:
            for average, strength, rims, shifts in (
                (self._across, scene.gradient_across, scene.side_rims, _ACROSS),
                (self._down, scene.gradient_down, scene.top_rims, _DOWN),
            ):
                if strength is not None and rims is not None:
                    seen = veil.clear_of(scene.airlight, rims)
                    average.add(*coincidence(strength, seen, shifts), self._since_s, s.memory_s)
            self._since_s = 0.0
        # The shift that mends the bias is its opposite.
        right, down = -STEP * self._across.shift(s), -STEP * self._down.shift(s) + _RIM_PX
        k = scene.rig.camera.k if scene.rig is not None else np.full((3, 3), np.nan)
        degrees = [math.degrees(math.atan(px / k[i, i])) for i, px in enumerate((right, down))]
        turn = math.degrees(float(np.abs(scene.camera_motion[1]).max())) if scene.camera_motion else 0.0
        surprises = [
            max(0.5 * (d / math.hypot(s.spread_deg, _NOISE_DEG)) ** 2, usual.change(d, scene.dt_s, turn))
            for d, usual in zip(degrees, self._usual, strict=True)
        ]
        score = self._worst(surprises)
        self.bias_px = np.array([right, down])
        bias_deg = np.array(degrees)
        return [
            Scores(
                SubjectKind.STREAM,
                _LIDAR,
                np.array([min(score, _MAX_SURPRISE)]),
                (Cause.CALIBRATION,),
                {
                    "bias_right_px": self.bias_px[:1],
                    "bias_down_px": self.bias_px[1:],
                    "bias_right_deg": bias_deg[:1],
                    "bias_down_deg": bias_deg[1:],
                },
            )
        ]

    def _worst(self, surprises: list[float]) -> float:
        """Surprisal of both axes, nats; NaN where none is known, or only the one that did not accuse."""
        known = [i for i, x in enumerate(surprises) if x == x]
        if not known:
            return float("nan")
        worst = max(known, key=lambda i: surprises[i])
        # Two axes and two ways to be off, four chances.
        score = max(surprises[worst] - math.log(4.0), 0.0)
        if score > _ACCUSES:
            self._accuser = worst
        elif self._accuser not in known:
            return float("nan")
        return score

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        right, down = (np.nan_to_num(measured[f"bias_{axis}_deg"]) for axis in ("right", "down"))
        return f"LiDAR lies {right:+.1f} deg right of and {down:+.1f} deg below where the camera sees things"


class _Usual:
    """What one axis was off over the last seconds."""

    def __init__(self) -> None:
        self._deg, self._known_s, self._unknown_s = 0.0, 0.0, 0.0

    def change(self, deg: float, dt_s: float, turn_deg_s: float) -> float:
        """Return the surprisal of a bias, nats, given what it usually is, and take it in."""
        if deg != deg:
            self._unknown_s += dt_s
            return deg
        if self._unknown_s > _LOST_S:
            self._known_s = 0.0
        self._unknown_s, surprise = 0.0, 0.0
        if self._known_s >= _LEAST_USUAL_S:
            surprise = 0.5 * ((deg - self._deg) / math.hypot(_WANDER_DEG, _LAG_S * turn_deg_s)) ** 2
        self._known_s = min(self._known_s + dt_s, _USUAL_S)
        # What is off teaches slowly: it is not what was usual.
        pace_s = self._known_s if surprise < 1.0 else _USUAL_S
        self._deg += dt_s / max(pace_s, dt_s, 1e-3) * (deg - self._deg)
        return surprise


class _Average:
    """A profile of coincidence over shifts, gathered over time."""

    def __init__(self) -> None:
        self._profile: F64 = np.zeros(len(_STEPS))
        self._outlines = 0.0
        self._known_s = 0.0

    def add(self, profile: F64, outlines: int, dt_s: float, memory_s: float) -> None:
        fade = math.exp(-dt_s / memory_s)
        self._profile = fade * self._profile + profile
        self._outlines = fade * self._outlines + outlines
        # While there is nothing to see, what was seen grows old.
        self._known_s = self._known_s + dt_s if outlines else fade * self._known_s

    def shift(self, s: CalibrationDriftSettings) -> float:
        """Best shift, gradient pixels; NaN while unknown."""
        if self._known_s < s.min_s or self._outlines < s.min_outlines:
            return float("nan")
        p = self._profile.tolist()
        top, usual = max(p), sorted(p)[len(p) // 2]
        best, lead = p.index(top), top - usual
        if best in (0, len(p) - 1) or lead < s.min_contrast * usual:
            return float("nan")
        beside = max(p[i] for i in (best - _BESIDE, best + _BESIDE) if 0 <= i < len(p))
        # Where two shifts fit about alike, neither is known to be the one: in fog, a body's dark foot is a
        # stronger edge than its top.
        summits = (i for i in range(1, len(p) - 1) if p[i - 1] < p[i] > p[i + 1] and abs(i - best) > 2)
        rival = max((p[i] for i in summits), default=0.0)
        if beside - usual > _BROAD * lead or rival - usual >= _AMBIGUOUS * lead:
            return float("nan")
        return peak(p) - _REACH
