"""`edgeguard engine …`: the engines that there are."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from edgeguard.engine.spec import known_engines, load_spec
from edgeguard.engine.weights import weights_path
from edgeguard.errors import EngineError

app = typer.Typer(help="Perception engines.", no_args_is_help=True)


@app.callback()
def _engine() -> None:
    """Perception engines."""


@app.command("list")
def list_engines() -> None:
    """List the engines that ship with EdgeGuard, and whether their weights are found."""
    table = Table("name", "what", "backend", "licence", "weights")
    for name in known_engines():
        loaded = load_spec(name)
        try:
            weights = str(weights_path(loaded))
        except EngineError as e:
            weights = f"[yellow]{e}[/]"
        table.add_row(name, loaded.spec.description, loaded.spec.backend, loaded.spec.licence, weights)
    Console().print(table)
