"""Each attack does to the sensor what its name says, and only there and then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeguard.bags import BagReader
from edgeguard.redteam import KINDS, attack_bag
from edgeguard.sim.detector import SimDetector
from edgeguard.types import Channel, Image, PointCloud

Log = list[tuple[str, int, bytes]]


def raw(bag: Path) -> Log:
    with BagReader(bag) as reader:
        return [(m.connection.topic, m.log_ns, bytes(m.data)) for m in reader.raw_messages()]


def stream(bag: Path, channel: Channel) -> dict[int, Any]:
    with BagReader(bag) as reader:
        return {m.value.stamp_ns: m.value for m in reader.messages() if m.channel == channel}


def notes(bag: Path) -> list[dict[str, Any]]:
    with BagReader(bag) as reader:
        found = [m for m in reader.raw_messages() if m.connection.topic == "/edgeguard/attack"]
        return [json.loads(reader.decode(m).data) for m in found]


@pytest.fixture(scope="module")
def attacked(drive: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("attacked")
    for kind in KINDS:
        attack_bag(drive, folder / kind, kind, engine=SimDetector)
    return {kind: folder / kind for kind in KINDS}


@pytest.mark.parametrize("kind", list(KINDS))
def test_all_but_the_sensor_in_the_window_is_copied_byte_for_byte(
    kind: str, drive: Path, attacked: dict[str, Path]
) -> None:
    before = raw(drive)
    after = [m for m in raw(attacked[kind]) if m[0] != "/edgeguard/attack"]
    assert [m[:2] for m in before] == [m[:2] for m in after]
    changed = {a[0] for a, b in zip(before, after) if a[2] != b[2]}
    topic = "/lidar/points" if kind.startswith("lidar") else "/camera/image/compressed"
    assert changed == {topic}
    onset = notes(attacked[kind])[0]["onset_ns"]
    first = min(a[1] for a, b in zip(before, after) if a[2] != b[2])
    assert 0 <= first - onset < 100_000_000


@pytest.mark.parametrize("kind", list(KINDS))
def test_the_copy_says_what_was_done_where_and_when(kind: str, attacked: dict[str, Path]) -> None:
    plan, *frames, summary = notes(attacked[kind])
    assert (plan["event"], plan["kind"], summary["event"]) == ("plan", kind, "summary")
    assert [f["stamp_ns"] for f in frames][0] == plan["onset_ns"]
    assert [f["stamp_ns"] for f in frames][-1] == plan["end_ns"]
    assert summary["frames"] == len(frames) == 9
    if kind not in ("freeze", "blind"):
        assert all(len(f["box"]) == 4 for f in frames)
        assert summary["fooled_share"] >= 0.8


def test_freeze_repeats_pixels_under_new_stamps(drive: Path, attacked: dict[str, Path]) -> None:
    images: dict[int, Image] = stream(attacked["freeze"], Channel.CAMERA)
    clean: dict[int, Image] = stream(drive, Channel.CAMERA)
    assert list(images) == list(clean)
    onset = notes(attacked["freeze"])[0]["onset_ns"]
    held = max(s for s in images if s < onset)
    assert all(np.array_equal(images[s].bgr, clean[held].bgr) for s in images if s >= onset)


def test_blind_saturates_most_of_the_picture(attacked: dict[str, Path]) -> None:
    images: dict[int, Image] = stream(attacked["blind"], Channel.CAMERA)
    last = images[max(images)].bgr
    assert (last.min(2) >= 250).mean() > 0.7
    assert not len(SimDetector().detect(images[max(images)]))


def test_phantom_is_seen_and_hidden_is_not(attacked: dict[str, Path]) -> None:
    for kind, wanted in (("phantom", True), ("hide", False)):
        images: dict[int, Image] = stream(attacked[kind], Channel.CAMERA)
        seen = []
        for note in notes(attacked[kind])[1:-1]:
            box = np.array(note["box"])
            found = SimDetector().detect(images[note["stamp_ns"]]).xyxy
            middle = (found[:, :2] + found[:, 2:]) / 2
            near = np.abs(middle - (box[:2] + box[2:]) / 2) < 0.2 * (box[2:] - box[:2])
            size = np.abs((found[:, 3] - found[:, 1]) / (box[3] - box[1]) - 1) < 0.3
            seen.append(bool((near.all(1) & size).any()))
        assert np.mean(seen) > 0.8 if wanted else not any(seen)


def test_removed_points_are_the_vehicles_and_the_road_stays(drive: Path, attacked: dict[str, Path]) -> None:
    clean: dict[int, PointCloud] = stream(drive, Channel.LIDAR)
    left: dict[int, PointCloud] = stream(attacked["lidar_remove"], Channel.LIDAR)
    for note in notes(attacked["lidar_remove"])[1:-1]:
        stamp = note["stamp_ns"]
        gone = len(clean[stamp]) - len(left[stamp])
        assert gone == note["points_removed"] > 50
        x, y, z = clean[stamp].xyz.T
        car = (x > 8) & (x < 17) & (np.abs(y) < 0.9) & (z > -1.45) & (z < 0)
        assert np.count_nonzero(car) > 50
        x, y, z = left[stamp].xyz.T
        assert not np.count_nonzero((x > 8) & (x < 17) & (np.abs(y) < 0.9) & (z > -1.45) & (z < 0))


def test_a_ghost_takes_rays_and_adds_none(drive: Path, attacked: dict[str, Path]) -> None:
    clean: dict[int, PointCloud] = stream(drive, Channel.LIDAR)
    ghost: dict[int, PointCloud] = stream(attacked["lidar_ghost"], Channel.LIDAR)
    for note in notes(attacked["lidar_ghost"])[1:-1]:
        a, b = clean[note["stamp_ns"]].xyz, ghost[note["stamp_ns"]].xyz
        assert len(a) == len(b)
        moved = np.flatnonzero((a != b).any(1))
        assert len(moved) == note["points_moved"] >= 50
        # Same ray from the sensor, nearer.
        cosine = (
            (a[moved] * b[moved]).sum(1) / np.linalg.norm(a[moved], axis=1) / np.linalg.norm(b[moved], axis=1)
        )
        assert cosine.min() > 1 - 1e-5
        assert (np.linalg.norm(b[moved], axis=1) < np.linalg.norm(a[moved], axis=1)).all()
        # One body: an everyday vehicle's extent.
        assert (np.ptp(b[moved], axis=0) < (4.6, 2.0, 1.8)).all()


@pytest.mark.parametrize("kind", ["phantom", "lidar_ghost"])
def test_same_arguments_same_bytes(kind: str, drive: Path, attacked: dict[str, Path], tmp_path: Path) -> None:
    attack_bag(drive, tmp_path / kind, kind, engine=SimDetector)
    assert raw(tmp_path / kind) == raw(attacked[kind])
