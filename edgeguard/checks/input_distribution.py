"""`input_distribution`: do pictures look like those of the drives this monitor was calibrated on?

Brightness (mean), contrast (standard deviation), sharpness (mean absolute Laplacian over contrast) of the
picture, and confident detections per frame, each averaged over seconds and held against its mean and spread
over the calibrated drives. Night, fog, rain and dirt move several for as long as they last; what is learnt of
a detector on other pictures then no longer holds. It reports weather, asks for caution at most, and learns
nothing in operation.

Unobservable: never calibrated (all spreads 0), or too soon after the start. Each measure stands alone: one
without a spread is left out.
Benign look-alikes: night, tunnels and snow are benign, and outside the calibration all the same. A tunnel's
exit or a jump of the exposure passes before the average follows.
Source: input-distribution monitors of the safety standards for learnt components (ISO/PAS 8800, ISO 21448).
"""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from pydantic import Field

from edgeguard.checks.base import Scores
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.types import F64, U8, Channel
from edgeguard.verdict import Cause, SubjectKind

MEASURES = ("brightness", "contrast", "sharpness", "detections")

_CAMERA = np.array([list(Channel).index(Channel.CAMERA)], np.int64)
_MAX_SURPRISE = 6.0
_CONFIDENT = 0.5
# A handful of drives knows their spread badly: Student's t with few degrees of freedom, not the normal.
_DEGREES = 4.0


class InputDistributionSettings(Settings):
    """Parameters of `input_distribution`: what the calibrated drives showed, and how long to average."""

    @property
    def calibrated(self) -> bool:
        """Whether any measure has a spread."""
        return any(getattr(self, f"{m}_spread") > 0 for m in MEASURES)

    memory_s: float = Field(
        5.0, gt=0, le=600, description="time over which measures are averaged; shorter tunnels are ignored, s"
    )
    brightness_mean: float = Field(0.0, ge=0, le=255, description="usual brightness, grey levels")
    brightness_spread: float = Field(
        0.0, ge=0, le=255, description="its spread over calibrated drives; 0: not calibrated, grey levels"
    )
    contrast_mean: float = Field(0.0, ge=0, le=128, description="usual contrast, grey levels")
    contrast_spread: float = Field(
        0.0, ge=0, le=128, description="its spread over calibrated drives; 0: not calibrated, grey levels"
    )
    sharpness_mean: float = Field(0.0, ge=0, description="usual sharpness")
    sharpness_spread: float = Field(
        0.0, ge=0, description="its spread over calibrated drives; 0: not calibrated"
    )
    detections_mean: float = Field(0.0, ge=0, description="usual confident detections per frame")
    detections_spread: float = Field(
        0.0, ge=0, description="its spread over calibrated drives; 0: not calibrated"
    )


class InputDistribution:
    """See the module. One subject: the camera stream."""

    name = "input_distribution"
    needs = frozenset({Channel.CAMERA})
    sees = frozenset({"blind"})

    def __init__(self, settings: InputDistributionSettings) -> None:
        self.settings = settings
        self._mean = np.array([getattr(settings, f"{m}_mean") for m in MEASURES])
        spread = np.array([getattr(settings, f"{m}_spread") for m in MEASURES])
        self._spread = np.where(spread > 0, spread, np.nan)
        self.reset()

    def reset(self) -> None:
        self._average = np.zeros(len(MEASURES))
        self._weight = np.zeros(len(MEASURES))
        self._known_s = 0.0

    def score(self, scene: Scene) -> list[Scores]:
        if scene.pixels is None or np.isnan(self._spread).all():
            return [Scores.unobservable(SubjectKind.STREAM, _CAMERA)]
        self._learn(scene)
        z = np.abs(self._average - self._mean) / self._spread
        z[self._weight == 0] = np.nan
        told = ~np.isnan(z)
        score = np.nan
        if told.any() and self._known_s >= 0.5 * self.settings.memory_s:
            # −ln of a t distribution's tail, to its leading order; several measures are several chances.
            tail = 0.5 * _DEGREES * np.log1p(z[told] ** 2 / _DEGREES)
            score = float(np.clip(tail.max() - np.log(told.sum()), 0.0, _MAX_SURPRISE))
        detail = {m: self._average[i : i + 1].copy() for i, m in enumerate(MEASURES)}
        detail |= {f"{m}_sigma": z[i : i + 1] for i, m in enumerate(MEASURES)}
        return [Scores(SubjectKind.STREAM, _CAMERA, np.array([score]), (Cause.WEATHER,), detail)]

    def _learn(self, scene: Scene) -> None:
        new = look(scene)
        known = ~np.isnan(new)
        keep = np.exp(-scene.dt_s / self.settings.memory_s)
        self._known_s += scene.dt_s
        self._weight[known] = self._weight[known] * keep + 1.0
        self._average[known] += (new - self._average)[known] / self._weight[known]

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        worst = max(MEASURES, key=lambda m: np.nan_to_num(measured[f"{m}_sigma"]))
        value, sigma = measured[worst], measured[f"{worst}_sigma"]
        return f"{worst} of {value:.3g} lies {sigma:.1f} standard deviations from the calibrated drives'"


def look(scene: Scene) -> F64:
    """Return (4,) the frame's `MEASURES`, NaN where there is nothing to measure."""
    new = np.full(len(MEASURES), np.nan)
    if scene.pixels is not None:
        new[:3] = measure(scene.pixels)
    if scene.frame.detections is not None:
        new[3] = np.count_nonzero(scene.frame.detections.score >= _CONFIDENT)
    return new


def measure(pixels: U8) -> F64:
    """Return (3,) brightness, contrast (grey levels) and sharpness of a picture."""
    mean, deviation = (float(v[0, 0]) for v in cv2.meanStdDev(pixels))
    # Saturates at 255, which noise and edges do not reach together.
    change = cv2.convertScaleAbs(cv2.Laplacian(pixels, cv2.CV_16S))
    return np.array([mean, deviation, cv2.mean(change)[0] / (deviation + 1.0)])
