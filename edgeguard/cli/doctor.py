"""`edgeguard doctor`: whether this machine can run the live nodes, measured, and what to do where not."""

from __future__ import annotations

import importlib.util
import os
import resource
from collections.abc import Mapping
from pathlib import Path

import typer

from edgeguard.cli.transport import Arrivals
from edgeguard.errors import EdgeGuardError

LATE_MS = 20.0
"""Latency above which a transport eats up too much of a budget of 200 ms."""

NEEDS_ATTENTION = 3


def doctor(
    frames: int = typer.Option(50, min=1, help="Images and sweeps to send, at 10 Hz."),
) -> None:
    """Send images and sweeps between two processes; count losses and latency, and name the remedy."""
    if importlib.util.find_spec("rclpy") is None:
        raise EdgeGuardError("ROS 2 is not here: source it, or pip install 'edgeguard[ros]' (x86-64 wheels)")
    from rclpy.utilities import get_rmw_implementation_identifier
    from rich.console import Console
    from rich.table import Table

    from edgeguard.cli.transport import measure

    rmw = get_rmw_implementation_identifier()
    console = Console()
    with console.status(f"sending {frames} images and sweeps over {rmw}…"):
        found = measure(frames)
    table = Table("", "sent", "arrived", "latency p50, ms", "p99, ms", title=f"Transport: {rmw}")
    for kind, a in found.items():
        spread = f"{a.percentile(0.5):.1f}", f"{a.percentile(0.99):.1f}"
        table.add_row(kind, str(a.sent), str(len(a.latency_ms)), *spread)
    console.print(table)
    remedies = [*transport_remedies(rmw, os.environ, found), *system_remedies()]
    for remedy in remedies:
        console.print(f"- {remedy}", soft_wrap=True, highlight=False)
    if remedies:
        raise typer.Exit(NEEDS_ATTENTION)
    console.print("Nothing to mend.")


def transport_remedies(rmw: str, environ: Mapping[str, str], found: Mapping[str, Arrivals]) -> list[str]:
    """Return what to do about lost or late messages, in words; nothing where there are none."""
    lost = {kind: a.lost for kind, a in found.items() if a.lost}
    late = [kind for kind, a in found.items() if a.percentile(0.5) > LATE_MS]
    if not lost and not late:
        return []
    told = ", ".join(f"{n} {kind}s lost" for kind, n in lost.items()) or f"{' and '.join(late)}s come late"
    if not rmw.startswith("rmw_fastrtps"):
        return [f"{told}: {_OTHER}"]
    old = environ.get("ROS_DISTRO") in ("humble", "iron")
    name = "FASTRTPS_DEFAULT_PROFILES_FILE" if old else "FASTDDS_DEFAULT_PROFILES_FILE"
    if environ.get(name) or environ.get("FASTDDS_BUILTIN_TRANSPORTS"):
        return [f"{told}, although a profile is set: is the machine busy, or /dev/shm full?"]
    return [f"{told}: in every process that sends or receives them, export {name}={_profile()}"]


def system_remedies() -> list[str]:
    """Return what the system does not grant the fail-safe's process."""
    remedies = []
    if os.geteuid() != 0:
        if resource.getrlimit(resource.RLIMIT_RTPRIO)[1] == 0:
            remedies.append("no real-time priority: add `@you - rtprio 30` to /etc/security/limits.conf")
        if resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] != resource.RLIM_INFINITY:
            remedies.append("memory cannot be locked: add `@you - memlock unlimited` to limits.conf")
    for package in ("vision_msgs", "tf2_msgs", "diagnostic_msgs"):
        if importlib.util.find_spec(package) is None:
            remedies.append(f"{package} is missing: apt install ros-$ROS_DISTRO-{package.replace('_', '-')}")
    return remedies


def _profile() -> Path:
    for root in (Path(__file__).resolve().parents[2], *_prefixes()):
        if (path := root / "config" / "fastdds_large_data.xml").is_file():
            return path
    return Path("config/fastdds_large_data.xml")


def _prefixes() -> list[Path]:
    listed = os.environ.get("AMENT_PREFIX_PATH", "").split(":")
    return [Path(p) / "share" / "edgeguard" for p in listed if p]


_OTHER = (
    "with Cyclone DDS, raise the receive buffer: sysctl -w net.core.rmem_max=2147483647 "
    "net.ipv4.ipfrag_high_thresh=134217728, and <Internal><SocketReceiveBufferSize min='10MB'/></Internal> "
    "in CYCLONEDDS_URI"
)
