"""What EdgeGuard promises on real recordings, end to end, with default parameters."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeguard.engine import Engine, open_engine
from edgeguard.errors import EngineError
from edgeguard.monitor import Monitor
from edgeguard.redteam import attack_bag
from edgeguard.replay import replay
from edgeguard.types import Frame

TRACKING = [f"kitti_{n:04d}" for n in range(0, 21, 2)]


@pytest.fixture(scope="module")
def yolox(shared: Path) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEGUARD_MODELS", str(shared / "models"))
        try:
            engine = open_engine("yolox_nano")
        except EngineError as e:
            pytest.skip(str(e))
        yield engine
        engine.close()


def verdicts(out: Path) -> list[dict]:  # type: ignore[type-arg]
    return [json.loads(line) for line in (out / "events.jsonl").read_text().splitlines()]


def test_kitti_a_is_quiet_and_the_car_ahead_keeps_one_identity(
    shared: Path, yolox: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead: list[set[int]] = []
    step = Monitor.step

    def spy(self: Monitor, frame: Frame, **options: object) -> object:
        verdict = step(self, frame, **options)  # type: ignore[arg-type]
        t = self._builder.camera_tracker
        x = (t._xyxy[:, 0] + t._xyxy[:, 2]) / 2
        wide = (t._id >= 0) & (abs(x - 635) < 40) & (t._xyxy[:, 2] - t._xyxy[:, 0] > 110)
        ahead.append(set(t._id[wide & (t._seen_ns == frame.stamp_ns)].tolist()))
        return verdict

    monkeypatch.setattr(Monitor, "step", spy)
    summary = replay(shared / "data" / "kitti_a", out=tmp_path / "out", engine=yolox)
    assert len(ahead) == 39
    assert set.intersection(*ahead), "one identity, detected in every frame"
    levels = {v["level"] for v in verdicts(tmp_path / "out")}
    assert "FAIL_SAFE" not in levels
    assert not summary.reached_fail_safe


@pytest.mark.parametrize(
    ("kind", "checks", "cause"),
    [
        ("freeze", {"stream_integrity"}, "camera"),
        ("blind", {"stream_integrity"}, "camera"),
        ("phantom", {"free_space", "lidar_support", "object_agreement", "depth_agreement"}, "camera"),
        ("hide", {"object_agreement"}, "camera"),
        ("lidar_remove", {"lidar_support", "object_agreement"}, "lidar"),
        ("lidar_ghost", {"lidar_ghost", "object_agreement"}, "lidar"),
    ],
)
def test_an_attack_is_named_with_its_sensor_within_half_a_second(
    shared: Path, yolox: Engine, tmp_path: Path, kind: str, checks: set[str], cause: str
) -> None:
    outcome = attack_bag(
        shared / "data" / "kitti_a",
        tmp_path / "bag",
        kind,
        engine=lambda: yolox,
        start_s=1.6,
        duration_s=0.7,
    )
    replay(tmp_path / "bag", out=tmp_path / "out", engine=yolox)
    found = [
        (v["stamp_ns"], a)
        for v in verdicts(tmp_path / "out")
        for a in v["alarms"]
        if a["check"] in checks and a["cause"] == cause and v["stamp_ns"] >= outcome.onset_ns
    ]
    assert found, [(a["check"], a["cause"]) for v in verdicts(tmp_path / "out") for a in v["alarms"]]
    assert (found[0][0] - outcome.onset_ns) * 1e-9 <= 0.5


@pytest.mark.parametrize("name", TRACKING)
def test_drives_of_honest_detectors_never_stop_the_vehicle(shared: Path, tmp_path: Path, name: str) -> None:
    summary = replay(shared / "data" / "kitti_tracking" / name, out=tmp_path / "out")
    assert not summary.reached_fail_safe
    assert all(v["level"] != "FAIL_SAFE" for v in verdicts(tmp_path / "out"))


def test_two_replays_give_the_same_bytes(shared: Path, tmp_path: Path) -> None:
    bag = shared / "data" / "kitti_tracking" / "kitti_0012"
    for out in ("a", "b"):
        replay(bag, out=tmp_path / out)
    assert (tmp_path / "a" / "events.jsonl").read_bytes() == (tmp_path / "b" / "events.jsonl").read_bytes()
