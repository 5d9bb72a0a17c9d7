"""`edgeguard engine …`: list engines, build their TensorRT plans, quantise and measure them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from edgeguard.errors import EdgeGuardError, EngineError

if TYPE_CHECKING:
    from edgeguard.engine.bench import Benchmark
    from edgeguard.types import Image

app = typer.Typer(help="Perception engines.", no_args_is_help=True)

ENGINE = typer.Argument(..., metavar="NAME", help="An engine's name, or a path to its engine.yaml or model.")

Advance = Callable[[str, int, int], None]


@app.command("list")
def list_engines() -> None:
    """List the engines that ship with EdgeGuard, and whether their weights are found."""
    from edgeguard.engine.spec import known_engines, load_spec
    from edgeguard.engine.weights import weights_path

    for name in known_engines():
        loaded = load_spec(name)
        typer.echo(f"{name}: {loaded.spec.description}; {loaded.spec.backend}; {loaded.spec.licence}")
        try:
            typer.echo(f"  {weights_path(loaded)}")
        except EngineError as e:
            typer.echo(f"  {e}")


@app.command()
def build(
    name: str = ENGINE,
    force: bool = typer.Option(False, "--force", help="Build even where a plan that matches is there."),
    time_limit: Optional[float] = typer.Option(  # noqa: UP045
        None, min=0, help="Give up after this many seconds; no plan is left."
    ),
) -> None:
    """Build an engine's TensorRT plan for this machine, or say that it is there."""
    from edgeguard.engine.backends.tensorrt.build import build as run

    with _progress(f"building {name}") as advance:
        built = run(name, force=force, time_limit_s=time_limit, on_progress=advance)
    seconds = built.manifest.get("seconds")
    typer.echo(f"{built.path} ({f'built in {seconds} s' if built.fresh else 'was there'})")
    asked = built.manifest["key"]["options"]["precision"]
    got = built.manifest.get("precision")
    layers = ", ".join(f"{n} {kind}" for kind, n in got.items()) if got else "unknown until a GPU opens it"
    typer.echo(f"precision: {asked} asked for; layers got: {layers}")


@app.command()
def quantize(
    name: str = ENGINE,
    bag: Path = typer.Option(
        ..., help="Recording with a camera: first two thirds calibrate, the rest judges."
    ),
    out: Optional[Path] = typer.Option(  # noqa: UP045
        None, help="Folder of the new engine; NAME_int8 in the working directory without."
    ),
    method: str = typer.Option("percentile", help="minmax, entropy or percentile."),
    frames: int = typer.Option(64, min=2, help="Most frames to calibrate on, and most to judge by."),
    max_loss: float = typer.Option(
        0.05, min=0, max=1, help="Greatest share of FP32's detections that INT8 may lose, at an IoU of 0.9."
    ),
    write_anyway: bool = typer.Option(False, "--write-anyway", help="Write the engine whatever it loses."),
) -> None:
    """Make an INT8 engine from a recording, and say what it costs on frames that were not used."""
    from edgeguard.engine.quantize import quantize as run
    from edgeguard.engine.spec import load_spec

    folder = out or Path(f"{load_spec(name).name}_int8")
    with _progress(f"quantising {name}") as advance:
        calibration, unused = _split(bag, frames, advance)
        cost, mixture = run(
            name,
            calibration,
            unused,
            folder,
            method=method,  # type: ignore[arg-type]
            max_loss=max_loss,
            write_anyway=write_anyway,
            on_progress=advance,
        )
    typer.echo(
        f"{folder}: on {cost.frames} frames that were not used, {cost.kept} of {cost.reference} of FP32's "
        f"detections kept at IoU {cost.iou} ({cost.kept_share:.1%}), {cost.added} new; boxes' IoU "
        f"{cost.mean_iou:.3f} (5th percentile {cost.worst_iou:.3f}); scores' shift {cost.score_shift:+.3f}"
    )
    left = f": {', '.join(mixture.left)}" if mixture.left else ""
    typer.echo(
        f"INT8: {len(mixture.int8)} layers, {mixture.share:.1%} of the multiply-accumulates; "
        f"{len(mixture.left)} left in floating point for what they lose{left}"
    )


@app.command()
def bench(
    name: str = ENGINE,
    bag: Optional[Path] = typer.Option(  # noqa: UP045
        None, help="Recording whose images are used; 1242 x 375 of noise without."
    ),
    frames: int = typer.Option(1000, min=1, help="Images to measure."),
    backend: Optional[str] = typer.Option(None, help="onnxruntime, opencv or tensorrt."),  # noqa: UP045
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Measure an engine: whole detection and each stage, against ONNX Runtime and the bare network."""
    import numpy as np

    from edgeguard.engine.bench import bench as run
    from edgeguard.types import Image

    with _progress(f"measuring {name}") as advance:
        if bag is None:
            noise = np.random.default_rng(0).integers(0, 256, (375, 1242, 3), np.uint8)
            images = [Image(0, "camera", noise)]
        else:
            images = _some(bag, 1.0, 32, advance)[0]
        measured = run(name, images, frames=frames, backend=backend, on_progress=advance)  # type: ignore[arg-type]
    if as_json:
        typer.echo(json.dumps(measured.as_dict(), indent=2))
    else:
        _tell(measured)


def _tell(b: Benchmark) -> None:
    versions = ", ".join(f"{library} {version}" for library, version in b.versions.items())
    typer.echo(f"{b.engine} on {b.backend}: {b.device}; {versions}")
    passes = f"{b.passes} passes of the network" if b.passes > 1 else "one pass of the network"
    typer.echo(f"{b.frames} images of {b.image[0]} x {b.image[1]}, {passes} each")
    if b.graph is not None:
        typer.echo(f"CUDA graph: {'yes' if b.graph is True else b.graph or 'no'}")
    typer.echo(f"{'ms':<12}{'p50':>9}{'p99':>9}{'p99.9':>9}{'max':>9}")
    for stage, t in {**b.stages, "detection": b.detection}.items():
        typer.echo(f"{stage:<12}{t.p50:>9.3f}{t.p99:>9.3f}{t.p999:>9.3f}{t.max:>9.3f}")
    typer.echo(f"{b.throughput_hz:.1f} detections a second")
    for other, ratio in b.ratios.items():
        typer.echo(f"{ratio:.3f} x {other}")


def _split(bag: Path, most: int, advance: Advance) -> tuple[list[Image], list[Image]]:
    """Frames for calibration from the first two thirds of a recording, frames to judge by from the rest."""
    return _some(bag, 2 / 3, most, advance)


def _some(bag: Path, share: float, most: int, advance: Advance) -> tuple[list[Image], list[Image]]:
    """At most `most` images spread over the first share of a recording, and as many over the rest."""
    from edgeguard.bags import BagReader
    from edgeguard.types import Channel
    from edgeguard.types import Image as CameraImage

    with BagReader(bag) as reader:
        total = sum(raw.channel is Channel.CAMERA for raw in reader.raw_messages())
    if not total:
        raise EdgeGuardError(f"{bag}: has no camera images. Name a recording that has.")
    cut = round(total * share)
    first, rest = _spread(range(cut), most), _spread(range(cut, total), most)
    images: dict[int, Image] = {}
    with BagReader(bag) as reader:
        camera = (raw for raw in reader.raw_messages() if raw.channel is Channel.CAMERA)
        for i, raw in enumerate(camera):
            if i in first or i in rest:
                advance("reading", len(images), len(first) + len(rest))
                value = reader.value(raw)
                assert isinstance(value, CameraImage)
                images[i] = value
    return [images[i] for i in first], [images[i] for i in rest]


def _spread(frames: Sequence[int], most: int) -> list[int]:
    step = max(1.0, len(frames) / most)
    return [frames[int(k * step)] for k in range(min(most, len(frames)))]


@contextmanager
def _progress(title: str) -> Iterator[Advance]:
    """A bar on stderr that shows one stage at a time."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=console,
        transient=True, disable=not console.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task(title, total=None)

        def advance(stage: str, done: int, of: int) -> None:
            bar.update(task, description=f"{title}: {stage}", completed=done, total=of or None)

        yield advance
