"""`edgeguard`: the commands under one name. Each command's libraries load only when it runs."""

from __future__ import annotations

import sys

import typer

from edgeguard import __version__
from edgeguard.cli import attack, bench, calibrate, coverage, demo, doctor, replay, tune
from edgeguard.errors import EdgeGuardError

app = typer.Typer(
    name="edgeguard",
    help="Watch the perception of a vehicle or robot: replay a recording, attack a copy of it, see the demo.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("replay")(replay.replay)
app.command("attack")(attack.attack)
app.command("bench")(bench.bench)
app.command("demo")(demo.demo)
app.command("calibrate")(calibrate.calibrate)
app.command("tune")(tune.tune)
app.command("coverage")(coverage.coverage)
app.command("doctor")(doctor.doctor)


@app.command(
    "engine",
    help="Perception engines: list what there is.",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []},
)
def _engine(context: typer.Context) -> None:
    from edgeguard.cli import engine

    engine.app(context.args, prog_name="edgeguard engine")


def _version(value: bool) -> None:
    if value:
        typer.echo(f"edgeguard {__version__}")
        raise typer.Exit()


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and leave."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line; a user's error is one message on stderr and exit code 2."""
    try:
        app()
    except EdgeGuardError as e:
        print(f"edgeguard: {e}", file=sys.stderr)
        sys.exit(replay.USER_ERROR)
    except BrokenPipeError:  # the reader of our output left, as `head` does
        sys.stderr.close()
        sys.exit(1)
