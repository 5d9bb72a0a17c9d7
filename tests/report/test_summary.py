from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeguard.report import summarise
from edgeguard.report.summary import Source
from edgeguard.verdict import Level

from .conftest import START, STEP, Drive, alarm


def test_written_summary_holds_what_is_promised(drive: Drive, tmp_path: Path) -> None:
    record = drive.frames([[], [alarm()], [alarm(level=Level.FAIL_SAFE)], []])
    summary = summarise(record, Source("a/bag", {"camera": "/image"}), duration_s=0.3, wall_s=0.01)
    summary.write(tmp_path / "summary.json")
    told = json.loads((tmp_path / "summary.json").read_text())
    assert told["frames"] == 4 and told["duration_s"] == 0.3 and told["realtime_factor"] == 30
    assert told["bag"] == "a/bag" and told["topics"] == {"camera": "/image"}
    assert told["level"] == "FAIL_SAFE"
    assert told["alarms"] == {"lidar_support": 1}
    assert told["alarm_frames"] == {"lidar_support": 2}
    assert told["levels"] == {"NOMINAL": 1, "CAUTION": 1, "FAIL_SAFE": 2}
    assert told["coverage"]["lidar_support"] == {"pass": 8, "fail": 2, "unobservable": 4, "skipped": 0}
    assert [(t["stamp_ns"], t["from"], t["to"]) for t in told["transitions"]] == [
        (START, "STARTUP", "NOMINAL"),
        (START + STEP, "NOMINAL", "CAUTION"),
        (START + 2 * STEP, "CAUTION", "FAIL_SAFE"),
    ]
    assert told["transitions"][2]["reason"] == "verdict"
    assert "no LiDAR return" in told["transitions"][2]["detail"]


def test_stage_times_are_percentiles(drive: Drive) -> None:
    for ms in range(1, 101):
        drive.record.add_time("read", float(ms))
    summary = summarise(drive.record, Source("bag"), duration_s=1.0, wall_s=1.0)
    assert summary.stage_ms["read"] == pytest.approx({"p50": 50.5, "p99": 99.01, "max": 100.0})


def test_level_is_the_worst_but_for_the_hold_at_start_up(drive: Drive) -> None:
    record = drive.frames([[], [alarm()], []])
    summary = summarise(record, Source("bag"), duration_s=1.0, wall_s=1.0)
    assert summary.level is Level.CAUTION
    assert not summary.reached_fail_safe


def test_a_drive_without_verdicts_never_left_start_up(drive: Drive) -> None:
    assert summarise(drive.record, Source("bag"), duration_s=0.0, wall_s=0.0).reached_fail_safe
