"""A recording of any kind gives the same values, in order, with the memory of one message."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest
import recordings as rec

from edgeguard.bags import CAMERA_INFO, TF_STATIC, BagReader
from edgeguard.errors import BagError
from edgeguard.rig import CameraModel, TransformTree
from edgeguard.types import Channel, Detections, Detections3D, EgoMotion, Image, PointCloud

KINDS = [
    {"plugin": "sqlite3"},
    {"plugin": "sqlite3", "embed": False},
    {"plugin": "sqlite3", "compression": "file"},
    {"plugin": "sqlite3", "compression": "message"},
    {"plugin": "sqlite3", "little_endian": False},
    {"plugin": "mcap"},
    {"plugin": "mcap", "compression": "storage"},
    {"plugin": "mcap", "compression": "file"},
    {"plugin": "mcap", "compression": "message"},
    {"plugin": "mcap", "little_endian": False},
]


def check_drive(reader: BagReader, frames: int = 4) -> None:
    items = list(reader.messages())
    assert len(items) == 1 + 6 * frames
    assert [i.log_ns for i in items] == sorted(i.log_ns for i in items)
    by_channel = {c: [i.value for i in items if i.channel == c] for c in {i.channel for i in items}}
    assert set(by_channel) == {*Channel, CAMERA_INFO, TF_STATIC} - {Channel.RADAR}
    for i in range(frames):
        image, cloud, boxes = (by_channel[c][i] for c in (Channel.CAMERA, Channel.LIDAR, Channel.DETECTIONS))
        boxes_3d, ego, camera = (
            by_channel[c][i] for c in (Channel.LIDAR_DETECTIONS, Channel.EGO, CAMERA_INFO)
        )
        assert isinstance(image, Image) and np.array_equal(image.bgr, rec.image(i).bgr)
        assert isinstance(cloud, PointCloud) and np.array_equal(cloud.xyz, rec.cloud(i).xyz)
        assert (
            np.array_equal(cloud.intensity, rec.cloud(i).intensity)
            and cloud.stamp_ns == rec.cloud(i).stamp_ns
        )
        assert isinstance(boxes, Detections) and np.allclose(boxes.xyxy, rec.boxes(i).xyxy)
        assert boxes.labels == ["car", "person"] and boxes.stamp_ns == image.stamp_ns
        assert isinstance(boxes_3d, Detections3D) and np.array_equal(boxes_3d.center, rec.boxes_3d(i).center)
        assert np.array_equal(boxes_3d.orientation, rec.boxes_3d(i).orientation) and boxes_3d.score[0] == 3.5
        assert isinstance(ego, EgoMotion) and ego.speed == 5 and ego.angular[2] == 0.1
        assert isinstance(camera, CameraModel) and np.array_equal(camera.k, rec.CAMERA.k)
    tree = TransformTree()
    for transform in by_channel[TF_STATIC][0]:
        tree.add(*transform)
    assert np.allclose(tree.lookup("base", "lidar")[:3, 3], [1, 2, 3])
    assert reader.lost == ()


@pytest.mark.parametrize("partial", [False, True])
@pytest.mark.parametrize("kind", KINDS, ids=lambda k: "-".join(map(str, k.values())))
def test_every_kind_of_recording(tmp_path: Path, kind: dict[str, object], partial: bool) -> None:
    path = rec.write(tmp_path / "bag", rec.drive(), **kind)
    with BagReader(path, partial=partial) as reader:
        check_drive(reader)


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: "-".join(map(str, k.values())))
def test_a_single_file(tmp_path: Path, kind: dict[str, object]) -> None:
    path = rec.write(tmp_path / "bag", rec.drive(), **kind)
    with BagReader(rec.storage_file(path)) as reader:
        check_drive(reader)


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: "-".join(map(str, k.values())))
def test_split_files_follow_time_not_names(tmp_path: Path, kind: dict[str, object]) -> None:
    with BagReader(rec.split(tmp_path / "bag", rec.drive(), **kind)) as reader:
        check_drive(reader)


def test_mcap_without_chunks_or_index(tmp_path: Path) -> None:
    with BagReader(rec.write_unchunked(tmp_path / "fast.mcap", rec.drive())) as reader:
        check_drive(reader)


@pytest.mark.parametrize("embed", [True, False])
@pytest.mark.parametrize("little_endian", [True, False])
def test_vision_msgs_before_4(tmp_path: Path, embed: bool, little_endian: bool) -> None:
    drive = rec.drive(store=rec.OLD_STORE)
    kind = {"plugin": "sqlite3", "embed": embed, "little_endian": little_endian}
    path = rec.write(tmp_path / "bag", drive, store=rec.OLD_STORE, **kind)
    with BagReader(path) as reader:
        check_drive(reader)


def test_a_camera_that_changes_on_the_way_is_followed(tmp_path: Path) -> None:
    zoomed = CameraModel("camera_optical", 16, 12, np.array([[25.0, 0, 8], [0, 25, 6], [0, 0, 1]]))
    cameras = [rec.CAMERA, rec.CAMERA, zoomed, zoomed, rec.CAMERA]
    drive = rec.drive()[:2] + [
        ("/camera/camera_info", rec.INFO, at, rec.to_camera_info_msg(rec.STORE, camera, at))
        for i, camera in enumerate(cameras)
        if (at := rec.T0 + i * rec.PERIOD + 2000)
    ]
    with BagReader(rec.write(tmp_path / "bag", drive)) as reader:
        found = [i.value for i in reader.messages() if i.channel == CAMERA_INFO]
    assert [c.focal for c in found] == [c.focal for c in cameras]


def test_a_stream_keeps_its_class_numbers(tmp_path: Path) -> None:
    """The second message begins with another class: its number must not change."""
    first, second = rec.boxes(0, 2), rec.boxes(1, 2).select(np.array([1, 0]))
    messages = [
        ("/boxes", rec.BOXES, m.stamp_ns, rec.to_detections_msg(rec.STORE, m, "camera"))
        for m in (first, second)
    ]
    with BagReader(rec.write(tmp_path / "bag", messages)) as reader:
        values = [i.value for i in reader.messages()]
    assert [list(v.class_id) for v in values] == [[0, 1], [1, 0]]


def test_rectified_images_use_the_projection_matrix(tmp_path: Path) -> None:
    info = rec.to_camera_info_msg(rec.STORE, rec.CAMERA, rec.T0)
    info.d, info.p = np.array([0.1, 0, 0, 0, 0]), np.array([30.0, 0, 8, 0, 0, 30, 6, 0, 0, 0, 1, 0])
    for topic, focal, distorted in (("/cam/image_rect", 30, False), ("/cam/image_raw", 20, True)):
        messages = [
            (topic, rec.IMAGE, rec.T0, rec.to_image_msg(rec.STORE, rec.image(0))),
            ("/cam/camera_info", rec.INFO, rec.T0, info),
        ]
        with BagReader(rec.write(tmp_path / topic[5:], messages)) as reader:
            camera = next(i.value for i in reader.messages() if i.channel == CAMERA_INFO)
        assert camera.focal == focal and camera.is_distorted == distorted


def test_a_message_that_ends_in_its_middle(tmp_path: Path) -> None:
    path = rec.write(tmp_path / "bag", rec.drive(), plugin="sqlite3")
    with sqlite3.connect(rec.storage_file(path)) as db:
        db.execute("UPDATE messages SET data = substr(data, 1, 200) WHERE id = 2")
    words = r"bag: a message of /camera/image .*ends in its middle.*--partial"
    with pytest.raises(BagError, match=words), BagReader(path) as reader:
        list(reader.messages())
    with BagReader(path, partial=True) as reader:
        assert len(list(reader.messages())) == 24
        assert len(reader.lost) == 1 and "/camera/image: 1 message(s)" in reader.lost[0]


def test_an_unknown_encoding_names_itself(tmp_path: Path) -> None:
    msg = rec.to_image_msg(rec.STORE, rec.image(0))
    msg.encoding = "32FC1"
    path = rec.write(tmp_path / "bag", [("/depth", rec.IMAGE, rec.T0, msg)])
    words = "/depth.*encoding '32FC1' is none of bgr8"
    with pytest.raises(BagError, match=words), BagReader(path) as reader:
        list(reader.messages())


def test_kitti_a(shared: Path) -> None:
    with BagReader(shared / "data" / "kitti_a") as reader:
        assert reader.topics[Channel.CAMERA] == "/camera/image/compressed"
        items = list(reader.messages())
    images = [i.value for i in items if i.channel == Channel.CAMERA]
    sweeps = [i.value for i in items if i.channel == Channel.LIDAR]
    assert len(images) == len(sweeps) == 39
    assert {i.size for i in images} == {(1242, 375)}
    assert all(len(s) > 100_000 and s.intensity is not None for s in sweeps)


def test_kitti_tracking(shared: Path) -> None:
    with BagReader(shared / "data" / "kitti_tracking" / "kitti_0000") as reader:
        items = list(reader.messages())
    assert len(items) == 462
    boxes = [i.value for i in items if i.channel == Channel.DETECTIONS]
    assert {label for b in boxes for label in b.labels} <= {"car", "person"}
    assert boxes[-1].class_names[: len(boxes[0].class_names)] == boxes[0].class_names
