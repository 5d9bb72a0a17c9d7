"""`edgeguard replay`: a recording in, verdicts and a report out."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Optional

import typer

from edgeguard.cli.cores import available_cores
from edgeguard.errors import EdgeGuardError

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

    from rich.progress import Progress

    from edgeguard.report import Summary

FAIL_SAFE, USER_ERROR = 3, 2


class _Told(NamedTuple):
    """What the terminal is told of a drive; light to hand from one process to another."""

    warnings: tuple[str, ...]
    line: str
    report: Path
    duration_s: float
    stopped: bool


def replay(
    bags: list[Path] = typer.Argument(
        ..., metavar="BAG...", help="rosbag2 folder or file (sqlite3 or MCAP)."
    ),
    params: Optional[Path] = typer.Option(None, help="ROS 2 parameter file; defaults without."),  # noqa: UP045
    engine: Optional[str] = typer.Option(  # noqa: UP045
        None,
        help="Engine that detects on the images, by name or path, in place of recorded detections; "
        "'none' runs without, 'sim_detector' is for simulated recordings. Without this option the parameter "
        "file's engine runs where images come without detections.",
    ),
    out: Optional[Path] = typer.Option(  # noqa: UP045
        None,
        help="Folder for the results, for several recordings of their folders; BAG_edgeguard in the working "
        "directory without.",
    ),
    partial: bool = typer.Option(False, "--partial", help="Use what is readable of a damaged recording."),
    topic: list[str] = typer.Option(
        [], metavar="CHANNEL=TOPIC", help="Topic of a channel, where there are several. May be repeated."
    ),
    jobs: Optional[int] = typer.Option(  # noqa: UP045
        None, min=1, help="Recordings replayed at once; as many as there are cores without."
    ),
) -> None:
    """Judge every frame of recordings: events.jsonl, coverage.jsonl, summary.json and report.html of each.

    Exits with 0 when every drive stayed below FAIL_SAFE (the hold at start-up does not count), 3 when one did
    not, 2 on a user's error.
    """
    settings = None
    if params:
        from edgeguard.replay import ReplaySettings

        settings = ReplaySettings.load(params)
    options = {"settings": settings, "engine": engine, "topics": dict(map(_topic, topic)), "partial": partial}
    if len(bags) == 1:
        worst = _one(bags[0], out or Path(f"{_stem(bags[0])}_edgeguard"), options)
    else:
        worst = _several(_folders(bags, out), options, jobs)
    if worst:
        raise typer.Exit(worst)


def _one(bag: Path, folder: Path, options: dict[str, Any]) -> int:
    from edgeguard.replay import replay as run

    with _progress() as bar:
        task = bar.add_task(f"replaying {bag.name}", total=None)
        summary = run(
            bag,
            out=folder,
            on_progress=lambda done, total: bar.update(task, completed=done, total=total),
            **options,
        )
    told = _told(summary, folder)
    _tell(told)
    return FAIL_SAFE if told.stopped else 0


def _several(folders: dict[Path, Path], options: dict[str, Any], jobs: int | None) -> int:
    """Replay recordings side by side; one that cannot be used is told, and the others go on."""
    from concurrent.futures import ProcessPoolExecutor, as_completed

    began, cores = time.monotonic(), jobs or available_cores()
    with ProcessPoolExecutor(min(cores, len(folders)), mp_context=_processes()) as pool:
        # The longest first, so that none is left over for one core alone at the end.
        largest = sorted(folders, key=_size, reverse=True)
        done = {bag: pool.submit(_quietly, bag, folders[bag], options) for bag in largest}
        with _progress() as bar:  # A thread, and so not before the processes are there.
            task = bar.add_task(f"replaying {len(folders)} recordings", total=len(folders))
            for _ in as_completed(done.values()):
                bar.advance(task)
    worst, driven_s = 0, 0.0
    for bag in folders:
        if isinstance(error := done[bag].exception(), EdgeGuardError):
            typer.echo(f"edgeguard: {error}", err=True)
            worst = USER_ERROR
            continue
        told = done[bag].result()
        _tell(told)
        driven_s += told.duration_s
        if told.stopped:
            worst = worst or FAIL_SAFE
    wall_s = time.monotonic() - began
    typer.echo(f"{len(folders)} recordings: {driven_s:.1f} s of driving in {wall_s:.1f} s, "
               f"{driven_s / wall_s:.1f} x real time")  # fmt: skip
    return worst


def _processes() -> BaseContext:
    """How processes for replays are made: forked with the libraries loaded, where that is safe.

    A fork of a process that has threads can deadlock. Those that OpenBLAS would start when it loads are of no
    use to matrices as small as a monitor's, and the recordings take all cores anyway.
    """
    import multiprocessing

    if "numpy" not in sys.modules:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from edgeguard.replay import load

    load()
    threads = Path("/proc/self/task")
    alone = threads.is_dir() and len(list(threads.iterdir())) == 1
    return multiprocessing.get_context("fork" if alone else "spawn")


def _quietly(bag: Path, folder: Path, options: dict[str, Any]) -> _Told:
    from edgeguard.replay import replay as run

    try:
        return _told(run(bag, out=folder, **options), folder)
    except EdgeGuardError as e:
        # Only its message finds the way from one process to another.
        raise EdgeGuardError(str(e)) from None


def _folders(bags: list[Path], out: Path | None) -> dict[Path, Path]:
    """Where each recording's results go; no two to one folder."""
    folders = {bag: out / _stem(bag) if out else Path(f"{_stem(bag)}_edgeguard") for bag in bags}
    if len(set(folders.values())) < len(bags):
        raise EdgeGuardError("two recordings have one name, and so one folder for results: replay them apart")
    return folders


def _size(bag: Path) -> int:
    files = bag.rglob("*") if bag.is_dir() else [bag]
    return sum(f.stat().st_size for f in files if f.is_file())


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip


def _told(summary: Summary, folder: Path) -> _Told:
    warnings = [f"lost: {line}" for line in summary.source.lost]
    if summary.source.clock_offset_s:
        offset = summary.source.clock_offset_s
        warnings.append(f"log times are of another clock; took {offset:.3f} s off them")
    alarms = ", ".join(f"{check} {n}" for check, n in summary.alarms.items() if n) or "none"
    line = (
        f"{summary.level.name}: {summary.frames} frames, {summary.duration_s:.2f} s at "
        f"{summary.realtime_factor:.1f} x real time; alarms: {alarms}"
    )
    report = folder / "report.html"
    return _Told(tuple(warnings), line, report, summary.duration_s, summary.reached_fail_safe)


def _tell(told: _Told) -> None:
    for warning in told.warnings:
        typer.echo(f"edgeguard: {warning}", err=True)
    typer.echo(told.line)
    typer.echo(told.report)


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
