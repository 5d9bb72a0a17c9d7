"""How fast the monitor is on this machine, as JSON: per stage on one core, and whole replays.

    python tools/bench.py [--data ../shared/data] [--passes 3]

`monitor`: `Monitor.step` on kitti_a, fed with detections that were made before, on one core; wall and CPU
time (they differ where other work holds the core), peak memory. `replay`: each kitti_tracking bag with
`edgeguard replay`, process start and report included.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgeguard.assembler import FrameAssembler
from edgeguard.bags import BagReader
from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.types import Channel, Detections, Frame, Image

ENGINE = "yolox_nano"


def machine() -> dict[str, Any]:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cpu": model or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "python_loop_ms": round(min(_python_loop() for _ in range(5)), 2),
    }


def _python_loop() -> float:
    """CPU time of fixed work, which tells a busy or slow machine from slow code."""
    began = time.process_time_ns()
    sum(i * i for i in range(200_000))
    return (time.process_time_ns() - began) / 1e6


def detect(bag: Path) -> dict[int, Detections]:
    """Detections by stamp; runs in a process of its own, so that no engine counts as the monitor's memory."""
    from edgeguard.engine import open_engine

    engine = open_engine(ENGINE)
    try:
        with BagReader(bag) as reader:
            images = (m.value for m in reader.messages() if isinstance(m.value, Image))
            return {image.stamp_ns: engine.detect(image) for image in images}
    finally:
        engine.close()


def frames(bag: Path, detections: dict[int, Detections]) -> Iterator[Frame]:
    with BagReader(bag) as reader:
        streams = {c for c in Channel if c in reader.topics} | {Channel.DETECTIONS}
        assembler = FrameAssembler(expected=frozenset(streams))
        now_ns = 0
        for item in reader.messages():
            now_ns = item.log_ns
            assembler.add(item.channel, item.value, now_ns)
            if isinstance(item.value, Image):
                assembler.add(Channel.DETECTIONS, detections[item.value.stamp_ns], now_ns)
            yield from assembler.poll(now_ns)
        yield from assembler.flush(now_ns)


def monitor(bag: Path, passes: int) -> dict[str, Any]:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        detections = pool.submit(detect, bag).result()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    cv2.setNumThreads(1)  # as the monitor's node does
    stages: defaultdict[str, list[float]] = defaultdict(list)
    cpu: list[float] = []
    points: list[int] = []
    for _ in range(passes):
        watch = Monitor(MonitorSettings())
        for frame in frames(bag, detections):
            began = time.thread_time_ns()
            verdict = watch.step(frame)
            cpu.append((time.thread_time_ns() - began) / 1e6)
            points += [] if frame.points is None else [len(frame.points)]
            for stage, ms in verdict.stage_ms.items():
                stages[stage].append(ms)
    return {
        "bag": bag.name,
        "steps": len(cpu),
        "points_per_sweep": int(np.median(points)) if points else 0,
        "checks": len(watch.check_names),
        "wall_ms": {stage: percentiles(ms) for stage, ms in stages.items()},
        "cpu_ms": percentiles(cpu),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
    }


def percentiles(ms: list[float]) -> dict[str, float]:
    p50, p99, top = np.percentile(ms, [50, 99, 100])
    return {"p50": round(float(p50), 3), "p99": round(float(p99), 3), "max": round(float(top), 3)}


def replay(bags: list[Path]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for bag in bags:
        with tempfile.TemporaryDirectory() as out:
            began = time.perf_counter()
            command = [str(Path(sys.executable).with_name("edgeguard")), "replay", str(bag), "--out", out]
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            _, status, used = os.wait4(child.pid, 0)
            wall_s = time.perf_counter() - began
            child.returncode = os.waitstatus_to_exitcode(status)
            summary = json.loads((Path(out) / "summary.json").read_text(encoding="utf-8"))
        found[bag.name] = {
            "exit": child.returncode,
            "frames": summary["frames"],
            "duration_s": summary["duration_s"],
            "realtime_factor": summary["realtime_factor"],
            "command_wall_s": round(wall_s, 3),
            "command_cpu_s": round(used.ru_utime + used.ru_stime, 3),
            "peak_memory_mb": round(used.ru_maxrss / 1024, 1),
        }
    total = {
        k: round(sum(r[k] for r in found.values()), 3)
        for k in ("duration_s", "command_wall_s", "command_cpu_s")
    }
    return {
        "bags": found,
        "total": total | {"realtime_factor": round(total["duration_s"] / total["command_wall_s"], 2)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    root = Path(os.environ.get("EDGEGUARD_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    parser.add_argument("--data", type=Path, default=root / "data", help="folder of the recordings")
    parser.add_argument("--passes", type=int, default=3, help="times that kitti_a is stepped through")
    options = parser.parse_args()
    os.environ.setdefault("EDGEGUARD_MODELS", str(root / "models"))
    bag, tracking = options.data / "kitti_a", options.data / "kitti_tracking"
    if not bag.exists() or not tracking.exists():
        sys.exit(f"{options.data}: has no kitti_a and kitti_tracking. Name their folder with --data")
    result: dict[str, Any] = {"machine": machine()}
    result["replay"] = replay(sorted(p for p in tracking.iterdir() if p.name.startswith("kitti_")))
    result["monitor"] = monitor(bag, options.passes)
    json.dump(result, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
