"""From what was said to what is claimed: which attacks were caught, how fast, by what, and at which price."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from edgeguard.bench.matrix import Role
from edgeguard.redteam.catalogue import threat_of
from edgeguard.redteam.registry import ADAPTIVE

AFTER_NS = 500_000_000
"""An alarm raised this long after an attack's end still counts as its own: evidence takes time to gather."""
LATE_S = 0.5
"""An attack is to be seen within this."""
ENOUGH = 0.95
_NEAR_NS = 300_000_000
_OVERLAP = 0.3

Result = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """One attack on one drive.

    Attributes:
        kind, drive: which and where.
        fooled: whether it held its effect for half a second without a break.
        share: of its messages on which it had its effect.
        alarms: (seconds after the effect began, check), the first of each check, by time; none where it did
            not succeed. An alarm raised before the effect, but after the attack began, counts as at 0.
        metres: driven from the effect to the first alarm; None without odometry or alarm.
        stopped: whether the fail-safe tripped.
    """

    kind: str
    drive: str
    fooled: bool
    share: float
    alarms: tuple[tuple[float, str], ...]
    metres: float | None
    stopped: bool

    @property
    def detected(self) -> bool:
        return bool(self.alarms)


def trials(results: Sequence[Result]) -> list[Trial]:
    """Return a trial for each attack that could be made.

    What the clean drive's replay says at the same time of the same place is no detection.
    """
    clean = {r["cell"]["drive"]["name"]: r for r in results if _is(r, Role.CLEAN)}
    out = []
    for result in results:
        if not _is(result, Role.ATTACK) or result["skipped"] is not None:
            continue
        drive = result["cell"]["drive"]["name"]
        beside = clean.get(drive)
        if beside is not None and beside["skipped"] is None:
            out.append(_trial(result, beside))
    return out


def _is(result: Result, role: Role) -> bool:
    return bool(result["cell"]["role"] == role.value)


def _trial(result: Result, clean: Result) -> Trial:
    attack = result["attack"]
    effect, onset = attack["effect_ns"], attack["onset_ns"]
    fooled = effect is not None
    first: dict[str, float] = {}
    metres: float | None = None
    if fooled:
        until = attack["end_ns"] + AFTER_NS
        for alarm in result["alarms"]:
            if onset <= alarm["first_ns"] <= until and not _was_there(alarm, clean["alarms"]):
                first.setdefault(alarm["check"], max(alarm["first_ns"] - effect, 0) / 1e9)
    ordered = tuple(sorted((round(t, 4), check) for check, t in first.items()))
    if ordered:
        metres = _driven(clean["way"], effect, effect + round(ordered[0][0] * 1e9))
    stopped = fooled and any(onset <= t <= attack["end_ns"] + AFTER_NS for t in result["trips_ns"])
    cell = result["cell"]
    return Trial(cell["kind"], cell["drive"]["name"], fooled, attack["share"], ordered, metres, stopped)


def _was_there(alarm: Mapping[str, Any], clean: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the clean drive's replay raised the same alarm at that time: of the check, and of the place."""
    at, box = alarm["boxes"][0]
    return any(
        other["check"] == alarm["check"] and abs(stamp - at) <= _NEAR_NS and _same_place(box, beside)
        for other in clean
        for stamp, beside in other["boxes"]
    )


def _same_place(a: Sequence[float] | None, b: Sequence[float] | None) -> bool:
    if a is None or b is None:
        return a is b
    (x0, y0, x1, y1), (u0, v0, u1, v1) = a, b
    common = max(min(x1, u1) - max(x0, u0), 0.0) * max(min(y1, v1) - max(y0, v0), 0.0)
    union = (x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - common
    return union <= 0 or common / union > _OVERLAP


def _driven(way: Sequence[Sequence[float]], since: int, until: int) -> float | None:
    if not way:
        return None
    stamps, metres = [int(w[0]) for w in way], [float(w[1]) for w in way]
    a, b = np.interp([since, until], np.array(stamps, np.float64), metres)
    return round(float(b - a), 3)


def interval(hits: int, tried: int) -> tuple[float, float]:
    """Return the exact (Clopper-Pearson) 95 % interval of a share."""
    if tried == 0:
        return 0.0, 1.0
    found = stats.binomtest(hits, tried).proportion_ci(0.95, method="exact")
    return round(float(found.low), 4), round(float(found.high), 4)


def rate_interval(count: int, hours: float) -> tuple[float, float]:
    """Return the exact 95 % interval of a Poisson rate, per hour."""
    if hours <= 0:
        return 0.0, float("inf")
    low = stats.chi2.ppf(0.025, 2 * count) / 2 / hours if count else 0.0
    # With none seen, one-sided: 3 / T.
    high = stats.chi2.ppf(0.975 if count else 0.95, 2 * (count + 1)) / 2 / hours
    return round(float(low), 3), round(float(high), 3)


def attack_rows(tried: Sequence[Trial], results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return a row for each kind of attack, in the order of the matrix."""
    attacks = [r for r in results if _is(r, Role.ATTACK)]
    rows = []
    for kind in dict.fromkeys(r["cell"]["kind"] for r in attacks):
        own = [t for t in tried if t.kind == kind]
        skipped = [r["skipped"] for r in attacks if r["cell"]["kind"] == kind and r["skipped"] is not None]
        rows.append(_row(kind, own, skipped))
    return rows


def total_row(tried: Sequence[Trial]) -> dict[str, Any]:
    """Return the row of all attacks together, adaptive ones apart."""
    return _row("all", [t for t in tried if t.kind not in ADAPTIVE], [])


def _row(kind: str, own: Sequence[Trial], skipped: Sequence[str]) -> dict[str, Any]:
    won = [t for t in own if t.fooled]
    seen = [t for t in won if t.detected]
    times = [t.alarms[0][0] for t in seen]
    metres = [t.metres for t in seen if t.metres is not None]
    first = [t.alarms[0][1] for t in seen]
    threat = threat_of(kind)
    low, high = interval(len(seen), len(won))
    return {
        "kind": kind,
        "threat": None if threat is None else threat.name,
        "adaptive": kind in ADAPTIVE,
        "tried": len(own),
        "not_possible": len(skipped),
        "why_not": sorted(set(skipped)),
        "fooled": len(won),
        "fooled_share": _share(len(won), len(own)),
        "detected": len(seen),
        "detected_share": _share(len(seen), len(won)),
        "detected_interval": [low, high],
        "in_time": sum(t <= LATE_S + 1e-9 for t in times),
        "stopped": sum(t.stopped for t in won),
        "time_p50_s": _quantile(times, 0.5),
        "time_p95_s": _quantile(times, 0.95),
        "metres_p50": _quantile(metres, 0.5),
        "metres_p95": _quantile(metres, 0.95),
        "first": _counted(first),
        "alarmed": _counted(check for t in seen for _, check in t.alarms),
        "missed_on": [t.drive for t in won if not t.detected],
        "late_on": [t.drive for t in seen if t.alarms[0][0] > LATE_S + 1e-9],
        "enough": not won or (len(seen) >= ENOUGH * len(won) and _in_time(times)),
    }


def _in_time(times: Sequence[float]) -> bool:
    p95 = _quantile(times, 0.95)
    return p95 is None or p95 <= LATE_S + 1e-9


def _share(hits: int, tried: int) -> float | None:
    return round(hits / tried, 4) if tried else None


def _quantile(values: Sequence[float], q: float) -> float | None:
    """Return the least value that a share q of the values does not exceed."""
    if not values:
        return None
    return round(float(np.quantile(np.array(values), q, method="inverted_cdf")), 4)


def _counted(names: Iterable[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items(), key=lambda c: (-c[1], c[0])))


def check_rows(tried: Sequence[Trial], checks: Sequence[str]) -> list[dict[str, Any]]:
    """Return per check what it saw first, and what would be lost or late without it."""
    seen = [t for t in tried if t.fooled and t.detected]
    rows = []
    for check in checks:
        able = [t for t in seen if any(c == check for _, c in t.alarms)]
        others = {id(t): [time for time, c in t.alarms if c != check] for t in able}
        lost = [t for t in able if not others[id(t)]]
        late = [t for t in able if others[id(t)] and t.alarms[0][0] <= LATE_S + 1e-9 < min(others[id(t)])]
        rows.append(
            {
                "check": check,
                "alarmed": len(able),
                "first": sum(t.alarms[0][1] == check for t in seen),
                "lost_without": len(lost),
                "lost_kinds": _counted(t.kind for t in lost),
                "late_without": len(late),
                "late_kinds": _counted(t.kind for t in late),
            }
        )
    return rows


def condition(result: Result) -> str:
    """Return what is benign about a drive: the stress laid on it, its scene, or nothing."""
    cell = result["cell"]
    if cell["kind"] is not None:
        return str(cell["kind"])
    return "clean" if _is(result, Role.CLEAN) else str(cell["drive"]["scene"])


def benign_rows(results: Sequence[Result], budget: float) -> list[dict[str, Any]]:
    """Return a row for the clean drives, by scene, and for each benign condition.

    Args:
        budget: alarms per hour that are allowed.
    """
    rows = []
    groups: dict[str, list[Result]] = {}
    for r in results:
        if _is(r, Role.CLEAN):
            groups.setdefault("clean", []).append(r)
            groups.setdefault(
                f"clean: {r['cell']['drive']['scene'] or r['cell']['drive']['name']}", []
            ).append(r)
    for r in results:
        if _is(r, Role.BENIGN):
            groups.setdefault(condition(r), []).append(r)
    for name, group in groups.items():
        made = [r for r in group if r["skipped"] is None]
        hours = sum(r["duration_s"] for r in made) / 3600
        alarms = [a for r in made for a in r["alarms"]]
        low, high = rate_interval(len(alarms), hours)
        rows.append(
            {
                "condition": name,
                "drives": len(made),
                "hours": round(hours, 5),
                "alarms": len(alarms),
                "stops": sum(len(r["trips_ns"]) for r in made),
                "per_hour": round(len(alarms) / hours, 2) if hours else None,
                "per_hour_interval": [low, high],
                "checks": _counted(a["check"] for a in alarms),
                "on": sorted({r["cell"]["drive"]["name"] for r in made if r["alarms"]}),
                # What so short a drive can say: over the budget, or nothing against it.
                "over_budget": low > budget,
                "shown": high <= budget,
            }
        )
    return rows


def undeclared(tried: Sequence[Trial], sees: Mapping[str, Iterable[str]]) -> list[dict[str, str]]:
    """Return which attacks some check saw that no check declares to see, and the other way round.

    Args:
        sees: per check, the threats of the catalogue that it declares.
    """
    out = []
    for kind in dict.fromkeys(t.kind for t in tried):
        threat = threat_of(kind)
        won = [t for t in tried if t.kind == kind and t.fooled]
        if threat is None or not won:
            continue
        able = {check for check, names in sees.items() if threat.name in names}
        saw = {check for t in won for _, check in t.alarms}
        if saw and not saw & able:
            out.append({"kind": kind, "what": f"seen by {', '.join(sorted(saw))}, none of which declares it"})
        if able and not saw & able:
            out.append({"kind": kind, "what": f"declared by {', '.join(sorted(able))}, none of which saw it"})
    return out
