"""As much of everything as there could be: it shortens coverage, and not the promise."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

GROWTH_MB = 200
"""What a monitor may hold more after some more of the flood: a few pictures of 25 MB."""
BUDGET_MS = 60.0
"""Less than the flood takes on any machine: how much comes through is the machine's to say."""


def test_a_flood_shortens_coverage_and_not_the_promise(street: Path, tmp_path: Path) -> None:
    from tests.ros_nodes.drive import FAILSAFE, Drive
    from tests.ros_nodes.live import value

    with ExitStack() as stack:
        drive = Drive(street, tmp_path, stack, deadline__latency_budget_ms=BUDGET_MS)
        drive.runs()
        for command in ("camera flood", "lidar flood", "radar flood", "lidar_detections flood", "rate 60"):
            drive.tell(command)
        drive.judged(8)
        held_mb = drive.monitor.rss_mb
        judged = drive.judged(8)
        ages = [float(value(m, "age_ms")) for m in list(drive.verdicts)]
        # What comes too late says so and stops the vehicle; the rest had the checks that time was left for.
        assert any(c["skipped"] for v in judged for c in v["coverage"].values())
        if any(age > FAILSAFE["latency_budget_ms"] for age in ages):
            drive.listener.wait_for(lambda: drive.stop)
        assert drive.monitor.rss_mb < held_mb + GROWTH_MB
