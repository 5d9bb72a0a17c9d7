"""What is written of a verdict: one line, the same bytes for the same input, no times in it."""

from __future__ import annotations

import json

import pytest

from edgeguard.verdict import SCHEMA, Alarm, Cause, Coverage, Level, Subject, SubjectKind, Verdict


def alarm(**changes: object) -> Alarm:
    values = {
        "check": "lidar_support",
        "subject": Subject(SubjectKind.TRACK, 7, "car", (1.0, 2.0, 3.0, 4.5)),
        "cause": Cause.CAMERA,
        "level": Level.CAUTION,
        "reason": "2 LiDAR points where 40 were expected",
        "measured": {"found_points": 2.0},
        "evidence": 16.123456789,
        "threshold": 15.0,
        "onset_ns": 5,
    }
    return Alarm(**{**values, **changes})  # type: ignore[arg-type]


def test_a_line_names_check_subject_cause_values_evidence_and_threshold() -> None:
    line = Verdict(10, Level.CAUTION, (alarm(),)).to_json()
    assert "\n" not in line
    assert json.loads(line) == {
        "schema": SCHEMA,
        "stamp_ns": 10,
        "has_image": True,
        "level": "CAUTION",
        "alarms": [
            {
                "check": "lidar_support",
                "subject": {"kind": "track", "id": 7, "class": "car", "box": [1.0, 2.0, 3.0, 4.5]},
                "cause": "camera",
                "level": "CAUTION",
                "reason": "2 LiDAR points where 40 were expected",
                "measured": {"found_points": 2.0},
                "evidence": 16.1235,
                "threshold": 15.0,
                "onset_ns": 5,
            }
        ],
    }


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_was_not_measured_is_null(value: float) -> None:
    line = Verdict(10, Level.CAUTION, (alarm(measured={"range_m": value}, evidence=value),)).to_json()
    written = json.loads(line)["alarms"][0]
    assert written["measured"] == {"range_m": None}
    assert written["evidence"] is None


def test_times_and_coverage_stand_beside_the_line() -> None:
    coverage = {"a": Coverage(passed=1, unobservable=2), "b": Coverage(skipped=1)}
    slow = Verdict(10, Level.NOMINAL, (), coverage, {"total": 9.0})
    fast = Verdict(10, Level.NOMINAL, (), coverage, {"total": 1.0})
    assert slow.to_json() == fast.to_json()
    beside = json.loads(slow.coverage_json())
    assert beside["coverage"]["a"] == {"pass": 1, "fail": 0, "unobservable": 2, "skipped": 0}
    assert beside["stage_ms"] == {"total": 9.0}
    assert slow.skipped == {"b"}


def test_levels_grow_with_what_is_at_stake() -> None:
    assert max(Level.NOMINAL, Level.FAIL_SAFE, Level.CAUTION) is Level.FAIL_SAFE
