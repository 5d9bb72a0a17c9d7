"""`edgeguard replay`: a recording in, verdicts and a report out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

from edgeguard.errors import EdgeGuardError

if TYPE_CHECKING:
    from edgeguard.report import Summary

FAIL_SAFE = 3


def replay(
    bag: Path = typer.Argument(..., help="rosbag2 folder or file (sqlite3 or MCAP)."),
    params: Optional[Path] = typer.Option(None, help="ROS 2 parameter file; defaults without."),  # noqa: UP045
    engine: Optional[str] = typer.Option(  # noqa: UP045
        None,
        help="Engine that detects on the images, by name or path, in place of recorded detections; "
        "'none' runs without, 'sim_detector' is for simulated recordings. Without this option the parameter "
        "file's engine runs where images come without detections.",
    ),
    out: Optional[Path] = typer.Option(  # noqa: UP045
        None, help="Folder for the results; BAG_edgeguard in the working directory without."
    ),
    partial: bool = typer.Option(False, "--partial", help="Use what is readable of a damaged recording."),
    topic: list[str] = typer.Option(
        [], metavar="CHANNEL=TOPIC", help="Topic of a channel, where there are several. May be repeated."
    ),
) -> None:
    """Judge every frame of a recording: events.jsonl, coverage.jsonl, summary.json and report.html.

    Exits with 0 when the drive stayed below FAIL_SAFE (the hold at start-up does not count), 3 when it did
    not, 2 on a user's error.
    """
    topics = dict(_topic(text) for text in topic)
    folder = out or Path(f"{_stem(bag)}_edgeguard")
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    from edgeguard.replay import ReplaySettings
    from edgeguard.replay import replay as run

    settings = ReplaySettings.load(params) if params else ReplaySettings()
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(f"replaying {bag.name}", total=None)
        summary = run(
            bag,
            out=folder,
            settings=settings,
            engine=engine,
            topics=topics,
            partial=partial,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    _tell(summary, folder)
    if summary.reached_fail_safe:
        raise typer.Exit(FAIL_SAFE)


def _tell(summary: Summary, folder: Path) -> None:
    for line in summary.source.lost:
        typer.echo(f"edgeguard: lost: {line}", err=True)
    if summary.source.clock_offset_s:
        offset = summary.source.clock_offset_s
        typer.echo(f"edgeguard: log times are of another clock; took {offset:.3f} s off them", err=True)
    alarms = ", ".join(f"{check} {n}" for check, n in summary.alarms.items() if n) or "none"
    typer.echo(
        f"{summary.level.name}: {summary.frames} frames, {summary.duration_s:.2f} s at "
        f"{summary.realtime_factor:.1f} x real time; alarms: {alarms}"
    )
    typer.echo(folder / "report.html")


def _topic(text: str) -> tuple[str, str]:
    channel, equals, topic = text.partition("=")
    if not (channel and equals and topic):
        raise EdgeGuardError(f"--topic {text}: expected CHANNEL=TOPIC, as in --topic camera=/front/image")
    return channel, topic


def _stem(bag: Path) -> str:
    """The recording's name without what only tells its format."""
    name = bag.resolve().name
    for suffix in (".zstd", ".mcap", ".db3"):
        name = name.removesuffix(suffix)
    return name
