"""`edgeguard attack`: an attacked copy of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer

if TYPE_CHECKING:
    from edgeguard.redteam.inject import Outcome


def attack(
    bag: Path = typer.Argument(..., help="rosbag2 folder or file (sqlite3 or MCAP)."),
    out: Path = typer.Argument(..., help="Folder for the copy; it must not exist."),
    kind: str = typer.Option(
        ..., help="Which attack or benign condition; an unknown one is answered with the names of all."
    ),
    start: Optional[float] = typer.Option(  # noqa: UP045
        None, help="Onset, seconds since the start of the drive; after 40 % of it without."
    ),
    duration: Optional[float] = typer.Option(  # noqa: UP045
        None, help="Length of the attack, seconds; to the end of the drive without."
    ),
    engine: str = typer.Option(
        "yolox_nano",
        help="Engine that aims the attack and is to be fooled, by name or path; 'sim_detector' for simulated "
        "recordings.",
    ),
    seed: int = typer.Option(0, help="Of all that is random."),
) -> None:
    """Write an attacked copy of a recording: messages of one or two sensors change, all else is copied.

    What was done, where and when is on /edgeguard/attack in the copy. Exits with 2 on a user's error.
    """
    from rich.console import Console
    from rich.progress import Progress

    from edgeguard.engine import open_engine
    from edgeguard.redteam.inject import attack_bag

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"attack: {kind}", total=None)
        outcome = attack_bag(
            bag,
            out,
            kind,
            engine=lambda: open_engine(engine),
            start_s=start,
            duration_s=duration,
            seed=seed,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    _tell(outcome, out)


def _tell(outcome: Outcome, out: Path) -> None:
    head = f"{outcome.kind}: {outcome.frames} messages from stamp {outcome.onset_ns}"
    length = (outcome.end_ns - outcome.onset_ns) / 1e9
    effect = "" if outcome.fooled is None else f"; had its effect on {outcome.fooled} of them"
    typer.echo(f"{head} for {length:.2f} s{effect}. {out}")
    if outcome.stale_detections:
        typer.echo(
            f"edgeguard: {outcome.stale_detections} in the copy predates the attack and does not show it: "
            "replay it with --engine NAME",
            err=True,
        )
