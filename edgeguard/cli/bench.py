"""`edgeguard bench`: attacks and honest stress on drives, and what the monitor made of them."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path

import typer

from edgeguard.cli.cores import available_cores

RESULTS, TABLES, PAGE = "results.json", "results.md", "report.html"
SHARED_BAG = Path("data/kitti_a")


def bench(
    quick: bool = typer.Option(
        False, "--quick", help="Two drives instead of all: under 5 minutes on two cores."
    ),
    seeds: int = typer.Option(
        2, min=1, max=2, help="Drives through each scene. A run with 2 goes on from one with 1."
    ),
    out: Path = typer.Option(
        Path("out/bench"), help="Folder for results and what they are made of; a stopped run goes on there."
    ),
    jobs: int = typer.Option(0, min=0, help="Processes; 0 takes as many as there are cores."),
    bag: list[Path] = typer.Option(
        [], help="A recording to attack beside the simulated drives. May be repeated."
    ),
    engine: str = typer.Option(
        "yolox_nano", help="Engine that detects on those recordings, by name or path."
    ),
) -> None:
    """Measure what is caught: every attack on every drive, clean drives, benign stress.

    Writes results.json, results.md and report.html. An attack counts only if it fooled the engine for half a
    second, and a detection only on those. Seeds are fixed: the same code gives the same numbers. Exits with 2
    on a user's error.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from edgeguard.bench import document, matrix, page, runner
    from edgeguard.report import require_libraries

    require_libraries()
    began = time.monotonic()
    drives = [matrix.real(path, engine) for path in (*bag, *([] if quick or bag else _shared()))]
    cells = matrix.cells(quick=quick, seeds=seeds, bags=drives)
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task("bench", total=len(cells))

        def tell(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, description=name or "bench")
            if not console.is_terminal and name:
                console.print(f"{done}/{total} {name}", highlight=False)

        results = runner.run(cells, out, jobs=jobs or available_cores(), progress=tell)
    told = document.build(
        results,
        code=runner.fingerprint(),
        command=shlex.join(["edgeguard", *sys.argv[1:]]),
        wall_s=time.monotonic() - began,
    )
    page.write(out / PAGE, told)
    for name, text in ((RESULTS, document.dump(told)), (TABLES, document.markdown(told))):
        new = out / f".{name}.new"
        new.write_text(text, encoding="utf-8")
        new.replace(out / name)
    total = told["all_attacks"]
    alarms = next(row["alarms"] for row in told["benign"] if row["condition"] == "clean")
    typer.echo(
        f"{total['detected']} of {total['fooled']} successful attacks detected ({total['tried']} tried), "
        f"{total['in_time']} within 0.5 s; {alarms} alarms on clean drives"
    )
    typer.echo(out / PAGE)


def _shared() -> list[Path]:
    """The recording that `EDGEGUARD_SHARED` offers."""
    root = os.environ.get("EDGEGUARD_SHARED")
    path = Path(root) / SHARED_BAG if root else None
    return [path] if path is not None and path.exists() else []
