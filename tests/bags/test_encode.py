"""What is written reads back the same, in the original's own encoding and layout."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import recordings as rec
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard import bags, messages
from edgeguard.rig import CameraModel, pose_matrix
from edgeguard.types import EgoMotion, Image, PointCloud, RadarTargets

STORE = rec.STORE


def through_cdr(msg: Any, store: Any = STORE) -> Any:
    """As a recording would give it back."""
    return store.deserialize_cdr(store.serialize_cdr(msg, msg.__msgtype__), msg.__msgtype__)


def scene() -> Image:
    y, x = np.mgrid[0:32, 0:48]
    pixels = np.stack([40 + 3 * x, 60 + 4 * y, 200 - 2 * x - y], axis=-1).astype(np.uint8)
    return Image(5_000_000_006, "camera", pixels)


LOSSLESS = ["bgr8", "rgb8", "bgra8", "rgba8", "8UC3"]
GREY = ["mono8", "mono16"]
BAYER = [f"bayer_{p}8" for p in ("rggb", "bggr", "gbrg", "grbg")]
YUV = ["yuv422", "uyvy", "yuyv", "yuv422_yuy2", "nv12"]


@pytest.mark.parametrize("encoding", LOSSLESS + GREY + BAYER + YUV)
@pytest.mark.parametrize("big_endian", [0, 1])
def test_images(encoding: str, big_endian: int) -> None:
    original = bags.to_image_msg(STORE, scene())
    original.encoding, original.is_bigendian = encoding, big_endian
    msg = through_cdr(bags.to_image_msg(STORE, scene(), original=original))
    assert (msg.encoding, msg.is_bigendian, msg.width, msg.height) == (encoding, big_endian, 48, 32)
    first = messages.image(msg)
    assert first.stamp_ns == 5_000_000_006 and first.frame_id == "camera"
    if encoding in LOSSLESS:
        assert np.array_equal(first.bgr, scene().bgr)
    elif encoding not in GREY:
        assert np.abs(first.bgr[2:-2, 2:-2].astype(int) - scene().bgr[2:-2, 2:-2]).max() <= 8
    if encoding not in YUV:  # what was not altered stays as it was
        again = bags.to_image_msg(STORE, first, original=msg)
        edge = 1 if encoding in BAYER else 0  # where OpenCV repeats its neighbours' colours
        inner = np.s_[edge : 32 - edge, edge * again.step // 48 : again.step - edge]
        assert np.array_equal(again.data.reshape(32, -1)[inner], msg.data.reshape(32, -1)[inner])


@pytest.mark.parametrize("text", ["jpeg", "bgr8; jpeg compressed bgr8", "png", "rgb8; png compressed rgb8"])
def test_compressed_images(text: str) -> None:
    original = bags.to_compressed_image_msg(STORE, scene())
    original.format = text
    if "jpeg" in text:
        original.data = np.array([0xFF, 0xD8], np.uint8)
    msg = through_cdr(bags.to_compressed_image_msg(STORE, scene(), original=original))
    assert msg.format == text and (msg.data[0] == 0xFF) == ("jpeg" in text)
    assert np.abs(messages.compressed_image(msg).bgr.astype(int) - scene().bgr).max() <= (
        8 if "jpeg" in text else 0
    )


def test_point_cloud() -> None:
    cloud = rec.cloud(1)
    found = messages.point_cloud(through_cdr(bags.to_point_cloud_msg(STORE, cloud)))
    assert np.array_equal(found.xyz, cloud.xyz) and np.array_equal(found.intensity, cloud.intensity)
    assert found.stamp_ns == cloud.stamp_ns and found.frame_id == cloud.frame_id
    bare = PointCloud(1, "lidar", cloud.xyz)
    assert messages.point_cloud(bags.to_point_cloud_msg(STORE, bare)).intensity is None
    nothing = PointCloud(1, "lidar", np.zeros((0, 3), np.float32))
    assert len(messages.point_cloud(through_cdr(bags.to_point_cloud_msg(STORE, nothing)))) == 0


def test_radar() -> None:
    rng = np.random.default_rng(0)
    targets = RadarTargets(9, "radar", *(rng.random(s).astype(np.float32) for s in ((4, 3), 4, 4)))
    found = messages.radar_targets(through_cdr(bags.to_radar_msg(STORE, targets)))
    assert np.array_equal(found.xyz, targets.xyz) and np.array_equal(found.range_rate, targets.range_rate)
    assert np.array_equal(found.snr, targets.snr)


def original_cloud(big: bool, height: int, dtype: int) -> Any:
    """A cloud with a ring, padding, trailing bytes on each row and a NaN point."""
    order, size = (">" if big else "<"), {7: 4, 8: 8}[dtype]
    kind = {7: "f4", 8: "f8"}[dtype]
    layout = [("ring", "u2", 0, 4), ("z", kind, 3, dtype), ("x", kind, 3 + size, dtype)]
    layout += [("y", kind, 5 + 2 * size, dtype), ("intensity", "u1", 5 + 3 * size, 2)]
    step, width = 8 + 3 * size, 12 // height
    records = np.zeros((height, width), np.dtype({
        "names": [n for n, *_ in layout], "formats": [order + k for _, k, *_ in layout],
        "offsets": [o for _, _, o, _ in layout], "itemsize": step,
    }))  # fmt: skip
    for i, name in enumerate(("x", "y", "z", "intensity", "ring")):
        records[name] = np.arange(12).reshape(height, width) + 20 * i
    records["y"][0, 1] = np.nan
    rows = np.pad(records.view(np.uint8).reshape(height, -1), ((0, 0), (0, 5)))
    make = STORE.types
    fields = [
        make["sensor_msgs/msg/PointField"](name=n, offset=o, datatype=d, count=1) for n, _, o, d in layout
    ]
    return make["sensor_msgs/msg/PointCloud2"](
        header=bags.to_image_msg(STORE, scene()).header, height=height, width=width, fields=fields,
        is_bigendian=big, point_step=step, row_step=rows.shape[1], data=rows.reshape(-1), is_dense=False,
    )  # fmt: skip


@pytest.mark.parametrize(("big", "height", "dtype"), [*itertools.product([False, True], [1, 3], [7, 8])])
def test_edited_clouds_keep_their_layout(big: bool, height: int, dtype: int) -> None:
    original = original_cloud(big, height, dtype)
    before = messages.point_cloud(original)
    keep = np.ones(len(before), bool)
    keep[[2, 5]] = False

    removed = through_cdr(bags.edited_point_cloud_msg(STORE, original, keep=keep))
    assert removed.fields == original.fields and removed.is_bigendian == big
    after = messages.point_cloud(removed)
    assert np.array_equal(after.xyz, before.xyz[keep]) and np.array_equal(
        after.intensity, before.intensity[keep]
    )
    assert (removed.height, after.n_raw) == ((height, 12) if height > 1 else (1, 10))

    xyz, intensity = np.array([[1, 2, 3], [4, 5, 6]], np.float32), np.array([7, 8], np.float32)
    added = bags.edited_point_cloud_msg(STORE, original, keep=keep, added_xyz=xyz, added_intensity=intensity)
    after = messages.point_cloud(through_cdr(added))
    assert np.array_equal(after.xyz, np.vstack([before.xyz[keep], xyz]))
    assert np.array_equal(after.intensity, np.concatenate([before.intensity[keep], intensity]))
    # The NaN point (81) stays; of the finite points, numbers 2 and 5 (83 and 86) went.
    rings = messages.point_fields(added)["ring"].reshape(-1)
    assert rings.tolist() == [80, 81, 82, 84, 85, 87, 88, 89, 90, 91, 0, 0]


def test_an_unedited_cloud_keeps_its_points_to_the_byte() -> None:
    original = original_cloud(False, 1, 7)
    same = bags.edited_point_cloud_msg(STORE, original)
    assert np.array_equal(same.data, original.data[: same.row_step])


@pytest.mark.parametrize("store", [rec.STORE, rec.OLD_STORE], ids=["since 4", "before 4"])
@pytest.mark.parametrize("n", [0, 2])
def test_detections(store: Any, n: int) -> None:
    boxes = rec.boxes(3, n)
    found = messages.detections(through_cdr(bags.to_detections_msg(store, boxes, "camera"), store))
    assert np.allclose(found.xyxy, boxes.xyxy) and np.array_equal(found.score, boxes.score)
    assert found.labels == boxes.labels and found.stamp_ns == boxes.stamp_ns
    boxes_3d = rec.boxes_3d(3)
    found_3d = messages.detections_3d(through_cdr(bags.to_detections_3d_msg(store, boxes_3d), store))
    for name in ("center", "size", "orientation", "score", "class_id"):
        assert np.array_equal(getattr(found_3d, name), getattr(boxes_3d, name))
    assert (found_3d.frame_id, found_3d.class_names) == (boxes_3d.frame_id, boxes_3d.class_names)


def test_camera_info() -> None:
    k = np.array([[500.0, 0, 320], [0, 510, 240], [0, 0, 1]])
    camera = CameraModel("camera", 640, 480, k, "rational_polynomial", np.arange(8) / 100)
    msg = through_cdr(bags.to_camera_info_msg(STORE, camera, 42))
    found = messages.camera_model(msg)
    assert np.array_equal(found.k, k) and np.array_equal(found.distortion, camera.distortion)
    assert (found.width, found.height, found.frame_id) == (640, 480, "camera")
    assert found.distortion_model == "rational_polynomial" and messages.stamp_ns(msg.header) == 42


def test_odometry() -> None:
    ego = EgoMotion(-1_000_000_001, np.array([1.0, 2, 3]), np.array([4.0, 5, 6]))
    found = messages.odometry(through_cdr(bags.to_odometry_msg(STORE, ego)))
    assert found.stamp_ns == ego.stamp_ns
    assert np.array_equal(found.linear, ego.linear) and np.array_equal(found.angular, ego.angular)


@settings(max_examples=50, deadline=None)
@given(st.tuples(*[st.floats(-1, 1)] * 7).filter(lambda v: np.linalg.norm(v[3:]) > 0.1))
def test_transforms(values: tuple[float, ...]) -> None:
    matrix = pose_matrix(values[:3], values[3:])
    [(parent, child, found)] = messages.transforms(bags.to_tf_msg(STORE, [("a", "b", matrix)], 1))
    assert (parent, child) == ("a", "b") and np.allclose(found, matrix, atol=1e-9)
