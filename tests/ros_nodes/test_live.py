"""A recording through real nodes over DDS: the verdicts of the replay, and a stop when the monitor dies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.ros_nodes.live import Listener, Process

STREAMS = ["camera", "detections", "lidar"]
WAIT = ["/camera/image", "/camera/camera_info", "/camera/detections", "/lidar/points", "/tf_static"]


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Process, Process]]:
    from tests.ros_nodes.live import node

    with ExitStack() as stack:
        failsafe = stack.enter_context(
            node("failsafe_node", tmp_path, use_sim_time=True, latency_budget_ms=2000.0)
        )
        # Without a deadline: which checks a busy machine would skip is not part of the comparison.
        settings = {
            "use_sim_time": True,
            "inputs__expected": STREAMS,
            "deadline__latency_budget_ms": 10000.0,
        }
        monitor = stack.enter_context(node("monitor_node", tmp_path, **settings))
        yield monitor, failsafe


def summary_lines(messages: list) -> list[str]:
    """The JSON line of each verdict on an image."""
    from tests.ros_nodes.live import value, verdicts

    lines = [value(m, "json") for m in verdicts(messages)]
    return [line for line in lines if json.loads(line)["has_image"]]


def timeless(line: str) -> dict:
    """A verdict without what is measured against the clock: messages take some milliseconds to arrive."""
    verdict = json.loads(line)
    for alarm in verdict["alarms"]:
        alarm["measured"] = {k: v for k, v in alarm["measured"].items() if k not in ("age_s", "silent_s")}
    return verdict


def test_live_verdicts_equal_the_replay_and_the_fail_safe_follows(
    recording: Path, nodes: tuple[Process, Process], listener: Listener, tmp_path: Path
) -> None:
    from diagnostic_msgs.msg import DiagnosticArray
    from std_msgs.msg import Bool

    from edgeguard.replay import replay
    from ros_nodes.verdict_msg import STOP
    from tests.ros_nodes.live import player, value

    replay(recording, out=tmp_path / "offline", engine="none")
    offline = (tmp_path / "offline" / "events.jsonl").read_text().splitlines()
    verdicts = listener.listen(DiagnosticArray, "/verdict")
    told = listener.listen(DiagnosticArray, "/diagnostics")
    stops = listener.listen(Bool, "/fail_safe")
    listener.wait_for(lambda: stops and stops[0].data)
    listener.wait_for(lambda: listener.matched.get("/verdict"))
    listener.wait_for(lambda: told and value(told[-1], "monitors") == "1")
    # Slowed, so that a busy machine loses no frame: which of them are judged is part of the comparison.
    with player(recording, tmp_path, "--rate", "0.4", "--wait", *WAIT):
        listener.wait_for(lambda: len(summary_lines(verdicts)) == len(offline))
        listener.wait_for(lambda: stops[-1].data)
    for live, replayed in zip(summary_lines(verdicts), offline, strict=True):
        assert timeless(live) == timeless(replayed)
    said_first = [value(m, "json") for m in verdicts if m.status[0].name == STOP]
    whole = {json.loads(line)["stamp_ns"]: timeless(line) for line in summary_lines(verdicts)}
    first = timeless(next(line for line in said_first if json.loads(line)["has_image"]))
    assert first["alarms"] and all(a in whole[first["stamp_ns"]]["alarms"] for a in first["alarms"])
    levels = [json.loads(line)["level"] for line in offline]
    assert levels[-1] == "FAIL_SAFE"
    changes = [b.data for a, b in zip(stops, stops[1:], strict=False) if a.data != b.data]
    # A machine too busy to judge in time may stop the vehicle for that as well, and release it.
    assert changes[0] is False and changes[-1] is True


def test_a_killed_monitor_stops_the_vehicle(
    recording: Path, nodes: tuple[Process, Process], listener: Listener, tmp_path: Path
) -> None:
    from diagnostic_msgs.msg import DiagnosticArray
    from std_msgs.msg import Bool

    from tests.ros_nodes.live import player

    monitor, _ = nodes
    stops = listener.listen(Bool, "/fail_safe")
    told = listener.listen(DiagnosticArray, "/diagnostics")
    with player(recording, tmp_path, "--rate", "0.4", "--wait", *WAIT, "--hold", "2"):
        listener.wait_for(lambda: stops and not stops[-1].data)
        monitor.kill()
        stops.clear()
        listener.wait_for(lambda: stops and stops[-1].data)
        listener.wait_for(lambda: "silence" in told[-1].status[0].message)
