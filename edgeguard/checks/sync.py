"""`sync`: do camera and LiDAR show the same moment, whatever their stamps say?

Where a near body ends, range jumps and brightness mostly does too. The sweep's outlines are laid over the
pictures of this and the last few sweeps, and this picture under the outlines of earlier sweeps: the pair in
which they coincide best was taken at the same moment. While things move in the view, a sensor that is late
fits an earlier picture of the other, and forged stamps do not change what either shows. The score is the
surprisal of the best lag's lead over no lag, against how much that lead varies from frame to frame.

Lags are told in whole sweeps, up to `max_lag_sweeps`; a longer delay fits none and is left to other checks.
Motion energy, which others correlate, does not tell a lag in a few seconds of steady driving: it hardly
changes. Outlines move by pixels a frame even then.

Unobservable: standing still or a far, empty view (all lags coincide alike); few outlines; too short a window;
no points, no picture.
Benign look-alikes: none is known at whole sweeps; a repeating fence passed at the right speed could be.
Source: DejaVu (Hossain et al., misaligned camera and LiDAR costs up to 88 % of car AP); the coincidence of
outlines from Levinson & Thrun (RSS 2013), here over time instead of over poses.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.types import F32, F64, Channel
from edgeguard.verdict import Cause, SubjectKind

_LIDAR = np.array([list(Channel).index(Channel.LIDAR)], np.int64)
_MAX_SURPRISE = 10.0
# Neighbouring frames share most of their outlines: so many count as one.
_DEPENDENT_FRAMES = 4.0
_NOISE_WINDOWS = 4.0


class SyncSettings(Settings):
    """Parameters of `sync`."""

    window_s: float = Field(
        0.8, gt=0, le=30, description="time over which coincidence is averaged: longer is surer and later, s"
    )
    max_lag_sweeps: int = Field(5, ge=1, le=20, description="longest lag looked for, sweeps; costs time each")
    min_outlines: int = Field(
        40, ge=1, description="outline points of a sweep below which nothing can be told"
    )
    min_peak: float = Field(
        0.08,
        gt=0,
        lt=1,
        description="share of coincidence lost within two sweeps of the best lag; less is no motion",
    )


class Sync:
    """See the module. One subject: the LiDAR stream."""

    name = "sync"
    needs = frozenset({Channel.CAMERA, Channel.LIDAR})
    sees = frozenset({"delay"})

    def __init__(self, settings: SyncSettings) -> None:
        self.settings = settings
        self._lags = np.arange(-settings.max_lag_sweeps, settings.max_lag_sweeps + 1)
        self.reset()

    def reset(self) -> None:
        count = self.settings.max_lag_sweeps + 1
        self._pictures: deque[F32] = deque(maxlen=count)
        self._rims: deque[NDArray[np.int64]] = deque(maxlen=count)
        self._last_ns: int | None = None
        self._begin()

    def _begin(self) -> None:
        self._pictures.clear()
        self._rims.clear()
        self._known_s = 0.0
        self._period_s = 0.0
        self._mean = np.zeros(len(self._lags))
        self._last_lead: F64 | None = None
        self._change_square = np.zeros(len(self._lags))
        self._frames = self._changes = 0.0

    def score(self, scene: Scene) -> list[Scores]:
        if scene.frame.points is None:
            return [Scores.unobservable(SubjectKind.STREAM, _LIDAR)]
        if scene.new_sweep:
            self._learn(scene)
        return [self._judge()]

    def _learn(self, scene: Scene) -> None:
        picture, rims, stamp_ns = scene.gradient_across, scene.side_rims, scene.frame.stamp_ns
        if picture is None or rims is None:
            return
        dt_s = 0.0 if self._last_ns is None else (stamp_ns - self._last_ns) * 1e-9
        same_size = not self._pictures or self._pictures[0].shape == picture.shape
        if not 0.0 <= dt_s <= 0.5 or not same_size:
            self._begin()  # what lay before a gap is no neighbour
            dt_s = 0.0
        self._last_ns = stamp_ns
        self._pictures.appendleft(picture)
        self._rims.appendleft(loops.flat_places(rims, *picture.shape))
        if len(self._pictures) <= self.settings.max_lag_sweeps:
            return
        if min(map(len, self._rims)) < self.settings.min_outlines:
            return
        value = loops.lag_means(self._pictures, self._rims)
        lead = value - value[self.settings.max_lag_sweeps]
        self._known_s += dt_s
        self._period_s = dt_s
        self._frames = self._frames * math.exp(-dt_s / self.settings.window_s) + 1.0
        self._mean += (value - self._mean) / self._frames
        if self._last_lead is not None:
            # From frame to frame: a lag that sets in must not count as noise for longer than it sets in.
            self._changes = self._changes * math.exp(-dt_s / (_NOISE_WINDOWS * self.settings.window_s)) + 1.0
            change = (lead - self._last_lead) ** 2 / 2.0
            self._change_square += (change - self._change_square) / self._changes
        self._last_lead = lead

    def _judge(self) -> Scores:
        mean = self._mean.tolist()
        top = max(mean)
        best = mean.index(top)
        beside = max(mean[i] for i in (best - 2, best + 2) if 0 <= i < len(mean))
        fall = 1.0 - beside / max(top, 1e-9)
        told = self._known_s >= self.settings.window_s and fall >= self.settings.min_peak
        lead = top - mean[self.settings.max_lag_sweeps]
        spread = max(math.sqrt(self._change_square[best]), 0.02 * top, 1e-9)
        t = lead / spread * math.sqrt(max(self._frames / _DEPENDENT_FRAMES, 1.0))
        lag = float(self._lags[best])
        detail: dict[str, F64] = {
            "lag_sweeps": np.array([lag]),
            "lag_s": np.array([lag * self._period_s]),
            "lead_sigma": np.array([t]),
            "fall": np.array([fall]),
        }
        score = np.array([min(0.5 * t**2, _MAX_SURPRISE) if told else np.nan])
        return Scores(SubjectKind.STREAM, _LIDAR, score, (Cause.CLOCK,), detail)

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        late = "LiDAR" if measured["lag_sweeps"] > 0 else "the camera"
        return f"{late} shows what the other showed {abs(measured['lag_s']):.1f} s ago, its stamps regardless"
