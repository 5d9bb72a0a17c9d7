"""Each attack does to the sensor what its name says, and only there and then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeguard.bags import BagReader
from edgeguard.redteam import KINDS, attack_bag
from edgeguard.redteam.base import parts
from edgeguard.redteam.registry import STRESS
from edgeguard.types import Channel, Image, PointCloud
from tests.sim.stand_in import SimDetector

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
def attacked(drive: Path, kinds: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("attacked")
    for kind in kinds:
        attack_bag(drive, folder / kind, kind, engine=SimDetector, start_s=0.9)
    return {kind: folder / kind for kind in kinds}


def test_all_but_the_sensor_in_the_window_is_copied_byte_for_byte(
    drive: Path, attacked: dict[str, Path]
) -> None:
    before = raw(drive)
    with BagReader(drive) as reader:
        topics = reader.topics
    for kind, bag in attacked.items():
        after = [m for m in raw(bag) if m[0] != "/edgeguard/attack"]
        sensors = {topics[p.sensor] for p in parts(KINDS[kind]())}
        untouched = [m for m in before if m[0] not in sensors]
        assert untouched == [m for m in after if m[0] not in sensors], kind
        if kind != "drop":
            assert [m[:2] for m in before] == [m[:2] for m in after], kind
            changed = {a[0]: a[1] for a, b in reversed([*zip(before, after)]) if a[2] != b[2]}
            assert set(changed) == sensors, kind
            assert 0 <= min(changed.values()) - notes(bag)[0]["onset_ns"] < 200_000_000, kind


def test_the_copy_says_what_was_done_where_and_when(attacked: dict[str, Path]) -> None:
    for kind, bag in attacked.items():
        plan, *frames, summary = notes(bag)
        assert (plan["event"], plan["kind"], summary["event"]) == ("plan", kind, "summary")
        assert not plan["benign"]
        assert [f["stamp_ns"] for f in frames][0] == plan["onset_ns"]
        assert [f["stamp_ns"] for f in frames][-1] == plan["end_ns"]
        assert summary["frames"] == len(frames) == 6 * len(parts(KINDS[kind]())), kind
        if kind in ("hide", "sticker", "phantom", "lidar_remove", "lidar_ghost", "lidar_shift", "vanish"):
            assert all(len(f["box"]) == 4 for f in frames), kind
            assert summary["fooled_share"] >= 0.8, kind


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
    attack_bag(drive, tmp_path / kind, kind, engine=SimDetector, start_s=0.9)
    assert raw(tmp_path / kind) == raw(attacked[kind])


def test_a_sticker_covers_at_most_half_of_the_vehicle_and_costs_it_the_engine(
    drive: Path, attacked: dict[str, Path]
) -> None:
    clean: dict[int, Image] = stream(drive, Channel.CAMERA)
    stuck: dict[int, Image] = stream(attacked["sticker"], Channel.CAMERA)
    for note in notes(attacked["sticker"])[1:-1]:
        x0, y0, x1, y1 = (int(v) for v in note["box"])
        # JPEG leaves its marks around, but weak ones.
        strong = np.abs(clean[note["stamp_ns"]].bgr.astype(int) - stuck[note["stamp_ns"]].bgr).max(2) > 40
        assert 0 < strong[y0:y1, x0:x1].mean() < 0.6
        strong[y0 - 8 : y1 + 8, x0 - 8 : x1 + 8] = False
        assert not strong.any()


def test_a_replay_moves_and_is_old(drive: Path, attacked: dict[str, Path]) -> None:
    clean: dict[int, Image] = stream(drive, Channel.CAMERA)
    shown: dict[int, Image] = stream(attacked["replay"], Channel.CAMERA)
    onset = notes(attacked["replay"])[0]["onset_ns"]
    old = [bgr.bgr for stamp, bgr in clean.items() if stamp < onset]
    late = [image.bgr for stamp, image in shown.items() if stamp >= onset]
    assert all(any(np.array_equal(a, b) for b in old) for a in late)
    assert not np.array_equal(late[0], late[1])


@pytest.mark.parametrize(("kind", "channel"), [("delay", Channel.CAMERA), ("lidar_delay", Channel.LIDAR)])
def test_what_is_delayed_lags_under_stamps_of_now(
    kind: str, channel: Channel, drive: Path, attacked: dict[str, Path]
) -> None:
    clean, late = stream(drive, channel), stream(attacked[kind], channel)
    assert list(clean) == list(late)
    stamp = max(late)
    content = "bgr" if channel == Channel.CAMERA else "xyz"
    was = next(
        s for s, v in clean.items() if np.array_equal(getattr(v, content), getattr(late[stamp], content))
    )
    assert stamp - was == pytest.approx(0.5e9, abs=0.06e9)


def test_dropped_messages_are_gone_and_the_others_untouched(drive: Path, attacked: dict[str, Path]) -> None:
    before, after = stream(drive, Channel.CAMERA), stream(attacked["drop"], Channel.CAMERA)
    lost = [f["stamp_ns"] for f in notes(attacked["drop"])[1:-1] if f["lost"]]
    assert 3 <= len(lost) <= 6
    assert set(before) - set(after) == set(lost)


def test_a_shifted_vehicle_keeps_its_rays_and_is_farther(drive: Path, attacked: dict[str, Path]) -> None:
    clean, moved = stream(drive, Channel.LIDAR), stream(attacked["lidar_shift"], Channel.LIDAR)
    note = notes(attacked["lidar_shift"])[1]
    a, b = clean[note["stamp_ns"]].xyz, moved[note["stamp_ns"]].xyz
    rows = np.flatnonzero((a != b).any(1))
    assert len(rows) == note["points_moved"] > 50
    longer = np.linalg.norm(b[rows], axis=1) - np.linalg.norm(a[rows], axis=1)
    assert longer == pytest.approx(8.0, abs=1e-3)


def test_a_flipped_object_keeps_its_box(drive: Path, attacked: dict[str, Path]) -> None:
    clean, flipped = stream(drive, Channel.DETECTIONS), stream(attacked["class_flip"], Channel.DETECTIONS)
    note = notes(attacked["class_flip"])[1]
    a, b = clean[note["stamp_ns"]], flipped[note["stamp_ns"]]
    assert np.array_equal(a.xyxy, b.xyxy)
    assert sum(x != y for x, y in zip(a.labels, b.labels)) == 1


def test_an_overload_adds_a_thousand_boxes(drive: Path, attacked: dict[str, Path]) -> None:
    clean, full = stream(drive, Channel.DETECTIONS), stream(attacked["overload"], Channel.DETECTIONS)
    stamp = max(full)
    assert len(full[stamp]) == len(clean[stamp]) + 1000


def test_both_sensors_lie_about_one_place(attacked: dict[str, Path]) -> None:
    for kind in ("vanish", "conjure"):
        frames = notes(attacked[kind])[1:-1]
        camera = next(f for f in frames if f["sensor"] == "camera")
        lidar = next(f for f in frames if f["sensor"] == "lidar")
        middle = [(np.array(f["box"][:2]) + f["box"][2:]) / 2 for f in (camera, lidar)]
        assert np.abs(middle[0] - middle[1]).max() < 30, kind


def test_benign_conditions_say_so_and_claim_no_effect(drive: Path, tmp_path: Path) -> None:
    for kind in STRESS:
        outcome = attack_bag(drive, tmp_path / kind, kind, engine=SimDetector, duration_s=0.15)
        assert outcome.fooled is None
        plan, *frames, _ = notes(tmp_path / kind)
        assert plan["benign"] and 1 <= len(frames) <= 2
