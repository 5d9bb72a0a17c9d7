"""The benchmark's results as JSON and as tables in Markdown."""

from __future__ import annotations

import datetime
import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeguard import __version__
from edgeguard.bench import score
from edgeguard.bench.matrix import SEEDS
from edgeguard.checks import CheckSettings, make_checks
from edgeguard.monitor import MonitorSettings

SCHEMA = "edgeguard.bench/1"


def build(results: Sequence[score.Result], *, code: str, command: str, wall_s: float) -> dict[str, Any]:
    """Return the document of `results.json`; all but its `times` is the same for the same code.

    Args:
        results: of `runner.run`.
        code: of `runner.fingerprint`.
        command: what was typed.
        wall_s: how long it took.
    """
    settings = MonitorSettings()
    budget = settings.evidence.false_alarms_per_hour
    checks = make_checks(CheckSettings())
    sees = {c.name: c.sees for c in checks}
    tried = score.trials(results)
    benign = score.benign_rows(results, budget)
    return {
        "schema": SCHEMA,
        "code": code,
        "command": command,
        "budget_per_hour": budget,
        "calibration": settings.calibration,
        "seeds": list(SEEDS),
        "engines": sorted({r["cell"]["drive"]["engine"] for r in results}),
        "drives": list(dict.fromkeys(r["cell"]["drive"]["name"] for r in results)),
        "attacks": score.attack_rows(tried, results),
        "all_attacks": score.total_row(tried),
        "benign": benign,
        "checks": score.check_rows(tried, [c.name for c in checks]),
        "declared": score.undeclared(tried, sees),
        "trials": [
            {"kind": t.kind, "drive": t.drive, "fooled": t.fooled, "share": t.share, "stopped": t.stopped,
             "metres": t.metres, "alarms": [{"after_s": s, "check": c} for s, c in t.alarms]}
            for t in tried
        ],
        "false_alarms": [
            {"drive": r["cell"]["drive"]["name"], "condition": score.condition(r),
             **{name: value for name, value in alarm.items() if name != "boxes"}, "box": alarm["boxes"][0][1]}
            for r in results
            if r["cell"]["role"] != "attack" and r["skipped"] is None
            for alarm in r["alarms"]
        ],
        "times": {
            "made": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "machine": machine(),
            "wall_s": round(wall_s, 1),
            "cells_cpu_s": round(sum(r["times"].get("cpu_s", 0.0) for r in results), 1),
        },
    }  # fmt: skip


def machine() -> str:
    """Return processor, cores and versions, in words."""
    model = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, EdgeGuard {__version__}"


def dump(document: Mapping[str, Any]) -> str:
    """Return the text of `results.json`."""
    return json.dumps(document, indent=1) + "\n"


def markdown(document: Mapping[str, Any]) -> str:
    """Return the tables of a run."""
    times, total = document["times"], document["all_attacks"]
    budget = document["budget_per_hour"]
    low, high = total["detected_interval"]
    parts = [
        f"`{document['command']}`, {times['made'][:10]}, code `{document['code']}`; {times['machine']}; "
        f"{times['wall_s']:.0f} s. Engines: {', '.join(document['engines'])}. Budget: {budget:g} alarms an "
        f"hour; calibration: {document['calibration']}. Drives: {', '.join(document['drives'])}.",
        "",
        f"**Of {total['fooled']} non-adaptive attacks that succeeded (of {total['tried']} tried), "
        f"{total['detected']} "
        f"were detected: {_percent(total['detected_share'])} (95 %: {low:.0%} to {high:.0%}), "
        f"{total['in_time']} of them within {score.LATE_S:g} s; p95 of the time to detect "
        f"{_seconds(total['time_p95_s'])}.**",
        "",
        *_table(
            "attack|tried|fooled|detected|95 %|within 0.5 s|stopped|p50, ms|p95, ms|p95, m|seen first by|",
            (_attack(row) for row in [*document["attacks"], total]),
        ),
        "",
        "† below the bar: under 95 % of the successful ones detected, or p95 over 0.5 s.",
        "",
        *_table(
            "benign|drives|hours|alarms|per hour|95 %|stops|by|", (_benign(r) for r in document["benign"])
        ),
        "",
        "† over the budget even at the lower end of the interval. No row shows that the budget is kept "
        "unless its upper end is at most the budget: that takes three clean hours.",
        "",
        *_table(
            "check|alarmed on|first on|lost without it|late without it|",
            (_check(r) for r in document["checks"] if r["alarmed"]),
        ),
    ]
    silent = [r["check"] for r in document["checks"] if not r["alarmed"]]
    if silent:
        parts += ["", f"Alarmed on no successful attack: {', '.join(f'`{c}`' for c in silent)}."]
    if document["declared"]:
        parts += ["", "Declared and measured differ:", ""]
        parts += [f"- `{d['kind']}`: {d['what']}" for d in document["declared"]]
    return "\n".join(parts) + "\n"


def _table(head: str, rows: Iterable[Sequence[str]]) -> list[str]:
    names = head.rstrip("|").split("|")
    return [
        f"| {' | '.join(names)} |",
        f"|{'---|' * len(names)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def _attack(row: Mapping[str, Any]) -> list[str]:
    low, high = row["detected_interval"]
    mark = "" if row["enough"] else " †"
    won = row["fooled"]
    return [
        f"`{row['kind']}`{' (adaptive)' if row['adaptive'] else ''}{mark}"
        if row["kind"] != "all"
        else f"**all**{mark}",
        f"{row['tried']}" + (f" ({row['not_possible']} not possible)" if row["not_possible"] else ""),
        f"{won} ({_percent(row['fooled_share'])})",
        f"{row['detected']} ({_percent(row['detected_share'])})" if won else "",
        f"{low:.0%} to {high:.0%}" if won else "",
        str(row["in_time"]) if won else "",
        str(row["stopped"]) if won else "",
        _ms(row["time_p50_s"]),
        _ms(row["time_p95_s"]),
        "" if row["metres_p95"] is None else f"{row['metres_p95']:.1f}",
        _names(row["first"]),
    ]


def _benign(row: Mapping[str, Any]) -> list[str]:
    low, high = row["per_hour_interval"]
    mark = " †" if row["over_budget"] else ""
    return [
        f"{row['condition']}{mark}",
        str(row["drives"]),
        f"{row['hours']:.4f}",
        str(row["alarms"]),
        "" if row["per_hour"] is None else f"{row['per_hour']:.0f}",
        f"{low:.0f} to {high:.0f}",
        str(row["stops"]),
        _names(row["checks"]),
    ]


def _check(row: Mapping[str, Any]) -> list[str]:
    return [
        f"`{row['check']}`",
        str(row["alarmed"]),
        str(row["first"]),
        f"{row['lost_without']}" + (f" ({_names(row['lost_kinds'])})" if row["lost_without"] else ""),
        f"{row['late_without']}" + (f" ({_names(row['late_kinds'])})" if row["late_without"] else ""),
    ]


def _names(counts: Mapping[str, int]) -> str:
    return ", ".join(f"`{name}` {n}" for name, n in counts.items())


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.0%}"


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.0f}"


def _seconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds:.2f} s"
