"""The report for people: one HTML file that opens without a network."""

from __future__ import annotations

import base64
import json
import math
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeguard.errors import EdgeGuardError
from edgeguard.report.drive import DriveRecord, Episode, ratio
from edgeguard.report.figure import drive_figure
from edgeguard.report.summary import Summary
from edgeguard.verdict import Level, Outcome

if TYPE_CHECKING:
    import jinja2

MAX_ROWS = 200

_SCRIPT = "<!-- Plotly -->"
"""Where the figure's script goes: to render its megabytes as a value would copy them several times."""


def require_libraries() -> None:
    """Raise before the work where the report could not be written after it.

    Raises:
        EdgeGuardError: the libraries of the extra `report` are not installed.
    """
    try:
        import jinja2  # noqa: F401
        import plotly  # noqa: F401
    except ImportError as e:
        raise EdgeGuardError(
            f"the report needs {e.name}, which is not installed. Run: pip install 'edgeguard[report]'"
        ) from e


def load() -> None:
    """Load what a report is made of, so that the work before it is not in vain, and no report waits for it.

    Raises:
        EdgeGuardError: as `require_libraries`.
    """
    require_libraries()
    _parts()


def write_report(path: Path, record: DriveRecord, summary: Summary) -> None:
    """Write the report of a drive.

    Raises:
        EdgeGuardError: as `require_libraries`.
    """
    load()
    template, script = _parts()
    start = record.now_ns[0] if record.now_ns else 0
    page = template.render(
        summary=summary,
        source=summary.source,
        name=Path(summary.source.bag).name,
        headline=headline(record, summary, start),
        episodes=[_row(e, start) for e in record.episodes[:MAX_ROWS]],
        n_episodes=len(record.episodes),
        transitions=[{"t": (int(str(t["stamp_ns"])) - start) / 1e9, **t} for t in summary.transitions],
        coverage=[_coverage(check, total) for check, total in summary.coverage.items()],
        unseen=_unseen(summary),
        figure=_script_json(drive_figure(record)),
        plotly=_SCRIPT,
    )
    before, behind = page.split(_SCRIPT)
    with path.open("wb") as file:
        file.writelines((before.encode(), script, behind.encode()))


@lru_cache(maxsize=1)
def _parts() -> tuple[jinja2.Template, bytes]:
    """The page's template, and the script that draws its figure."""
    import jinja2
    from plotly.offline import get_plotlyjs

    loader = jinja2.PackageLoader("edgeguard.report")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["value"] = _value
    return environment.get_template("report.html.j2"), get_plotlyjs().encode()


def headline(record: DriveRecord, summary: Summary, start: int) -> dict[str, str]:
    """Say in one sentence what became of the drive, and in a second why."""
    trip = next((t for t in record.transitions if t.trips), None)
    if trip is not None:
        n = sum(t.trips for t in record.transitions)
        again = "" if n == 1 else f" It stopped {n} times in all."
        return {
            "level": Level.FAIL_SAFE.name,
            "title": f"Stopped {(trip.stamp_ns - start) / 1e9:.2f} s into the drive",
            "why": f"{trip.trouble.detail or trip.trouble.reason.value}.{again}",
        }
    if not record.left_startup:
        return {
            "level": Level.FAIL_SAFE.name,
            "title": "Never left the hold at start-up",
            "why": "No verdict was healthy, so the vehicle would not have been let go.",
        }
    raised = ", ".join(f"{check} ({n})" for check, n in summary.alarms.items() if n)
    return {
        "level": summary.level.name,
        "title": "The drive stayed below FAIL_SAFE",
        "why": f"Alarms raised: {raised}." if raised else "No alarm was raised.",
    }


def _row(episode: Episode, start: int) -> dict[str, Any]:
    first = episode.first
    picture = episode.picture
    return {
        "t_first": (episode.first_now_ns - start) / 1e9,
        "t_last": (episode.last_now_ns - start) / 1e9,
        "first_stamp_ns": episode.first_stamp_ns,
        "last_stamp_ns": episode.last_stamp_ns,
        "onset_ns": first.onset_ns,
        "frames": episode.frames,
        "check": first.check,
        "subject": str(first.subject),
        "cause": first.cause.value,
        "level": episode.level.name,
        "reason": first.reason,
        "measured": {name: v for name, v in first.measured.items() if math.isfinite(v)},
        "evidence": first.evidence,
        "threshold": first.threshold,
        "peak": ratio(episode.worst),
        "scene": _data_url(picture.scene) if picture else None,
        "close_up": _data_url(picture.close_up) if picture and picture.close_up else None,
    }


def _coverage(check: str, total: Any) -> dict[str, Any]:
    subjects = sum(total.values())
    shares = {o.value: 100.0 * total[o.value] / subjects if subjects else 0.0 for o in Outcome}
    return {"check": check, "total": total, "subjects": subjects, "shares": shares}


def _unseen(summary: Summary) -> list[str]:
    """What the drive's verdicts say nothing about, in words."""
    missing = [
        f"{name}: the recording has no such stream"
        for channel, name in (("camera", "camera images"), ("lidar", "LiDAR points"), ("ego", "ego motion"))
        if channel not in summary.source.topics
    ]
    for check, total in summary.coverage.items():
        observed = total[Outcome.PASS.value] + total[Outcome.FAIL.value]
        subjects = sum(total.values())
        if not observed:
            missing.append(f"{check}: never observed anything")
        elif total[Outcome.UNOBSERVABLE.value] > 0.5 * subjects:
            share = total[Outcome.UNOBSERVABLE.value] / subjects
            missing.append(f"{check}: could not have told in {share:.0%} of its cases")
        if total[Outcome.SKIPPED.value]:
            missing.append(f"{check}: skipped {total[Outcome.SKIPPED.value]} times for lack of time")
    return missing


def _data_url(jpeg: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")


def _script_json(value: object) -> str:
    # `</script>` in a label would end the script; U+2028 and U+2029 end lines of old JavaScript.
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _value(number: float) -> str:
    return f"{number:.4g}" if abs(number) < 1e15 else f"{number:.3e}"
