"""`edgeguard calibrate`: thresholds from clean drives."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

if TYPE_CHECKING:
    from edgeguard.calibrate.drive import DriveLog
    from edgeguard.evidence.thresholds import Calibration
    from edgeguard.replay import ReplaySettings


def calibrate(
    bags: list[Path] = typer.Argument(..., help="rosbag2 recordings of clean drives, one a drive."),
    out: Path = typer.Option(
        ..., help="Folder of the calibration, as calibration/NAME; scores.yaml goes there."
    ),
    params: Optional[Path] = typer.Option(None, help="ROS 2 parameter file; defaults without."),  # noqa: UP045
    engine: Optional[str] = typer.Option(  # noqa: UP045
        None, help="Engine that detects on the images in place of recorded detections, by name or path."
    ),
    general: bool = typer.Option(
        False, "--general", help="For any vehicle that has none of its own: never refused."
    ),
) -> None:
    """Fit each check's alarm threshold on clean drives, and say what they can certify.

    Whatever happens on the drives counts as benign. Exits with 2 on a user's error.
    """
    from edgeguard.calibrate import fit
    from edgeguard.replay import ReplaySettings

    settings = ReplaySettings.load(params) if params else ReplaySettings()
    logs = observe_all(bags, settings, engine)
    today = datetime.now(timezone.utc).date().isoformat()
    made = fit.fit(logs, settings.monitor, made=today, general=general)
    path = made.write(out)
    for line in words(made, logs, settings):
        typer.echo(line)
    typer.echo(path)


def observe_all(bags: list[Path], settings: ReplaySettings, engine: str | None) -> list[DriveLog]:
    """Observe every recording, with a bar on stderr."""
    from rich.console import Console
    from rich.progress import Progress

    from edgeguard.calibrate import drive

    console = Console(stderr=True)
    logs = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("observing", total=len(bags))
        for bag in bags:
            bar.update(task, description=f"observing {bag.name}")
            log = drive.observe(
                bag.resolve().name, drive.frames(bag, settings, engine=engine), settings.monitor
            )
            log.engine = engine
            logs.append(log)
            bar.advance(task)
    return logs


def words(made: Calibration, logs: list[DriveLog], settings: ReplaySettings) -> list[str]:
    """Say what a calibration saw, what it asks for, and what it can and cannot certify."""
    from edgeguard.calibrate import fit

    budget = settings.monitor.evidence.false_alarms_per_hour
    checks = list(type(settings.monitor.checks).model_fields)
    lines = [
        f"{len(logs)} drive(s), {made.hours:.3f} h, {made.tracks} tracks, {made.lidar_objects} LiDAR objects."
    ]
    for (check, kind), height in made.thresholds(budget, checks).items():
        tail = made.tails[check][kind]
        seconds = made.step_s * math.ceil(height / made.max_step_evidence)
        lines.append(
            f"{check} ({kind.value}): alarms at {height:.1f} nats, {seconds:.1f} s of the strongest evidence "
            f"at least; {tail.excursions} benign excursions of {tail.subjects} subjects, highest "
            f"{max(tail.above, default=0.0):.1f}"
        )
        if tail.facts:
            lines.append(
                f"  {tail.facts} subject(s) with facts, which no threshold concerns: are these drives clean?"
            )
    if blind := [c for c in checks if c not in made.tails]:
        lines.append(f"Could tell nothing here and stay uncalibrated: {', '.join(blind)}.")
    if len(logs) > 1:
        count = fit.held_out(logs, settings.monitor, budget, checks)
        how = "each drive judged by a calibration on the others"
    else:
        count = fit.alarms(logs[0], made.thresholds(budget, checks))
        how = "on the very drive it was fitted to, so too few"
    certain = fit.certify(count, made.hours)
    lines.append(
        f"{count} alarm(s) in {made.hours:.3f} h, {how}: at 95 % confidence the rate on drives like these is "
        f"below {certain:.3g} an hour."
    )
    if certain > budget:
        lines.append(
            f"The budget of {budget:g} an hour is NOT certified: it rests on the fitted tails. To certify "
            f"it takes {-math.log(1 - fit.CONFIDENCE) / budget:.3g} h without an alarm, or more with some."
        )
    else:
        lines.append(f"The budget of {budget:g} an hour is certified for drives like these.")
    return lines
