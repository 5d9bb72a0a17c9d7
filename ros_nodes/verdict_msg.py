"""A verdict as `diagnostic_msgs/DiagnosticArray` and back.

Its one status is the whole verdict: the `json` value is the very line that `events.jsonl` would hold, and
`coverage` what stands beside it. People and dashboards get one status a check, on `/diagnostics`.
`hardware_id` names the monitor. No NumPy here: the fail-safe process reads verdicts with this module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from builtin_interfaces.msg import Time

from edgeguard.errors import MessageError
from edgeguard.verdict import SCHEMA, Alarm, Cause, Coverage, Level, Subject, SubjectKind, Verdict
from ros_nodes.status_array import STALE, Status, status_level, write
from ros_nodes.wire import Summary

SUMMARY = "edgeguard: verdict"
STOP = "edgeguard: stop"
"""The first word of a verdict to come: a check has raised a FAIL_SAFE alarm, and others are still to run.

Of the same form, under the same stamp, and for the fail-safe alone, which acts on either."""

_KIND = "verdict"
_OK = status_level(Level.NOMINAL)
_QUIET = Verdict(0, Level.NOMINAL).to_json().replace('"stamp_ns":0', '"stamp_ns":%d')
"""What a monitor says nearly always: that nothing is wrong with the image."""


def to_time(stamp_ns: int) -> Time:
    """Return nanoseconds as a message's stamp."""
    return Time(sec=stamp_ns // 1_000_000_000, nanosec=stamp_ns % 1_000_000_000)


def to_message(
    verdict: Verdict,
    *,
    source: str,
    frame_id: str,
    age_ms: float,
    inputs: Mapping[str, list[float | None]],
    name: str = SUMMARY,
) -> bytes:
    """Return the serialised message of a verdict.

    Args:
        verdict: what to tell.
        source: the monitor's fully qualified name.
        frame_id: the image's frame.
        age_ms: from the image's stamp to now, ms.
        inputs: by stream, when its newest message was sent, had arrived and had been read: ms after the
            image's stamp, None where the transport does not tell.
        name: `SUMMARY`, or `STOP` for what is known before all checks have run.
    """
    worst = verdict.alarms[0] if verdict.alarms else None
    text = f"{worst.check}: {worst.subject}: {worst.reason}" if worst else ""
    values = {
        "json": verdict.to_json(),
        "coverage": verdict.coverage_json(),
        "age_ms": f"{age_ms:.3f}",
        "inputs_ms": json.dumps(inputs),
    }
    message = f"{verdict.level.name} {text}".rstrip()
    status = Status(status_level(verdict.level), name, message, source, values)
    return write([status], verdict.stamp_ns, frame_id)


def to_diagnostics(verdict: Verdict, *, source: str, now_ns: int, judged: int, lost: int) -> bytes:
    """Return the serialised message for `/diagnostics`: one status a check, named `node: check` (REP 107).

    Args:
        verdict: the latest.
        source: the monitor's fully qualified name.
        now_ns: the clock: the message's stamp.
        judged: frames so far.
        lost: frames that their stamps say never came; they must not pass for healthy silence.
    """
    node = source.rsplit("/", 1)[-1]
    statuses = [_check(node, name, coverage, verdict, source) for name, coverage in verdict.coverage.items()]
    frames = {"judged": str(judged), "lost": str(lost)}
    text = f"{judged} judged, {lost} lost"
    statuses.append(Status(status_level(Level.NOMINAL), f"{node}: frames", text, source, frames))
    return write(statuses, now_ns)


def from_message(msg: Any) -> Verdict:
    """Read a whole verdict back from a `diagnostic_msgs/DiagnosticArray`.

    Raises:
        MessageError: the message is no verdict, or contradicts itself.
    """
    if not msg.status:
        raise MessageError(_KIND, "it has no status")
    first, stamp = msg.status[0], msg.header.stamp
    values = {v.key: v.value for v in first.values}
    stamp_ns = stamp.sec * 1_000_000_000 + stamp.nanosec
    return from_summary(Summary(stamp_ns, first.name, bytes(first.level), first.hardware_id, values))


def from_summary(summary: Summary, *, whole: bool = True) -> Verdict:
    """Read a verdict back.

    Args:
        summary: its message's stamp and first status.
        whole: with coverage and times; without, what a fail-safe acts on, be it the first word of a verdict.

    Raises:
        MessageError: the message is no verdict, or contradicts itself.
    """
    if summary.name != SUMMARY and (whole or summary.name != STOP):
        raise MessageError(_KIND, f"the first status is not {SUMMARY!r}")
    if summary.name == STOP and summary.level != status_level(Level.FAIL_SAFE):
        raise MessageError(_KIND, f"{STOP!r} does not say FAIL_SAFE")
    told = summary.values
    if not whole and summary.level == _OK and told.get("json") == _QUIET % summary.stamp_ns:
        return Verdict(summary.stamp_ns, Level.NOMINAL)
    try:
        values = json.loads(told["json"])
        beside = json.loads(told["coverage"]) if whole else {"coverage": {}, "stage_ms": {}}
        if values["schema"] != SCHEMA:
            raise ValueError(f"schema {values['schema']!r} is not {SCHEMA!r}")
        verdict = Verdict(
            stamp_ns=_integer(values["stamp_ns"]),
            level=Level[values["level"]],
            alarms=tuple(_alarm(a) for a in values["alarms"]),
            coverage={name: _coverage(counts) for name, counts in beside["coverage"].items()},
            stage_ms={name: float(ms) for name, ms in beside["stage_ms"].items()},
            has_image=bool(values["has_image"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise MessageError(_KIND, f"cannot be read: {type(e).__name__}: {e}") from e
    if verdict.stamp_ns != summary.stamp_ns or summary.level != status_level(verdict.level):
        raise MessageError(_KIND, "its JSON line contradicts its header or status level")
    return verdict


def _check(node: str, name: str, coverage: Coverage, verdict: Verdict, source: str) -> Status:
    counts = coverage.to_dict()
    alarms = [a for a in verdict.alarms if a.check == name]
    level = status_level(max((a.level for a in alarms), default=Level.NOMINAL))
    text = alarms[0].reason if alarms else ", ".join(f"{n} {k}" for k, n in counts.items() if n)
    values = {k: str(n) for k, n in counts.items()}
    if name in verdict.stage_ms:
        values["ms"] = f"{verdict.stage_ms[name]:.3f}"
    if not alarms and not coverage.passed and (coverage.unobservable or coverage.skipped):
        # Unobservable is never pass.
        level = STALE
    return Status(level, f"{node}: {name}", text or "nothing to look at", source, values)


def _alarm(values: dict[str, Any]) -> Alarm:
    subject = values["subject"]
    box = subject.get("box")
    return Alarm(
        check=str(values["check"]),
        subject=Subject(
            SubjectKind(subject["kind"]), subject["id"], subject.get("class", ""), tuple(box) if box else None
        ),
        cause=Cause(values["cause"]),
        level=Level[values["level"]],
        reason=str(values["reason"]),
        measured={k: _number(v) for k, v in values["measured"].items()},
        evidence=_number(values["evidence"]),
        threshold=_number(values["threshold"]),
        onset_ns=_integer(values["onset_ns"]),
    )


def _coverage(counts: dict[str, int]) -> Coverage:
    return Coverage(counts["pass"], counts["fail"], counts["unobservable"], counts["skipped"])


def _number(value: Any) -> float:
    # A verdict's JSON says null for what was not measured.
    return float("nan") if value is None else float(value)


def _integer(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"expected an integer, got {value!r}")
    return value
