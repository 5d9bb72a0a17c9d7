"""The calibration that ships belongs to the parameters that ship."""

from __future__ import annotations

from edgeguard.evidence.thresholds import load
from edgeguard.monitor import MonitorSettings, digests


def test_the_shipped_calibration_was_made_under_the_shipped_parameters() -> None:
    made, now = load("default"), digests(MonitorSettings())
    assert made.general and made.tails
    stale = [check for check in made.tails if made.digests[check] != now[check]]
    again = "edgeguard calibrate ../shared/data/kitti_tracking/kitti_* --general --out calibration/default"
    assert not stale, f"run: {again}"
