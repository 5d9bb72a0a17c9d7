"""What the monitor says: levels, alarms and the verdict on a frame, with their JSON form.

No NumPy here: the fail-safe process imports this module and must stay small.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum

SCHEMA = "edgeguard/verdict/1"


class Level(IntEnum):
    """How bad it is; larger is worse, so `max` combines levels."""

    NOMINAL = 0
    CAUTION = 1
    FAIL_SAFE = 2


class Cause(str, Enum):
    """Which sensor or circumstance a failed check points at."""

    CAMERA = "camera"
    LIDAR = "lidar"
    RADAR = "radar"
    CLOCK = "clock"
    CALIBRATION = "calibration"
    WEATHER = "weather"
    UNKNOWN = "unknown"


class Outcome(str, Enum):
    """What a check could say of one subject. `UNOBSERVABLE` is never `PASS`."""

    PASS = "pass"
    FAIL = "fail"
    UNOBSERVABLE = "unobservable"
    SKIPPED = "skipped"


_OUTCOMES = tuple(o.value for o in Outcome)
_COUNTS = "{" + ",".join(f'"{name}":%d' for name in _OUTCOMES) + "}"


class SubjectKind(str, Enum):
    """What an alarm is about."""

    TRACK = "track"
    LIDAR_OBJECT = "lidar_object"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Subject:
    """The thing an alarm is about.

    Attributes:
        kind: camera track, LiDAR object or a whole stream.
        id: the track's or object's number; for a stream its channel's name (`camera`, `lidar`, …).
        label: class name, empty for a stream.
        box: `xyxy` pixels in the original image, or None where the subject has no place in it.
    """

    kind: SubjectKind
    id: int | str
    label: str = ""
    box: tuple[float, float, float, float] | None = None

    def __str__(self) -> str:
        return f"{self.kind.value} {self.id}" + (f" ({self.label})" if self.label else "")


@dataclass(frozen=True, slots=True)
class Alarm:
    """A check's accumulated evidence passed its threshold for one subject.

    Attributes:
        check: the check's name.
        subject: what it is about.
        cause: the suspected sensor or circumstance.
        level: what this alarm alone asks for.
        reason: one short English clause for people, e.g. "frozen: 5 equal frames in 0.4 s".
        measured: the values behind it, by name, SI units in the names.
        evidence: accumulated log-evidence, natural units.
        threshold: the evidence at which this alarm is raised.
        onset_ns: stamp of the frame at which the evidence began to rise.
    """

    check: str
    subject: Subject
    cause: Cause
    level: Level
    reason: str
    measured: Mapping[str, float]
    evidence: float
    threshold: float
    onset_ns: int

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form; floats are rounded to 6 significant digits."""
        subject: dict[str, object] = {"kind": self.subject.kind.value, "id": self.subject.id}
        if self.subject.label:
            subject["class"] = self.subject.label
        if self.subject.box is not None:
            subject["box"] = [_round(v) for v in self.subject.box]
        return {
            "check": self.check,
            "subject": subject,
            "cause": self.cause.value,
            "level": self.level.name,
            "reason": self.reason,
            "measured": {k: _round(v) for k, v in self.measured.items()},
            "evidence": _round(self.evidence),
            "threshold": _round(self.threshold),
            "onset_ns": self.onset_ns,
        }


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many subjects of a check had which outcome on a frame."""

    passed: int = 0
    failed: int = 0
    unobservable: int = 0
    skipped: int = 0

    def to_dict(self) -> dict[str, int]:
        return dict(zip(_OUTCOMES, (self.passed, self.failed, self.unobservable, self.skipped)))

    def to_json(self) -> str:
        """Return `to_dict` as JSON; there is one for each check on each frame."""
        return _COUNTS % (self.passed, self.failed, self.unobservable, self.skipped)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the monitor says of one frame, or of a tick without one.

    Attributes:
        stamp_ns: the image's header stamp; on a tick in silence, the clock.
        level: the worst of the alarms' levels.
        alarms: worst first, then by check and subject.
        coverage: per check.
        stage_ms: wall time spent per stage, milliseconds.
        has_image: False for a verdict that the timer gave because the camera is silent.
    """

    stamp_ns: int
    level: Level
    alarms: tuple[Alarm, ...] = ()
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    has_image: bool = True

    @property
    def skipped(self) -> frozenset[str]:
        """The checks that the deadline left no time for."""
        return frozenset(name for name, c in self.coverage.items() if c.skipped)

    def to_json(self) -> str:
        """Return the verdict as one line: the same input gives the same bytes. Holds no times."""
        return _dumps(
            {
                "schema": SCHEMA,
                "stamp_ns": self.stamp_ns,
                "has_image": self.has_image,
                "level": self.level.name,
                "alarms": [a.to_dict() for a in self.alarms],
            }
        )

    def coverage_json(self) -> str:
        """Return what stands beside `to_json`: coverage and stage times, as one line."""
        coverage = ",".join([f"{_dumps(name)}:{c.to_json()}" for name, c in self.coverage.items()])
        stages = _dumps({name: round(ms, 4) for name, ms in self.stage_ms.items()})
        return f'{{"stamp_ns":{self.stamp_ns},"coverage":{{{coverage}}},"stage_ms":{stages}}}'


def _round(value: float) -> float | None:
    # JSON has no NaN or infinity; null says "not measured".
    value = float(value)
    return float(f"{value:.6g}") if abs(value) != float("inf") and value == value else None


_dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
