"""`edgeguard coverage`: which attacks the fitted sensors let which checks see."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import typer

from edgeguard.errors import ParameterError


def coverage(
    params: Optional[Path] = typer.Option(  # noqa: UP045
        None, help="ROS 2 parameter file; `inputs.expected` of monitor_node names the sensors fitted."
    ),
    markdown: bool = typer.Option(
        False, "--markdown", help="Print docs/coverage.md, for several sensor sets."
    ),
) -> None:
    """Print which checks can see which attacks with the sensors fitted, and what nothing sees."""
    from edgeguard.calibrate import coverage as matrix
    from edgeguard.checks import CheckSettings, make_checks

    if markdown:
        typer.echo(matrix.markdown(make_checks(CheckSettings())), nl=False)
        return
    from rich.console import Console
    from rich.table import Table

    from edgeguard.config import read_parameters, validate
    from edgeguard.types import Channel

    told = read_parameters(params, "monitor_node") if params else {}
    names = told.get("inputs", {}).get("expected", [c.value for c in Channel])
    unknown = [n for n in names if n not in [c.value for c in Channel]]
    if unknown:
        known = ", ".join(c.value for c in Channel)
        raise ParameterError(params or "inputs", [f"inputs.expected: unknown {unknown}; known: {known}"])
    fitted = frozenset(Channel(n) for n in names)
    checks = make_checks(validate(CheckSettings, told.get("checks", {}), params or "defaults"))
    table = Table(title=f"fitted: {', '.join(sorted(c.value for c in fitted))}", title_justify="left")
    table.add_column("attack")
    table.add_column("what it does")
    table.add_column("seen by")
    rows = matrix.rows(checks, fitted)
    for row in rows:
        table.add_row(row.threat.name, row.threat.what, ", ".join(row.checks) or "[bold red]nothing[/]")
    Console().print(table)
    typer.echo(f"Nothing here sees: {matrix.blind_spots(rows)}.")
