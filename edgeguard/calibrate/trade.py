"""Detection against alarms per hour: attacks on a drive, and when each would have been alarmed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeguard.calibrate.debounce import Debounce
from edgeguard.calibrate.drive import DriveLog, observe
from edgeguard.calibrate.fit import alarms, fit, keys
from edgeguard.errors import EdgeGuardError
from edgeguard.evidence.thresholds import Key
from edgeguard.monitor import MonitorSettings
from edgeguard.redteam.objects import Injection, Label
from edgeguard.types import F64, Frame
from edgeguard.verdict import SubjectKind

IN_TIME_S = 0.5
BUDGETS = tuple(float(b) for b in np.geomspace(0.1, 3600.0, 19))
_BEFORE_S, _AFTER_S = 2.5, 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Rise:
    """How the evidence on one subject rose after an attack began.

    Attributes:
        before: on the last frame before.
        after_s: (N,) since onset, s.
        evidence: (N,).
    """

    key: Key
    before: float
    after_s: F64
    evidence: F64


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One attack on one drive, and what rose on the attacked place."""

    drive: str
    kind: str
    rises: tuple[Rise, ...]

    def caught_s(self, thresholds: Mapping[Key, float]) -> float:
        """Return the time from onset to the first alarm that was not standing before; infinite if none."""
        first = math.inf
        for rise in self.rises:
            height = thresholds.get(rise.key, math.inf)
            over = np.flatnonzero(rise.evidence >= height)
            if rise.before < height and len(over):
                first = min(first, float(rise.after_s[over[0]]))
        return first


@dataclass(frozen=True, slots=True)
class Point:
    """One setting of the knob.

    Attributes:
        knob: the budget, 1/h; for plain debounce the number of frames.
        alarms: alarms on the clean drives.
        alarms_per_hour: the same per hour.
        in_time: per kind of attack, the share alarmed within `IN_TIME_S`.
        p95_s: per kind, 95th percentile of the time to the alarm; None where fewer are caught at all.
    """

    knob: float
    alarms: int
    alarms_per_hour: float
    in_time: dict[str, float]
    p95_s: dict[str, float | None]


def inject(drive: Sequence[Frame], name: str, attack: Injection, settings: MonitorSettings) -> Trial:
    """Run the checks over an attack, with the time before it that they need to know the scene."""
    label = attack.label
    begin, end = label.onset_ns - round(_BEFORE_S * 1e9), label.onset_ns + round(_AFTER_S * 1e9)
    clip = [attack.frames.get(f.stamp_ns, f) for f in drive if begin <= f.stamp_ns <= end]
    return trial(observe(name, clip, settings), label)


def trial(log: DriveLog, label: Label) -> Trial:
    """Return what rose on the attacked place from the attack's onset on."""
    stamp = np.array(log.stamp_ns, np.int64)
    rises = []
    for key, courses in log.courses.items():
        for course in courses.values():
            at = stamp[course.frame]
            after = np.flatnonzero((at >= label.onset_ns) & (at <= label.end_ns + 500_000_000))
            if not len(after) or course.evidence[after].max() <= 0:
                continue
            if key[1] is not SubjectKind.STREAM and not _touches(
                course.box[after], at[after].tolist(), label
            ):
                continue
            before = course.evidence[after[0] - 1] if after[0] else 0.0
            since: F64 = (at[after] - label.onset_ns).astype(np.float64) * 1e-9
            rises.append(Rise(key, float(before), since, course.evidence[after]))
    return Trial(log.name, label.kind, tuple(rises))


def _touches(box: F64, at: Sequence[int], label: Label) -> bool:
    """Whether the subject ever overlaps what was altered; a label without boxes does not mind where."""
    if not label.boxes:
        return True
    for own, stamp in zip(box, at):
        other = label.boxes.get(stamp)
        if other is not None and np.all(np.minimum(own, other)[2:] > np.maximum(own, other)[:2]):
            return True
    return False


def curve(
    logs: Sequence[DriveLog],
    trials: Sequence[Trial],
    settings: MonitorSettings,
    checks: Sequence[str],
    budgets: Sequence[float] = BUDGETS,
) -> list[Point]:
    """Sweep the budget; each drive is judged by a calibration on the others, if there are others."""
    ways = [fit([g for g in logs if g is not log] or [log], settings, made="") for log in logs]
    points = []
    for budget in budgets:
        limits = {log.name: way.thresholds(budget, checks) for log, way in zip(logs, ways)}
        points.append(_point(budget, logs, trials, limits))
    return points


def debounce(logs: Sequence[DriveLog], trials: Sequence[Trial], frames: Sequence[int]) -> list[Point]:
    """Sweep the frames that plain debounce waits for."""
    kinds = (SubjectKind.TRACK, SubjectKind.LIDAR_OBJECT)
    points = []
    for n in frames:
        limits = {log.name: {(Debounce.name, k): float(n) for k in kinds} for log in logs}
        points.append(_point(n, logs, trials, limits))
    return points


def _point(
    knob: float,
    logs: Sequence[DriveLog],
    trials: Sequence[Trial],
    limits: Mapping[str, dict[Key, float]],
) -> Point:
    count = sum(alarms(log, limits[log.name]) for log in logs)
    hours = sum(log.hours for log in logs)
    in_time: dict[str, float] = {}
    p95_s: dict[str, float | None] = {}
    for kind in dict.fromkeys(t.kind for t in trials):
        took = np.array([t.caught_s(limits[t.drive]) for t in trials if t.kind == kind])
        in_time[kind] = float(np.mean(took <= IN_TIME_S + 1e-6))
        late = float(np.percentile(took, 95, method="higher"))
        p95_s[kind] = round(late, 3) if math.isfinite(late) else None
    return Point(knob, count, count / hours, in_time, p95_s)


def read_labels(path: Path) -> dict[str, list[Label]]:
    """Read attacks by recording: lines of `{"bag", "kind", "onset_ns", "end_ns"[, "boxes"]}`.

    `boxes` are `[[stamp_ns, x0, y0, x1, y1], …]`, pixels around what was altered.

    Raises:
        EdgeGuardError: a line is not such a label; names it.
    """
    found: dict[str, list[Label]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise EdgeGuardError(f"{path}: cannot be read: {e}. Give a file of labels with --labels") from e
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            boxes = {int(b[0]): np.array(b[1:5], np.float64) for b in entry.get("boxes", [])}
            label = Label(str(entry["kind"]), int(entry["onset_ns"]), int(entry["end_ns"]), boxes)
            bag = str(entry["bag"])
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as e:
            raise EdgeGuardError(
                f"{path}:{number}: not a label ({e!r}). Expected "
                '{"bag": NAME, "kind": NAME, "onset_ns": …, "end_ns": …}'
            ) from e
        found.setdefault(bag, []).append(label)
    return found


def without(log: DriveLog, labels: Sequence[Label]) -> DriveLog:
    """Return the drive without its attacks: what overlaps one, and a second after, counts for nothing."""
    stamp = np.array(log.stamp_ns, np.int64)
    clean = np.ones(len(stamp), bool)
    for label in labels:
        clean &= (stamp < label.onset_ns) | (stamp > label.end_ns + 1_000_000_000)
    rest = DriveLog(log.name, log.stamp_ns, {}, log.tracks, log.lidar_objects, log.camera, log.engine)
    for key in keys([log]) + [k for k in log.courses if k[0] == Debounce.name]:
        kept = {i: c for i, c in log.courses[key].items() if clean[c.frame].all()}
        rest.courses[key] = kept
    return rest
