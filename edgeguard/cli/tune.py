"""`edgeguard tune`: what the budget of alarms costs in detection."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from edgeguard.errors import EdgeGuardError

if TYPE_CHECKING:
    from edgeguard.calibrate.drive import DriveLog
    from edgeguard.calibrate.trade import Trial
    from edgeguard.replay import ReplaySettings

_DEBOUNCE_FRAMES = range(1, 16)


def tune(
    bags: list[Path] = typer.Argument(..., help="rosbag2 recordings, one a drive."),
    labels: Optional[Path] = typer.Option(  # noqa: UP045
        None, help='Attacks in them, a line each: {"bag", "kind", "onset_ns", "end_ns"[, "boxes"]}.'
    ),
    inject: int = typer.Option(
        0, min=0, help="Attacks of each kind to make on each drive's detections, in place of labels."
    ),
    params: Optional[Path] = typer.Option(None, help="ROS 2 parameter file; defaults without."),  # noqa: UP045
    engine: Optional[str] = typer.Option(  # noqa: UP045
        None, help="Engine that detects on the images in place of recorded detections, by name or path."
    ),
    out: Path = typer.Option(Path("edgeguard_tune"), help="Folder for tune.html and tune.json."),
    seed: int = typer.Option(0, help="Of the attacks that are made."),
) -> None:
    """Sweep the budget and draw detection against alarms per hour, with plain debounce beside it.

    With several drives each is judged by a calibration on the others. Exits with 2 on a user's error.
    """
    if (labels is None) == (inject == 0):
        raise EdgeGuardError(
            "tune: give the attacks in the recordings with --labels, or make some with --inject N"
        )
    from edgeguard.calibrate import plot, trade
    from edgeguard.replay import ReplaySettings

    settings = ReplaySettings.load(params) if params else ReplaySettings()
    logs, trials = _labelled(bags, labels, settings, engine) if labels else made(bags, inject, settings, seed)
    if not trials:
        raise EdgeGuardError("tune: there is no attack on these recordings. Name others, or another --inject")
    checks = list(type(settings.monitor.checks).model_fields)
    evidence = trade.curve(logs, trials, settings.monitor, checks)
    debounce = trade.debounce(logs, trials, _DEBOUNCE_FRAMES)
    hours = sum(log.hours for log in logs)
    out.mkdir(parents=True, exist_ok=True)
    counts = {kind: sum(t.kind == kind for t in trials) for kind in dict.fromkeys(t.kind for t in trials)}
    document = {
        "hours": hours,
        "drives": [log.name for log in logs],
        "attacks": counts,
        "in_time_s": trade.IN_TIME_S,
        "evidence": [dataclasses.asdict(p) for p in evidence],
        "debounce": [dataclasses.asdict(p) for p in debounce],
    }
    _replace(out / "tune.json", json.dumps(document, indent=1) + "\n")
    html = out / ".tune.html"
    plot.write(html, evidence, debounce, hours=hours)
    os.replace(html, out / "tune.html")
    for point in evidence:
        shares = ", ".join(f"{kind} {share:.0%}" for kind, share in point.in_time.items())
        typer.echo(
            f"budget {point.knob:8.3g}/h: {point.alarms} alarms, {point.alarms_per_hour:.0f}/h; {shares}"
        )
    typer.echo(out / "tune.html")


def made(
    bags: list[Path], count: int, settings: ReplaySettings, seed: int
) -> tuple[list[DriveLog], list[Trial]]:
    """Observe clean drives and attacks made on their detections."""
    import numpy as np
    from rich.console import Console
    from rich.progress import Progress

    from edgeguard.calibrate import drive, trade
    from edgeguard.redteam import objects

    console = Console(stderr=True)
    logs, trials = [], []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=len(bags) * (1 + len(objects.KINDS)))
        for n, bag in enumerate(bags):
            name = bag.resolve().name
            bar.update(task, description=f"{name}: clean")
            clip = list(drive.frames(bag, settings))
            logs.append(drive.observe(name, clip, settings.monitor))
            bar.advance(task)
            for kind in objects.KINDS:
                bar.update(task, description=f"{name}: {kind}")
                rng = np.random.default_rng([seed, n, objects.KINDS.index(kind)])
                for attack in objects.plan(clip, kind, count, rng):
                    trials.append(trade.inject(clip, name, attack, settings.monitor))
                bar.advance(task)
    return logs, trials


def _labelled(
    bags: list[Path], labels: Path, settings: ReplaySettings, engine: str | None
) -> tuple[list[DriveLog], list[Trial]]:
    """Observe drives that hold attacks."""
    from edgeguard.calibrate import trade
    from edgeguard.cli.calibrate import observe_all

    told = trade.read_labels(labels)
    names = {bag.resolve().name for bag in bags}
    if missing := sorted(set(told) - names):
        raise EdgeGuardError(f"{labels}: names recordings that are not given: {', '.join(missing)}. Add them")
    logs = observe_all(bags, settings, engine)
    trials = [trade.trial(log, label) for log in logs for label in told.get(log.name, [])]
    return [trade.without(log, told.get(log.name, [])) for log in logs], trials


def _replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
