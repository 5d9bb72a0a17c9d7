"""`edgeguard demo`: a clean and an attacked drive through a simulated world, both replayed."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from edgeguard.redteam.inject import Outcome
    from edgeguard.report import Summary

SCENE = "car_following"
ENGINE = "sim_detector"
DURATION_S = 0.8
ATTACKS = (
    ("patch_hide", 1.6),
    ("freeze", 3.0),
    ("phantom", 4.4),
    ("blind", 5.8),
    ("lidar_remove", 7.2),
    ("lidar_ghost", 8.6),
)
"""Kind and onset, seconds into the drive: one after the other, and no two in a row that the same check
looks for, so that none is caught by what is left of the one before."""

AFTER_NS = 500_000_000
"""An alarm raised this long after an attack's end still counts as its own: evidence takes time to gather."""


@dataclass(frozen=True, slots=True)
class Catch:
    """The first alarm that an attack raised."""

    check: str
    cause: str
    after_ms: float
    level: str


def demo(
    out: Path = typer.Option(Path("out/demo"), help="Folder for the two recordings and their reports."),
    seed: int = typer.Option(0, help="Of the world: another seed, another street."),
) -> None:
    """Simulate a drive, attack a copy of it, replay both, and show what was caught and how fast."""
    from rich.console import Console

    began = time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    for name in ("clean", "attacked"):
        shutil.rmtree(out / name, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".demo_", dir=out) as steps:
        outcomes, clean, attacked = _make(Path(steps), out, seed)
    console = Console()
    events = [json.loads(line) for line in (out / "attacked_report/events.jsonl").read_text().splitlines()]
    console.print(_table([(outcome, caught(events, outcome)) for outcome in outcomes]))
    raised = ", ".join(f"{check} {n}" for check, n in clean.alarms.items() if n) or "none"
    console.print(
        f"Clean drive: {clean.level.name}; alarms: {raised}. Attacked drive: {attacked.level.name}."
    )
    for name in ("clean", "attacked"):
        console.print(f"  {out / f'{name}_report' / 'report.html'}", soft_wrap=True, highlight=False)
    note = "A small simulated world, and a small network trained on it: it shows, it measures nothing."
    console.print(f"[dim]{note} {time.monotonic() - began:.0f} s.[/dim]")


def _make(steps: Path, out: Path, seed: int) -> tuple[list[Outcome], Summary, Summary]:
    """Write both recordings and replay them, the clean one while the other is being attacked."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from rich.console import Console
    from rich.progress import Progress

    from edgeguard.engine import open_engine
    from edgeguard.redteam.inject import attack_bag
    from edgeguard.sim.bag import write_bag
    from edgeguard.sim.scenes import build_scene

    console = Console(stderr=True)
    # Forking a process that has threads can deadlock; OpenCV has some.
    context = multiprocessing.get_context("spawn")
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    with bar, ProcessPoolExecutor(1, mp_context=context) as pool:
        tell = _teller(bar, bar.add_task("simulating a drive", total=None))
        bag = write_bag(out / "clean", build_scene(SCENE, seed), progress=tell)
        clean, outcomes = pool.submit(_replay, bag, out / "clean_report"), []
        for i, (kind, start) in enumerate(ATTACKS):
            tell = _teller(bar, bar.add_task(f"attack: {kind}", total=None))
            step = out / "attacked" if i == len(ATTACKS) - 1 else steps / f"{i}_{kind}"
            options: dict[str, Any] = {
                "start_s": start,
                "duration_s": DURATION_S,
                "seed": seed,
                "progress": tell,
            }
            outcomes.append(attack_bag(bag, step, kind, engine=lambda: open_engine(ENGINE), **options))
            bag = step
        bar.add_task("replaying", total=None)
        attacked = _replay(bag, out / "attacked_report")
        return outcomes, clean.result(), attacked


def _replay(bag: Path, out: Path) -> Summary:
    from edgeguard.replay import replay

    return replay(bag, out=out, engine=ENGINE)


def _teller(bar: Any, task: Any) -> Any:
    return lambda done, total: bar.update(task, completed=done, total=total)


def caught(events: Sequence[dict[str, Any]], outcome: Outcome) -> Catch | None:
    """Return the first alarm since an attack's onset that did not stand before it; None if there is none."""
    before: set[tuple[str, str]] = set()
    for event in events:
        raised = dict(_alarms(event))
        if event["stamp_ns"] < outcome.onset_ns:
            before = set(raised)
        elif event["stamp_ns"] <= outcome.end_ns + AFTER_NS:
            new = [alarm for subject, alarm in raised.items() if subject not in before]
            if new:
                first = new[0]
                after_ms = (event["stamp_ns"] - outcome.onset_ns) / 1e6
                return Catch(first["check"], first["cause"], after_ms, event["level"])
    return None


def _alarms(event: dict[str, Any]) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
    for alarm in event["alarms"]:
        yield (alarm["check"], f"{alarm['subject']['kind']} {alarm['subject']['id']}"), alarm


def _table(rows: Sequence[tuple[Outcome, Catch | None]]) -> Table:
    from rich.table import Table

    table = Table(title="What was caught, and how fast", title_justify="left")
    for column in ("attack", "fooled", "caught by", "cause", "after", "level"):
        table.add_column(column, justify="right" if column == "after" else "left")
    styles = {"FAIL_SAFE": "red", "CAUTION": "yellow", "NOMINAL": "green"}
    for outcome, catch in rows:
        fooled = "" if outcome.fooled is None else f"{outcome.fooled} of {outcome.frames}"
        if catch is None:
            table.add_row(outcome.kind, fooled, "[bold]not caught[/bold]", "", "", "")
        else:
            level = f"[{styles[catch.level]}]{catch.level}[/]"
            table.add_row(outcome.kind, fooled, catch.check, catch.cause, f"{catch.after_ms:.0f} ms", level)
    return table
