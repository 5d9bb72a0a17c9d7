"""From drives to a calibration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import metadata

import numpy as np

from edgeguard import __version__
from edgeguard.calibrate.debounce import Debounce
from edgeguard.calibrate.drive import DriveLog
from edgeguard.checks.input_distribution import MEASURES
from edgeguard.errors import EdgeGuardError
from edgeguard.evidence.thresholds import Calibration, Camera, Drive, Key, Tail, Usual
from edgeguard.monitor import MonitorSettings, digests
from edgeguard.verdict import SubjectKind

_TAIL_SHARE = 0.25
_TAIL_LEAST, _TAIL_MOST = 10, 40
CONFIDENCE = 0.95
_LEAST_SPREAD = 0.1


def fit(
    logs: Sequence[DriveLog], settings: MonitorSettings, *, made: str, general: bool = False
) -> Calibration:
    """Fit a calibration to clean drives.

    Args:
        logs: one a drive, observed under `settings`.
        made: the date to write.
        general: as in `Calibration`.

    Raises:
        EdgeGuardError: the drives hold no time at all, or were not made with one engine.
    """
    hours = sum(log.hours for log in logs)
    if hours <= 0:
        raise EdgeGuardError("calibrate: the recordings hold fewer than two frames. Give longer drives")
    engines = {log.engine for log in logs}
    if len(engines) > 1:
        raise EdgeGuardError(f"calibrate: drives of several engines: {engines}. Calibrate each by itself")
    cameras: list[Camera] = []
    for camera in (Camera.of(log.camera) for log in logs if log.camera is not None):
        if not any(camera.fits(c) for c in cameras):
            cameras.append(camera)
    tails: dict[str, dict[SubjectKind, Tail]] = {}
    for key in keys(logs):
        if (tail := _tail(logs, settings, key)) is not None:
            tails.setdefault(key[0], {})[key[1]] = tail
    return Calibration(
        made=made,
        versions={"edgeguard": __version__, "numpy": metadata.version("numpy")},
        general=general,
        engine=next(iter(engines)),
        cameras=tuple(cameras),
        drives=tuple(Drive(name=g.name, hours=round(g.hours, 6), frames=len(g.stamp_ns)) for g in logs),
        hours=hours,
        tracks=sum(log.tracks for log in logs),
        lidar_objects=sum(log.lidar_objects for log in logs),
        step_s=settings.evidence.step_s,
        max_step_evidence=settings.evidence.max_step_evidence,
        digests={check: d for check, d in digests(settings).items() if check in tails},
        tails=tails,
        inputs=_inputs(logs),
    )


def keys(logs: Sequence[DriveLog]) -> list[Key]:
    """Return the checks and kinds of subject that appear, the plain rule of comparison left out."""
    return sorted({k for log in logs for k in log.courses if k[0] != Debounce.name})


def alarms(log: DriveLog, thresholds: dict[Key, float]) -> int:
    """Return how many excursions reach their threshold: the alarms, each counted once."""
    return sum(int(np.count_nonzero(p >= h)) for key, h in thresholds.items() for _, p in log.peaks(key))


def certify(count: int, hours: float) -> float:
    """Return the rate per hour that `count` alarms in `hours` leave possible, at 95 % (exact Poisson)."""
    low, high = 0.0, 10.0 * (count + 10)
    # The mean at which so few would come in 5 % of cases.
    for _ in range(100):
        mean = (low + high) / 2
        few = sum(math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)) for n in range(count + 1))
        low, high = (mean, high) if few > 1 - CONFIDENCE else (low, mean)
    return high / hours


def held_out(
    logs: Sequence[DriveLog], settings: MonitorSettings, budget: float, checks: Sequence[str]
) -> int:
    """Return the alarms on all drives, each judged by a calibration on the others."""
    total = 0
    for i, log in enumerate(logs):
        rest = fit([*logs[:i], *logs[i + 1 :]], settings, made="")
        total += alarms(log, rest.thresholds(budget, checks))
    return total


def _inputs(logs: Sequence[DriveLog]) -> dict[str, Usual]:
    """Mean and spread of what pictures measured: each drive counts alike, however long it was."""
    drives = [log.inputs for log in logs if len(log.inputs)]
    out: dict[str, Usual] = {}
    if not drives:
        return out
    for i, name in enumerate(MEASURES):
        means = np.array([d[:, i].mean() for d in drives])
        if np.isnan(means).any():
            continue
        within = float(np.mean([d[:, i].var() for d in drives]))
        between = float(means.var(ddof=1)) * (1 + 1 / len(means)) if len(means) > 1 else 0.0
        mean = float(means.mean())
        # One town on one day is hardly spread at all.
        spread = max(math.sqrt(within + between), _LEAST_SPREAD * mean, 1e-3)
        out[name] = Usual(mean=round(mean, 4), spread=round(spread, 4))
    return out


def _tail(logs: Sequence[DriveLog], settings: MonitorSettings, key: Key) -> Tail | None:
    """The tail of one check and kind; None where nothing could be told."""
    courses = [c for log in logs for c in log.courses.get(key, {}).values()]
    told = [c for c in courses if not np.isnan(c.score).all()]
    if not told:
        return None
    found = [(float(h), (log.name, i)) for log in logs for i, p in log.peaks(key) for h in p]
    found.sort(key=lambda f: -f[0])
    count = min(max(round(_TAIL_SHARE * len(found)), _TAIL_LEAST), _TAIL_MOST)
    level = found[count][0] if len(found) > count else 0.0
    # What a single step can reach says nothing of how long strangeness lasts.
    level = max(level, settings.evidence.max_step_evidence)
    above = [f for f in found if f[0] > level]
    return Tail(
        subjects=len(told),
        told_s=round(sum(float(c.dt_s[~np.isnan(c.score)].sum()) for c in told), 1),
        excursions=len(found),
        level=round(level, 3),
        above=tuple(round(h, 3) for h, _ in above),
        witnesses=len({subject for _, subject in above}),
        facts=sum(int(np.isposinf(c.score).any()) for c in told),
    )
