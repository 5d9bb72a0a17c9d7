"""A stop leaves a recording that replays to the same alarm; memory and disk are bounded."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest


def kept(log_ns: int, topic: str = "/points", size: int = 10):
    from ros_nodes.recorder_node import Kept

    return Kept(log_ns, topic, "sensor_msgs/msg/PointCloud2", bytes(size))


def test_the_ring_is_bounded_in_time_and_memory_and_keeps_what_lasts() -> None:
    from ros_nodes.recorder_node import Ring

    ring = Ring()
    ring.add(kept(0, "/tf_static"), lasting=True)
    for i in range(1, 11):
        ring.add(kept(i), lasting=False)
    ring.trim(6, 10**6)
    assert [(m.topic, m.log_ns) for m in ring.snapshot()][:2] == [("/tf_static", 6), ("/points", 6)]
    ring.trim(0, 25)
    assert [m.log_ns for m in ring.snapshot()] == [9, 9, 10]


def test_the_oldest_recordings_make_room(tmp_path: Path) -> None:
    from ros_nodes.recorder_node import make_room

    for i in range(3):
        (tmp_path / f"alarm_{i}").mkdir()
        (tmp_path / f"alarm_{i}" / "data").write_bytes(bytes(100))
    (tmp_path / "mine").write_bytes(bytes(1000))
    make_room(tmp_path, 250)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["alarm_1", "alarm_2", "mine"]


def test_a_disk_that_takes_nothing_leaves_nothing_behind(tmp_path: Path) -> None:
    from edgeguard.errors import EdgeGuardError
    from ros_nodes.recorder_node import write

    (tmp_path / "folder").write_text("a file where the folder should be")
    with pytest.raises((EdgeGuardError, OSError)):
        write(tmp_path / "folder" / "alarm_1", [kept(1)])
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


@pytest.fixture(scope="module")
def recorded(street: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Any, Path]]:
    """A vehicle that drives, its recorder, and where that records."""
    from tests.ros_nodes.drive import Drive
    from tests.ros_nodes.live import node

    logs = tmp_path_factory.mktemp("recorded")
    with ExitStack() as stack:
        settings = {"folder": logs / "alarms", "after_s": 0.5, "min_gap_s": 0.0}
        recorder = stack.enter_context(node("recorder_node", logs, **settings))
        drive = Drive(street, logs, stack)
        # A recorder that has not been found yet hears no stop.
        topics = "/camera/image", "/lidar/points", "/verdict"
        drive.listener.wait_for(lambda: all(drive.listener.count_subscribers(t) >= 2 for t in topics))
        yield drive, recorder, logs / "alarms"


def stops_until(drive: Any, condition: Callable[[], object], *, after: int = 10) -> None:
    """Freeze the camera after some frames, again where the first time had been too early for the recorder."""
    for _ in range(5):
        drive.runs()
        drive.judged(after)
        drive.tell("camera freeze")
        drive.trips("frozen")
        with suppress(AssertionError):
            drive.listener.wait_for(condition, 8.0)
            return
    raise AssertionError("no stop was heard")


def test_on_a_full_disk_nothing_is_left_behind_and_the_next_stop_is_recorded(recorded) -> None:
    from tests.ros_nodes.live import refuses_nonsense

    drive, recorder, alarms = recorded
    # No file may grow past this any more: what a quota does, and a full disk, to the process that writes.
    resource.prlimit(recorder.popen.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
    stops_until(drive, lambda: "alarm not recorded" in recorder.output)
    assert not alarms.exists() or list(alarms.iterdir()) == []
    resource.prlimit(recorder.popen.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
    refuses_nonsense(drive.listener, "recorder_node")
    drive.runs()


def recorded_verdicts(recording: Path) -> dict[int, str]:
    """The line of each recorded verdict on an image, by its stamp."""
    from edgeguard.bags import BagReader

    lines = []
    with BagReader(recording) as reader:
        for raw in reader.raw_messages():
            if raw.connection.topic == "/verdict":
                lines += [v.value for v in reader.decode(raw).status[0].values if v.key == "json"]
    return {json.loads(line)["stamp_ns"]: line for line in lines if json.loads(line)["has_image"]}


def taken_up_at(recording: Path) -> int:
    """The stamp of the frame from which on a replay goes on as the vehicle did."""
    from edgeguard.bags import BagReader
    from edgeguard.bags.snapshots import first_snapshot
    from edgeguard.monitor import Monitor
    from edgeguard.replay import ReplaySettings

    with BagReader(recording) as reader:
        return first_snapshot(reader, Monitor(ReplaySettings().monitor)).stamp_ns


def test_a_stop_leaves_a_recording_that_replays_to_the_same_verdicts(recorded, tmp_path: Path) -> None:
    from edgeguard.replay import replay
    from ros_nodes.monitor_node import SNAPSHOT_EVERY

    drive, recorder, alarms = recorded
    drive.tell("rate 8")  # Slowed, so that a busy machine loses no frame on its way to either.
    told = recorder.output.count("alarm recorded")
    stops_until(drive, lambda: recorder.output.count("alarm recorded") > told, after=SNAPSHOT_EVERY + 2)
    recording = sorted(alarms.iterdir())[-1]
    replay(recording, out=tmp_path / "out", engine="none")
    events = [json.loads(line) for line in (tmp_path / "out" / "events.jsonl").read_text().splitlines()]
    reasons = [a["reason"] for e in events if e["level"] == "FAIL_SAFE" for a in e["alarms"]]
    assert any("frozen" in reason for reason in reasons)
    live, begin = recorded_verdicts(recording), taken_up_at(recording)
    replayed = {e["stamp_ns"]: e for e in events}
    judged = [stamp for stamp in live if stamp > begin]
    assert len(judged) >= 5
    # All of them, where recorder and monitor got the same; a busy machine loses a message to one of the two.
    # That nothing else differs is tests/test_snapshot.py's to show.
    assert sum(replayed.get(s) == json.loads(live[s]) for s in judged) > len(judged) / 2
