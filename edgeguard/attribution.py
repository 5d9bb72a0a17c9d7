"""From a failed check to what the vehicle should do about it: one table, and where the subject stands."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from edgeguard.config import Settings
from edgeguard.verdict import Level, SubjectKind

LevelName = Literal["NOMINAL", "CAUTION", "FAIL_SAFE"]


class LevelRule(Settings):
    """What one check's alarm asks for."""

    in_path: LevelName = Field("CAUTION", description="level for a subject in the vehicle's path")
    elsewhere: LevelName = Field("CAUTION", description="level for any other subject")


_PATH_MATTERS = LevelRule(in_path="FAIL_SAFE", elsewhere="CAUTION")


class LevelSettings(Settings):
    """The table of levels, and what counts as the path."""

    path_half_width_m: float = Field(1.7, gt=0, le=10, description="half the width of the path ahead, m")
    path_length_m: float = Field(30.0, gt=0, le=200, description="length of the path ahead that matters, m")
    stop_margin: float = Field(
        2.3,
        ge=0,
        le=20,
        description="evidence beyond the threshold from which a track's or object's alarm may stop the "
        "vehicle, nats; 2.3 makes a stop ten times rarer than a caution",
    )
    stream_integrity: LevelRule = LevelRule(in_path="FAIL_SAFE", elsewhere="FAIL_SAFE")
    object_agreement: LevelRule = _PATH_MATTERS
    lidar_support: LevelRule = _PATH_MATTERS
    free_space: LevelRule = _PATH_MATTERS
    lidar_ghost: LevelRule = _PATH_MATTERS
    lidar_removal: LevelRule = _PATH_MATTERS
    radar_agreement: LevelRule = _PATH_MATTERS
    depth_agreement: LevelRule = LevelRule()
    class_stability: LevelRule = LevelRule()
    box_motion: LevelRule = LevelRule()
    birth_death: LevelRule = LevelRule()
    flow: LevelRule = LevelRule(elsewhere="NOMINAL")
    expansion: LevelRule = LevelRule()
    confidence: LevelRule = LevelRule(elsewhere="NOMINAL")
    kinematic_class: LevelRule = LevelRule(elsewhere="NOMINAL")
    sync: LevelRule = LevelRule()
    calibration_drift: LevelRule = LevelRule()
    patch_saliency: LevelRule = LevelRule(elsewhere="NOMINAL")
    input_distribution: LevelRule = LevelRule()
    sanitised_view: LevelRule = LevelRule()
    ensemble: LevelRule = LevelRule()

    def level(self, check: str, kind: SubjectKind, lateral_m: float, range_m: float, margin: float) -> Level:
        """Return what an alarm asks for.

        Args:
            check: the check that raised it.
            kind: what it is about; a stream has no place.
            lateral_m: metres beside the path's middle; an unknown place (NaN) counts as in the path.
            range_m: metres ahead.
            margin: evidence beyond the threshold, nats.
        """
        rule: LevelRule = getattr(self, check)
        if kind is SubjectKind.STREAM:
            return Level[rule.in_path]
        elsewhere = abs(lateral_m) > self.path_half_width_m or range_m > self.path_length_m
        level = Level[rule.elsewhere if elsewhere else rule.in_path]
        return level if margin >= self.stop_margin else min(level, Level.CAUTION)
