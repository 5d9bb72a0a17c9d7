"""ONNX to plan, in a process of its own: it can be stopped at any moment and takes its memory with it."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from edgeguard.engine.backends.tensorrt import plans
from edgeguard.engine.backends.tensorrt.api import Api, load_api
from edgeguard.engine.backends.tensorrt.device import describe_gpu
from edgeguard.engine.backends.tensorrt.network import add_profile, layer_precision, parse, typed_onnx
from edgeguard.engine.spec import LoadedSpec, load_spec
from edgeguard.engine.weights import weights_path
from edgeguard.errors import EdgeGuardError, EngineError

Progress = Callable[[str, int, int], None]

_GRACE_S = 20.0
"""How long a build that was asked to stop may take to save its timing cache before it is killed."""


@dataclass(frozen=True)
class Built:
    """What a build left on disk.

    Attributes:
        path: the plan; its manifest is beside it.
        fresh: whether it was built now, or found matching.
        manifest: what is known of it: key, seconds, precision of layers where it could be read.
    """

    path: Path
    fresh: bool
    manifest: dict[str, Any]


def build(
    name_or_path: str | Path,
    *,
    force: bool = False,
    time_limit_s: float | None = None,
    on_progress: Progress = lambda phase, done, of: None,
) -> Built:
    """Build an engine's plan, or return the one that matches.

    Args:
        force: build even where a matching plan is there.
        time_limit_s: give up after that long; nothing is left but measured kernel times.
        on_progress: called with a phase's name, its steps done and its steps.

    Raises:
        EngineError: no TensorRT or GPU, the network is refused, out of memory, or out of time.
    """
    loaded = load_spec(name_or_path)
    weights = weights_path(loaded)
    api = load_api(loaded.name)
    key = plans.plan_key(loaded, weights, api, gpu_of(api, loaded.name))
    path = plans.plan_path(loaded, key)
    manifest = plans.read_manifest(path)
    if not force and path.is_file() and not plans.mismatch(path.read_bytes(), manifest, key):
        return Built(path, False, manifest or {})
    _in_a_child(loaded, api, time_limit_s, on_progress)
    return Built(path, True, plans.read_manifest(path) or {})


def gpu_of(api: Api, engine: str) -> tuple[str, str]:
    """Return name and compute capability of the GPU that plans are for."""
    return ("any", "any") if api.builds_without_gpu else describe_gpu(engine)


def _in_a_child(loaded: LoadedSpec, api: Api, time_limit_s: float | None, on_progress: Progress) -> None:
    # A fork would inherit CUDA contexts that do not survive it.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(target=build_here, args=(there, str(loaded.path), time_limit_s), daemon=True)
    child.start()
    there.close()
    killed_at = None
    if time_limit_s is not None:
        killed_at = time.monotonic() + time_limit_s + (_GRACE_S if api.reports_progress else 0)
    try:
        _listen(here, loaded.name, killed_at, on_progress)
    finally:
        if sys.exc_info()[0] is not None:
            child.kill()
        child.join()
        here.close()


def _listen(here: Connection, engine: str, killed_at: float | None, on_progress: Progress) -> None:
    while True:
        if killed_at is not None and not here.poll(max(0.0, killed_at - time.monotonic())):
            raise _out_of_time(engine)
        try:
            kind, *content = here.recv()
        except EOFError:
            raise EngineError(
                engine,
                "the process that built it died; no plan was written",
                "Most often memory ran out: lower `tensorrt.workspace_mib`, or close what else uses it.",
            ) from None
        if kind == "progress":
            on_progress(*content)
        elif kind == "error":
            problem, _, remedy = str(content[0]).removeprefix(f"engine {engine}: ").rpartition(". ")
            raise EngineError(engine, problem, remedy)
        elif kind == "out of time":
            raise _out_of_time(engine)
        else:
            return


def _out_of_time(engine: str) -> EngineError:
    return EngineError(
        engine,
        "was not built within the time limit; no plan was written",
        "Allow more time, or lower `tensorrt.optimisation_level`.",
    )


def build_here(pipe: Connection, path: str, time_limit_s: float | None) -> None:
    """Build in this process and say through `pipe` how it goes; the entry of the child."""
    deadline = None if time_limit_s is None else time.monotonic() + time_limit_s
    late = threading.Event()

    def step(phase: str, done: int, of: int) -> bool:
        if deadline is not None and time.monotonic() > deadline:
            late.set()
        pipe.send(("progress", phase, done, of))
        return not late.is_set()

    try:
        _build(load_spec(path), step)
        pipe.send(("built",))
    except EdgeGuardError as e:
        pipe.send(("out of time",) if late.is_set() else ("error", str(e)))


def _build(loaded: LoadedSpec, step: Callable[[str, int, int], bool]) -> None:
    api = load_api(loaded.name)
    weights = weights_path(loaded)
    key = plans.plan_key(loaded, weights, api, gpu_of(api, loaded.name))
    started = time.monotonic()
    log = api.logger()
    try:
        builder = api.trt.Builder(log)
    except TypeError as e:
        # pybind's way of saying that the library gave none.
        raise _refused(loaded.name, log.lines) from e
    network = api.create_network(builder)
    parse(api, network, log, loaded, typed_onnx(api, loaded, weights, step))
    config = builder.create_builder_config()
    api.configure(config, loaded.spec.tensorrt, loaded.name)
    add_profile(builder, config, network, loaded)
    timing = plans.timing_cache_path(key)
    cache = config.create_timing_cache(timing.read_bytes() if timing.is_file() else b"")
    config.set_timing_cache(cache, False)
    if api.reports_progress:
        monitor = api.progress_monitor(step)
        config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    plans.write_atomically(timing, bytes(config.get_timing_cache().serialize()))
    if plan is None:
        raise _refused(loaded.name, log.lines)
    data = bytes(plan)
    precision = layer_precision(api, log, data)
    facts = {"seconds": round(time.monotonic() - started, 1), "precision": precision}
    plans.store_plan(plans.plan_path(loaded, key), data, key, facts)


def _refused(engine: str, lines: list[str]) -> EngineError:
    said = "; ".join(lines) or "it says nothing"
    if "memory" in said.lower():
        remedy = "Memory ran out: lower `tensorrt.workspace_mib`, or close what else uses the GPU."
    else:
        remedy = "Check `tensorrt` in engine.yaml against the GPU."
    return EngineError(engine, f"TensorRT cannot build it: {said}", remedy)
