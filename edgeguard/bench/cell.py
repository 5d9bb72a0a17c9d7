"""One cell of the benchmark: attack a copy of the drive, replay it, and keep what was said."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgeguard.bags import BagReader
from edgeguard.bench.matrix import DURATION_S, Cell, Drive, Role
from edgeguard.redteam.base import AttackError
from edgeguard.redteam.inject import Outcome, attack_bag
from edgeguard.redteam.scout import Detector, Way
from edgeguard.replay import EVENTS, replay
from edgeguard.report.drive import EPISODE_GAP_NS
from edgeguard.types import Channel, EgoMotion
from edgeguard.verdict import Level

HELD_S = 0.5
"""An attack has succeeded where it had its effect for so long without a break."""

_engines: dict[str, Detector] = {}
"""Open in this process."""


def make_drive(drive: Drive, folder: Path) -> Path:
    """Return the drive's recording; a simulated one is rendered into `folder` if it is not there yet."""
    if drive.bag is not None:
        return Path(drive.bag)
    bag = folder / drive.name
    if not bag.exists():
        from edgeguard.sim.bag import write_bag
        from edgeguard.sim.scenes import build_scene

        assert drive.scene is not None
        scene = build_scene(drive.scene, drive.seed, duration_s=DURATION_S)
        # Its detections are there for the attacks that alter those; pixels' attacks detect anew.
        write_bag(bag, scene, detector=_engine(drive.engine))
    return bag


def run(cell: Cell, bag: Path) -> dict[str, Any]:
    """Attack, replay, and return what was said; `skipped` holds the reason where it cannot be made."""
    began, spent = time.monotonic(), time.process_time()
    with tempfile.TemporaryDirectory(prefix="edgeguard_bench_") as temporary:
        work = Path(temporary)
        outcome: Outcome | None = None
        try:
            if cell.kind is not None:
                outcome = attack_bag(
                    bag, work / "bag", cell.kind, engine=lambda: _engine(cell.engine),
                    start_s=cell.start_s, duration_s=cell.duration_s, seed=cell.seed,
                )  # fmt: skip
        except AttackError as e:
            return failed(cell, str(e).split(str(bag))[-1].strip())
        attacked = bag if outcome is None else work / "bag"
        out = _replay(cell, attacked, work)
        shutil.rmtree(work / "bag", ignore_errors=True)
    if cell.role is Role.CLEAN:
        out["way"] = way(bag)
    out["times"] = {
        "wall_s": round(time.monotonic() - began, 2),
        "cpu_s": round(time.process_time() - spent, 2),
    }
    return {"cell": cell.to_dict(), "skipped": None, "attack": _told(outcome), **out}


def _replay(cell: Cell, bag: Path, work: Path) -> dict[str, Any]:
    engine: Any = None if cell.recorded_detections else _engine(cell.engine)
    summary = replay(bag, out=work / "out", engine=engine)
    lines = (work / "out" / EVENTS).read_text(encoding="utf-8").splitlines()
    trips = [int(str(t["stamp_ns"])) for t in summary.transitions if t["to"] == "FAIL_SAFE"]
    return {
        "frames": summary.frames,
        "duration_s": summary.duration_s,
        "level": summary.level.name,
        "trips_ns": trips,
        "alarms": episodes(json.loads(line) for line in lines),
    }


def episodes(events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return each alarm once, as in the report of a drive, from first frame to last, in order of the first.

    `boxes` holds stamp and box of each of its frames.
    """
    out: list[dict[str, Any]] = []
    running: dict[tuple[str, str], dict[str, Any]] = {}
    for event in events:
        stamp = int(event["stamp_ns"])
        for alarm in event["alarms"]:
            subject = alarm["subject"]
            key = alarm["check"], f"{subject['kind']} {subject['id']}"
            last = running.get(key)
            if last is not None and stamp - last["last_ns"] <= EPISODE_GAP_NS:
                last["last_ns"] = stamp
                last["boxes"].append([stamp, subject.get("box")])
                last["level"] = max(last["level"], alarm["level"], key=lambda name: Level[name])
                continue
            running[key] = {
                "check": alarm["check"],
                "subject": key[1],
                "cause": alarm["cause"],
                "level": alarm["level"],
                "first_ns": stamp,
                "last_ns": stamp,
                "reason": alarm["reason"],
                "boxes": [[stamp, subject.get("box")]],
            }
            out.append(running[key])
    return out


def success(effects: Sequence[tuple[int, bool]]) -> tuple[int, float] | None:
    """Return when the first effect of `HELD_S` without a break began (ns), and how long it held (s).

    Args:
        effects: per altered message its stamp, and whether the attack had its effect on it.
    """
    if len(effects) < 2:
        return None
    period = float(np.median(np.diff([stamp for stamp, _ in effects])))
    start: int | None = None
    for stamp, had in [*effects, (effects[-1][0], False)]:
        if had and start is None:
            start = stamp
        if not had and start is not None:
            last = max((s for s, h in effects if h and s <= stamp), default=start)
            held = (last - start + period) / 1e9
            if held >= HELD_S - 1e-6:
                return start, round(held, 3)
            start = None
    return None


def _told(outcome: Outcome | None) -> dict[str, Any] | None:
    if outcome is None:
        return None
    had = [fooled for _, fooled in outcome.effects]
    won = success(outcome.effects)
    return {
        "onset_ns": outcome.onset_ns,
        "end_ns": outcome.end_ns,
        "messages": len(had),
        "share": round(float(np.mean(had)), 4) if had else 0.0,
        "asked": outcome.fooled is not None,
        "effect_ns": None if won is None else won[0],
        "held_s": None if won is None else won[1],
    }


def way(bag: Path) -> list[tuple[int, float]]:
    """Return stamp (ns) and distance driven (m) along a recording's odometry; empty without one."""
    driven, last = 0.0, Way()
    out: list[tuple[int, float]] = []
    before = np.zeros(2)
    with BagReader(bag) as reader:
        for raw in reader.raw_messages():
            if raw.channel != Channel.EGO:
                continue
            ego = reader.value(raw)
            assert isinstance(ego, EgoMotion)
            last.add(ego)
            assert last.pose is not None
            driven += float(np.hypot(*(last.pose[:2] - before)))
            before = last.pose[:2]
            out.append((ego.stamp_ns, round(driven, 3)))
    return out[::5]


def _engine(name: str) -> Detector:
    if name not in _engines:
        from edgeguard.engine import open_engine

        _engines[name] = open_engine(name)
    return _engines[name]


def failed(cell: Cell, why: str) -> dict[str, Any]:
    """Return the result of a cell whose attack or replay could not be made."""
    return {"cell": cell.to_dict(), "skipped": why, "times": {}}
