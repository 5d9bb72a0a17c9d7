"""A drive told by hand: verdicts and decisions without a monitor, so that the arithmetic can be seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from edgeguard.failsafe import FailSafe
from edgeguard.failsafe_settings import FailSafeSettings
from edgeguard.report import DriveRecord
from edgeguard.types import Detections, Frame, Image
from edgeguard.verdict import Alarm, Cause, Coverage, Level, Subject, SubjectKind, Verdict

START = 1_000 * 10**9
STEP = 100_000_000


def alarm(check: str = "lidar_support", track: int = 7, **changes: object) -> Alarm:
    values: dict[str, object] = {
        "check": check,
        "subject": Subject(SubjectKind.TRACK, track, "car", (10.0, 10.0, 60.0, 50.0)),
        "cause": Cause.CAMERA,
        "level": Level.CAUTION,
        "reason": "no LiDAR return inside the box where 41 were expected",
        "measured": {"points_found": 0.0, "points_expected": 41.3},
        "evidence": 6.0,
        "threshold": 4.0,
        "onset_ns": START,
    }
    return Alarm(**(values | changes))  # type: ignore[arg-type]


class Drive:
    """Feeds a `DriveRecord` through a real fail-safe, a frame each 0.1 s."""

    def __init__(self) -> None:
        self.record = DriveRecord()
        self._failsafe = FailSafe(FailSafeSettings(), now_ns=START)
        self._n = 0

    def frame(self, *alarms: Alarm, image: bool = True, silent: bool = False, wait_s: float = 0.0) -> None:
        self._n += int(wait_s * 1e9 / STEP)
        stamp = START + self._n * STEP
        self._n += 1
        bgr = np.full((80, 120, 3), 128, np.uint8)
        boxes = np.array([[5, 5, 20, 20]], np.float32)
        seen = Detections(stamp, boxes, np.ones(1, np.float32), np.zeros(1, np.int32), ("car",))
        frame = Frame(
            stamp, stamp, image=Image(stamp, "camera", bgr) if image else None, detections=seen, silent=silent
        )
        level = max((a.level for a in alarms), default=Level.NOMINAL)
        coverage = {"lidar_support": Coverage(passed=2, failed=len(alarms), unobservable=1)}
        verdict = Verdict(stamp, level, tuple(alarms), coverage, {"scene": 1.0 + self._n}, not silent)
        self.record.add_time("monitor", 2.0 + self._n)
        self.record.add(frame, verdict, self._failsafe.update(verdict, stamp))

    def frames(self, alarms: Sequence[Sequence[Alarm]]) -> DriveRecord:
        for each in alarms:
            self.frame(*each)
        return self.record


@pytest.fixture
def drive() -> Drive:
    return Drive()
