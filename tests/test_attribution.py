"""The table of levels: what an alarm asks for, by check, place and evidence."""

from __future__ import annotations

import pytest

from edgeguard.attribution import LevelSettings
from edgeguard.checks import CheckSettings
from edgeguard.verdict import Level, SubjectKind

TRACK, STREAM = SubjectKind.TRACK, SubjectKind.STREAM
NAN = float("nan")


@pytest.mark.parametrize(
    ("lateral_m", "range_m", "margin", "level"),
    [
        (0.0, 10.0, 5.0, Level.FAIL_SAFE),
        (-1.6, 29.0, 5.0, Level.FAIL_SAFE),
        (3.0, 10.0, 5.0, Level.CAUTION),
        (0.0, 50.0, 5.0, Level.CAUTION),
        (0.0, 10.0, 1.0, Level.CAUTION),
        (NAN, NAN, 5.0, Level.FAIL_SAFE),
    ],
)
def test_only_sure_evidence_on_the_path_stops(
    lateral_m: float, range_m: float, margin: float, level: Level
) -> None:
    assert LevelSettings().level("lidar_support", TRACK, lateral_m, range_m, margin) is level


def test_a_lost_stream_stops_wherever() -> None:
    assert LevelSettings().level("stream_integrity", STREAM, NAN, NAN, 0.0) is Level.FAIL_SAFE


def test_every_check_has_its_rule() -> None:
    for check in CheckSettings.model_fields:
        LevelSettings().level(check, TRACK, 0.0, 10.0, 5.0)


def test_the_table_can_be_told_otherwise() -> None:
    strict = LevelSettings.model_validate({"class_stability": {"in_path": "FAIL_SAFE"}, "stop_margin": 0.0})
    assert strict.level("class_stability", TRACK, 0.0, 10.0, 0.0) is Level.FAIL_SAFE
