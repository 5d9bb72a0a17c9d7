"""A recording through the real monitor and fail-safe: what is written, when, and what is not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeguard import replay as replay_module
from edgeguard.bags import BagReader, BagWriter
from edgeguard.errors import EdgeGuardError, EngineError, ParameterError
from edgeguard.replay import ReplaySettings, replay
from edgeguard.sim.bag import write_bag
from edgeguard.sim.scenes import build_scene
from edgeguard.types import Detections, Image
from edgeguard.verdict import SCHEMA, Level
from tests.sim.stand_in import SimDetector

FILES = {"events.jsonl", "coverage.jsonl", "summary.json", "report.html"}
SECOND = 10**9


@pytest.fixture(scope="session")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two simulated seconds with images, sweeps, odometry and calibration, without detections."""
    scene = dataclasses.replace(build_scene("car_following"), duration_s=2.0)
    return write_bag(tmp_path_factory.mktemp("bags") / "street", scene)


def copy(bag: Path, out: Path, keep: Any = lambda topic, t: True, shift_ns: int = 0) -> Path:
    """Copy the messages that `keep(topic, seconds since the start)` wants, with shifted log times."""
    with BagReader(bag) as reader, BagWriter(out) as writer:
        raw = list(reader.raw_messages())
        start = min(r.log_ns for r in raw)
        for r in raw:
            if keep(r.connection.topic, (r.log_ns - start) / SECOND):
                writer.copy(r.connection, r.log_ns + shift_ns, r.data)
    return out


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_verdict_for_every_frame_and_all_files(bag: Path, tmp_path: Path) -> None:
    summary = replay(bag, out=tmp_path / "out", engine=SimDetector())
    assert {p.name for p in (tmp_path / "out").iterdir()} == FILES
    events = lines(tmp_path / "out" / "events.jsonl")
    with BagReader(bag) as reader:
        stamps = [i.value.stamp_ns for i in reader.messages() if isinstance(i.value, Image)]
    assert [e["stamp_ns"] for e in events] == stamps
    assert all(e["schema"] == "edgeguard/verdict/1" and e["level"] in Level.__members__ for e in events)
    beside = lines(tmp_path / "out" / "coverage.jsonl")
    assert [b["stamp_ns"] for b in beside] == stamps
    assert all(b["coverage"] and b["stage_ms"] for b in beside)
    told = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert told["frames"] == summary.frames == len(stamps)
    assert sum(told["levels"].values()) == len(stamps)
    assert told["duration_s"] == pytest.approx(2.0, abs=0.2)
    assert told["realtime_factor"] == pytest.approx(told["duration_s"] / told["wall_s"], rel=0.01)
    assert {"read", "engine", "monitor"} <= set(told["stage_ms"])
    assert told["engine"] == "sim_detector"


def test_two_replays_are_byte_identical(bag: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        replay(bag, out=tmp_path / name, engine=SimDetector())
    assert (tmp_path / "a/events.jsonl").read_bytes() == (tmp_path / "b/events.jsonl").read_bytes()


def test_every_frame_gets_its_partners(bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = []

    class Spy(replay_module.Monitor):
        def step(self, frame: Any, **kwargs: Any) -> Any:
            frames.append(frame)
            return super().step(frame, **kwargs)

    monkeypatch.setattr(replay_module, "Monitor", Spy)
    replay(bag, out=tmp_path / "out", engine=SimDetector())
    assert all(f.image and f.detections and f.points and f.ego and f.rig for f in frames)
    assert len({id(f.rig) for f in frames}) == 1


def test_what_a_recorded_live_run_skipped_is_skipped_again(bag: Path, tmp_path: Path) -> None:
    replay(bag, out=tmp_path / "all", engine="none")
    plain = lines(tmp_path / "all" / "coverage.jsonl")
    late = plain[4]["stamp_ns"]

    def verdict(store: Any, stamp_ns: int, **coverage: dict[str, int]) -> Any:
        t = store.types
        texts = {
            "json": json.dumps({"schema": SCHEMA, "stamp_ns": stamp_ns, "has_image": True}),
            "coverage": json.dumps({"coverage": coverage}),
        }
        status = t["diagnostic_msgs/msg/DiagnosticStatus"](
            level=0, name="edgeguard: verdict", message="", hardware_id="/monitor_node",
            values=[t["diagnostic_msgs/msg/KeyValue"](key=k, value=v) for k, v in texts.items()],
        )  # fmt: skip
        stamp = t["builtin_interfaces/msg/Time"](*divmod(stamp_ns, 10**9))
        header = t["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)
        return t["diagnostic_msgs/msg/DiagnosticArray"](header=header, status=[status])

    with BagReader(bag) as reader, BagWriter(tmp_path / "live") as writer:
        frame_id = next(i.value.frame_id for i in reader.messages() if isinstance(i.value, Image))
        for raw in reader.raw_messages():
            writer.copy(raw.connection, raw.log_ns, raw.data)
        told = verdict(writer.store, late, lidar_support={"skipped": 1}, flow={"skipped": 0})
        writer.write("/verdict", "diagnostic_msgs/msg/DiagnosticArray", raw.log_ns, told)
    replay(tmp_path / "live", out=tmp_path / "same", engine="none")
    again = lines(tmp_path / "same" / "coverage.jsonl")
    skipped = [[n for n, c in v["coverage"].items() if c["skipped"]] for v in again]
    assert skipped[4] == ["lidar_support"] and not any(skipped[:4] + skipped[5:])


def test_a_camera_that_goes_silent_is_named_and_stops_the_drive(bag: Path, tmp_path: Path) -> None:
    gap = copy(bag, tmp_path / "gap", lambda topic, t: "image" not in topic or not 1.0 < t < 1.7)
    summary = replay(gap, out=tmp_path / "out", engine=SimDetector())
    assert summary.ticks >= 3
    assert summary.reached_fail_safe
    silent = [e for e in lines(tmp_path / "out/events.jsonl") if not e["has_image"]]
    assert len(silent) == summary.ticks
    assert {(a["check"], a["cause"]) for e in silent for a in e["alarms"]} == {("stream_integrity", "camera")}
    (trip,) = [t for t in summary.transitions if t["to"] == "FAIL_SAFE"]
    first_lost = 10 * SECOND // 10 + int(summary.transitions[0]["stamp_ns"])  # a second after the start
    assert 0 < int(trip["stamp_ns"]) - first_lost < 0.4 * SECOND


def test_log_times_of_another_clock_are_taken_back_once(bag: Path, tmp_path: Path) -> None:
    anew = copy(bag, tmp_path / "anew", shift_ns=1000 * SECOND)
    there = replay(anew, out=tmp_path / "a", engine=SimDetector())
    here = replay(bag, out=tmp_path / "b", engine=SimDetector())
    assert here.source.clock_offset_s == 0
    assert there.source.clock_offset_s == pytest.approx(1000, abs=1)
    assert there.level == here.level and there.levels == here.levels


def test_detections_alone_are_judged_too(shared: Path, tmp_path: Path) -> None:
    summary = replay(shared / "data/kitti_tracking/kitti_0000", out=tmp_path / "out")
    assert summary.frames == 154 and summary.ticks == 0
    assert summary.source.engine is None


def test_the_recorded_detections_give_way_to_a_named_engine(tmp_path: Path) -> None:
    class Blind(SimDetector):
        name = "blind"

        def detect(self, image: Image) -> Detections:
            return Detections.empty(image.stamp_ns, self.class_names)

    scene = dataclasses.replace(build_scene("car_following"), duration_s=0.5)
    recorded = write_bag(tmp_path / "recorded", scene, detector=SimDetector())
    topics = {"detections": "/camera/detections"}
    own = replay(recorded, out=tmp_path / "own", topics=topics)
    assert own.source.engine is None
    assert "engine" not in own.stage_ms
    blind = replay(recorded, out=tmp_path / "blind", engine=Blind(), topics=topics)
    assert blind.source.engine == "blind"
    subjects = {name: sum(c.values()) for name, c in blind.coverage.items()}
    assert subjects["lidar_support"] < sum(own.coverage["lidar_support"].values())


def test_no_engine_when_told_so(bag: Path, tmp_path: Path) -> None:
    summary = replay(bag, out=tmp_path / "out", engine="none")
    assert summary.frames == 20 and summary.source.engine is None


def test_an_engine_that_cannot_be_had_is_the_users_error_and_writes_nothing(
    bag: Path, tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match="no_such_engine"):
        replay(bag, out=tmp_path / "out", engine="no_such_engine")
    assert not (tmp_path / "out").exists()


def test_an_engine_without_images_is_refused(shared: Path, tmp_path: Path) -> None:
    with pytest.raises(EdgeGuardError, match="no images"):
        replay(shared / "data/kitti_tracking/kitti_0000", out=tmp_path / "out", engine="yolox_nano")


def test_a_replay_that_fails_leaves_the_earlier_results_and_other_files(bag: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    replay(bag, out=out, engine=SimDetector())
    (out / "notes.txt").write_text("mine")
    before = {p.name: p.read_bytes() for p in out.iterdir()}

    class Fails(SimDetector):
        def detect(self, image: Image) -> Detections:
            raise EngineError("fails", "broke in the middle", "Mend it.")

    with pytest.raises(EngineError):
        replay(bag, out=out, engine=Fails())
    assert {p.name: p.read_bytes() for p in out.iterdir()} == before
    replay(bag, out=out, engine="none")
    assert (out / "notes.txt").read_text() == "mine"
    assert json.loads((out / "summary.json").read_text())["engine"] is None
    assert {p.name for p in out.iterdir()} == FILES | {"notes.txt"}


@pytest.mark.parametrize("what", ["file", "bag"])
def test_a_folder_that_cannot_take_results_is_named(bag: Path, tmp_path: Path, what: str) -> None:
    (tmp_path / "file").write_text("mine")
    out = bag if what == "bag" else tmp_path / "file"
    with pytest.raises(EdgeGuardError, match="--out"):
        replay(bag, out=out, engine="none")
    assert (tmp_path / "file").read_text() == "mine"


def test_partial_tells_what_was_lost(bag: Path, tmp_path: Path) -> None:
    whole = copy(bag, tmp_path / "cut")
    (storage,) = whole.glob("*.mcap")
    data = storage.read_bytes()
    storage.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(EdgeGuardError, match="--partial"):
        replay(whole, out=tmp_path / "out", engine="none")
    assert not (tmp_path / "out").exists()
    summary = replay(whole, out=tmp_path / "out", engine="none", partial=True)
    assert 0 < summary.frames < 20
    assert summary.source.lost
    assert json.loads((tmp_path / "out/summary.json").read_text())["lost"] == list(summary.source.lost)


def test_progress_reaches_the_end(bag: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    replay(bag, out=tmp_path / "out", engine="none", on_progress=lambda *n: seen.append(n))
    done, total = zip(*seen)
    assert list(done) == sorted(done)
    assert all(d <= t for d, t in seen)
    assert np.ptp(total) == 0 and total[0] - done[-1] < 8


def test_parameters_reach_every_part(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "/**/monitor_node:\n  ros__parameters:\n    assembler.max_gap_ms: 20.0\n"
        "/**/failsafe_node:\n  ros__parameters:\n    clear_after_s: 7.0\n"
        "/**/perception_node:\n  ros__parameters:\n    engine: other\n"
    )
    settings = ReplaySettings.load(path)
    assert settings.assembler.max_gap_ms == 20.0
    assert settings.failsafe.clear_after_s == 7.0
    assert settings.engine == "other"


def test_the_shipped_parameters_are_those_of_a_replay_without_any() -> None:
    path = Path(replay_module.__file__).parent.parent / "config" / "monitor.param.yaml"
    if not path.exists():
        pytest.skip("installed without the checkout's config/")
    settings = ReplaySettings.load(path)
    assert dataclasses.replace(settings, path=None) == ReplaySettings()


def test_what_only_live_nodes_know_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "/**: {ros__parameters: {use_sim_time: true}}\n"
        "/**/monitor_node: {ros__parameters: {inputs: {expected: [camera]}}}\n"
        "/**/failsafe_node: {ros__parameters: {sources: [/front/monitor_node]}}\n"
    )
    assert dataclasses.replace(ReplaySettings.load(path), path=None) == ReplaySettings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/**/monitor_node: {ros__parameters: {assembler: {max_gap: 20.0}}}", "max_gap_ms"),
        ("/**/monitor_node: {ros__parameters: {nonsense: 1}}", "nonsense"),
        ("/**/failsafe_node: {ros__parameters: {clear_after_s: -1.0}}", "clear_after_s"),
        ("/**/perception_node: {ros__parameters: {engine: 3}}", "engine"),
    ],
)
def test_a_wrong_parameter_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text)
    with pytest.raises(ParameterError, match=message):
        ReplaySettings.load(path)
