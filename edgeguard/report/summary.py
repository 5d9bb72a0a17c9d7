"""A drive in numbers: `summary.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgeguard.report.drive import DriveRecord
from edgeguard.verdict import Level

SCHEMA = "edgeguard/summary/1"


@dataclass(frozen=True, slots=True)
class Source:
    """What was replayed, and with what.

    Attributes:
        bag: path of the recording.
        topics: topic of each channel that was read.
        engine: name of the engine that made the detections; None where they came from the bag, or nowhere.
        parameters: the parameter file, or None for defaults.
        lost: what could not be read, in words.
        clock_offset_s: constant that was taken off log times because they came from another clock than the
            header stamps; 0 where they agree.
        versions: of what shaped the result.
    """

    bag: str
    topics: Mapping[str, str] = field(default_factory=dict)
    engine: str | None = None
    parameters: str | None = None
    lost: Sequence[str] = ()
    clock_offset_s: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Summary:
    """What `summary.json` holds.

    Attributes:
        frames: verdicts on camera frames.
        ticks: verdicts given because the camera was silent.
        duration_s: first to last message on the drive's clock.
        level: the worst level that the vehicle was in; `FAIL_SAFE` also where the hold at start-up never
            ended. A hold that ended does not count.
        alarms: per check, how many alarms were raised: episodes, not frames. One that returns on the same
            subject within 0.5 s is the same.
        alarm_frames: per check, verdicts that held an alarm of it.
        levels: verdicts per level that the vehicle was in; the hold at start-up counts as what the verdict
            itself said.
        transitions: changes of the fail-safe's decision: `stamp_ns` on the drive's clock, `from`, `to`,
            `reason`, `detail`, `source`. The first leaves the hold at start-up and is `from` `STARTUP`.
        coverage: per check, subjects per outcome.
        stage_ms: per stage, `p50`, `p99` and `max` of its wall time, milliseconds.
        wall_s: wall time of reading, detecting and judging, from the first message on: neither the loading of
            libraries and engine before it nor the writing of the report after it.
        realtime_factor: `duration_s` over `wall_s`.
        source: what was replayed.
    """

    frames: int
    ticks: int
    duration_s: float
    level: Level
    alarms: Mapping[str, int]
    alarm_frames: Mapping[str, int]
    levels: Mapping[str, int]
    transitions: Sequence[Mapping[str, object]]
    coverage: Mapping[str, Mapping[str, int]]
    stage_ms: Mapping[str, Mapping[str, float]]
    wall_s: float
    realtime_factor: float
    source: Source

    @property
    def reached_fail_safe(self) -> bool:
        return self.level is Level.FAIL_SAFE

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: the source's entries stand at the top."""
        body = asdict(self)
        source = body.pop("source")
        return {"schema": SCHEMA, **source, **body, "level": self.level.name}

    def write(self, path: Path) -> None:
        """Write the JSON form to a file."""
        text = json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", encoding="utf-8")


def summarise(record: DriveRecord, source: Source, *, duration_s: float, wall_s: float) -> Summary:
    """Return a drive's record in numbers."""
    below = (Level[n] for n, count in record.level_frames.items() if count and n != Level.FAIL_SAFE.name)
    return Summary(
        frames=record.frames,
        ticks=record.ticks,
        duration_s=round(duration_s, 6),
        level=Level.FAIL_SAFE if record.reached_fail_safe else max(below, default=Level.NOMINAL),
        alarms=record.episodes_per_check(),
        alarm_frames={check: record.alarm_frames[check] for check in record.episodes_per_check()},
        levels=dict(record.level_frames),
        transitions=[
            t.to_dict() | ({"from": "STARTUP"} if i == 0 else {}) for i, t in enumerate(record.transitions)
        ],
        coverage={check: dict(total) for check, total in sorted(record.coverage.items())},
        stage_ms={stage: _percentiles(ms) for stage, ms in record.stage_ms.items()},
        wall_s=round(wall_s, 3),
        realtime_factor=round(duration_s / wall_s, 2) if wall_s > 0 else 0.0,
        source=source,
    )


def _percentiles(ms: Sequence[float]) -> dict[str, float]:
    p50, p99, top = np.percentile(np.frombuffer(ms, np.float32), [50, 99, 100])  # type: ignore[call-overload]
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "max": round(float(top), 3)}
