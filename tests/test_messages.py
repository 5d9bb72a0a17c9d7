"""ROS messages of every layout give the same values; nonsense gives a `MessageError`."""

from __future__ import annotations

import array
from types import SimpleNamespace as Msg
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard import messages
from edgeguard.errors import MessageError

HEADER = Msg(stamp=Msg(sec=3, nanosec=7), frame_id="sensor")
FORMATS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}


def image_msg(pixels: np.ndarray, encoding: str, *, padding: int = 0, big: bool = False) -> Msg:
    rows = np.ascontiguousarray(pixels).view(np.uint8).reshape(len(pixels), -1)
    data = np.pad(rows, ((0, 0), (0, padding)), constant_values=99)
    height, width = pixels.shape[:2]
    height = height * 2 // 3 if encoding == "nv12" else height
    return Msg(
        header=HEADER, height=height, width=width, encoding=encoding, is_bigendian=int(big),
        step=data.shape[1], data=array.array("B", data.tobytes()),
    )  # fmt: skip


def scene() -> np.ndarray:
    """Smooth colours, so that mosaics and shared chroma can be undone."""
    y, x = np.mgrid[0:32, 0:48]
    return np.stack([40 + 3 * x, 60 + 4 * y, 200 - 2 * x - y], axis=-1).astype(np.uint8)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(
    ("encoding", "order"), [("bgr8", "bgr"), ("rgb8", "rgb"), ("bgra8", "bgra"), ("rgba8", "rgba")]
)
def test_colour(encoding: str, order: str, padding: int) -> None:
    channels = dict(zip("bgra", np.moveaxis(np.dstack([scene(), np.full((32, 48), 17, np.uint8)]), -1, 0)))
    pixels = np.stack([channels[c] for c in order], axis=-1)
    image = messages.image(image_msg(pixels, encoding, padding=padding))
    assert np.array_equal(image.bgr, scene())
    assert image.stamp_ns == 3_000_000_007 and image.frame_id == "sensor"


@pytest.mark.parametrize("padding", [0, 6])
def test_grey(padding: int) -> None:
    grey = scene()[..., 0]
    wide = grey.astype(np.uint16) * 256 + 13
    for msg in (
        image_msg(grey, "mono8", padding=padding),
        image_msg(wide.astype("<u2"), "mono16", padding=padding),
        image_msg(wide.astype(">u2"), "mono16", padding=padding, big=True),
    ):
        assert np.array_equal(messages.image(msg).bgr, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
def test_bayer(pattern: str) -> None:
    """The pattern is named by the first two rows' letters, from the left."""
    mosaic = np.empty((32, 48), np.uint8)
    for i, letter in enumerate(pattern):
        mosaic[i // 2 :: 2, i % 2 :: 2] = scene()[i // 2 :: 2, i % 2 :: 2, "bgr".index(letter)]
    image = messages.image(image_msg(mosaic, f"bayer_{pattern}8", padding=3))
    assert np.abs(image.bgr[2:-2, 2:-2].astype(int) - scene()[2:-2, 2:-2]).max() <= 4


def yuv(bgr: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """BT.601, limited range, written out here so that no OpenCV conversion checks another."""
    b, g, r = np.moveaxis(bgr.astype(float), -1, 0)
    y = 16 + (65.738 * r + 129.057 * g + 25.064 * b) / 256
    u = 128 + (-37.945 * r - 74.494 * g + 112.439 * b) / 256
    v = 128 + (112.439 * r - 94.154 * g - 18.285 * b) / 256
    return y, u, v


@pytest.mark.parametrize("encoding", ["yuv422", "uyvy", "yuyv", "yuv422_yuy2", "nv12"])
def test_yuv(encoding: str) -> None:
    y, u, v = (np.round(c).astype(np.uint8) for c in yuv(scene()))
    if encoding == "nv12":
        chroma = np.stack([u[::2, ::2], v[::2, ::2]], axis=-1).reshape(16, 48)
        pixels = np.vstack([y, chroma])
    else:
        chroma = np.stack([u[:, ::2], v[:, ::2]], axis=-1).reshape(32, 48)
        luma_first = encoding in ("yuyv", "yuv422_yuy2")
        pixels = np.stack([y, chroma] if luma_first else [chroma, y], axis=-1)
    image = messages.image(image_msg(pixels, encoding, padding=4))
    assert np.abs(image.bgr.astype(int) - scene()).max() <= 8


@settings(max_examples=300, deadline=None)
@given(
    encoding=st.sampled_from([*messages._CONVERSIONS, "32FC1", "", "BGR8"]),
    height=st.integers(0, 9), width=st.integers(0, 9), step=st.integers(0, 40), size=st.integers(0, 400),
)  # fmt: skip
def test_any_image_is_one_or_an_error(encoding: str, height: int, width: int, step: int, size: int) -> None:
    msg = Msg(
        header=HEADER, height=height, width=width, encoding=encoding, is_bigendian=0, step=step,
        data=bytes(size),
    )  # fmt: skip
    try:
        image = messages.image(msg)
    except MessageError as e:
        assert str(e).startswith("Image: ")
    else:
        assert image.size == (width, height)


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("text", ["{}", "bgr8; {} compressed bgr8", "rgb8; {} compressed bgr8"])
def test_compressed(kind: str, text: str) -> None:
    data = cv2.imencode(f".{kind}", scene())[1].reshape(-1)
    image = messages.compressed_image(
        Msg(header=HEADER, format=text.format(kind), data=array.array("B", data))
    )
    assert np.abs(image.bgr.astype(int) - scene()).max() <= (0 if kind == "png" else 12)


def test_compressed_rgb_handed_to_a_bgr_encoder() -> None:
    data = cv2.imencode(".png", scene()[..., ::-1])[1].reshape(-1)
    image = messages.compressed_image(Msg(header=HEADER, format="rgb8; png compressed rgb8", data=data))
    assert np.array_equal(image.bgr, scene())


def test_compressed_grey_of_16_bits() -> None:
    data = cv2.imencode(".png", scene()[..., 0].astype(np.uint16) * 256)[1].reshape(-1)
    image = messages.compressed_image(Msg(header=HEADER, format="mono16; png compressed ", data=data))
    assert np.array_equal(image.bgr[..., 0], scene()[..., 0])


@pytest.mark.parametrize(
    ("text", "data"),
    [("jpeg", b""), ("png", b"\x89PNG\r\n\x1a\n"), ("jpeg", b"\xff\xd8\xff"), ("h264", b"\0\0\0\1")],
)
def test_compressed_nonsense(text: str, data: bytes) -> None:
    with pytest.raises(MessageError, match=text):
        messages.compressed_image(Msg(header=HEADER, format=text, data=data))


def test_depth_is_no_camera_image() -> None:
    with pytest.raises(MessageError, match="depth"):
        messages.compressed_image(Msg(header=HEADER, format="16UC1; compressedDepth png", data=b"\0" * 20))


@st.composite
def clouds(draw: st.DrawFn) -> tuple[Msg, dict[str, np.ndarray]]:
    """A cloud of any layout, and what its fields hold."""
    names = draw(st.permutations(["x", "y", "z", "intensity", "ring"]))
    kinds = {n: draw(st.sampled_from([7, 8])) for n in "xyz"}
    kinds |= {n: draw(st.sampled_from(list(FORMATS))) for n in ("intensity", "ring")}
    order = ">" if (big := draw(st.booleans())) else "<"
    offset, fields, dtypes = draw(st.integers(0, 3)), [], {}
    for name in names:
        dtypes[name] = np.dtype(order + FORMATS[kinds[name]])
        fields.append(Msg(name=name, offset=offset, datatype=kinds[name], count=1))
        offset += dtypes[name].itemsize + draw(st.integers(0, 5))
    height, width = draw(st.integers(1, 3)), draw(st.integers(0, 4))
    row = offset * width + draw(st.integers(0, 7))
    data, values = np.full(row * height, 0xAB, np.uint8), {}
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    for f in fields:
        raw = rng.integers(0, 100, (height, width)).astype(dtypes[f.name])
        if f.name in "xyz" and draw(st.booleans()):
            raw[rng.random(raw.shape) < 0.3] = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
        values[f.name] = raw.reshape(-1)
        for r in range(height):
            for c in range(width):
                at = r * row + c * offset + f.offset
                data[at : at + raw.itemsize] = np.frombuffer(raw[r : r + 1, c].tobytes(), np.uint8)
    msg = Msg(
        header=HEADER, height=height, width=width, fields=fields, is_bigendian=big, point_step=offset,
        row_step=row, data=array.array("B", data.tobytes()), is_dense=True,
    )  # fmt: skip
    return msg, values


@settings(max_examples=200, deadline=None)
@given(clouds())
def test_a_cloud_of_any_layout(made: tuple[Msg, dict[str, np.ndarray]]) -> None:
    msg, values = made
    cloud = messages.point_cloud(msg)
    expected = np.stack([values[n] for n in "xyz"], axis=1).astype(np.float32)
    finite = np.isfinite(expected).all(axis=1)
    assert np.array_equal(cloud.xyz, expected[finite]) and cloud.n_raw == len(expected)
    assert cloud.intensity is not None and np.array_equal(
        cloud.intensity, values["intensity"][finite].astype(np.float32)
    )


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_cloud_that_lies_is_a_cloud_or_an_error(data: st.DataObject) -> None:
    msg, _ = data.draw(clouds())
    number = st.one_of(st.integers(0, 70), st.just(2**32 - 1))
    for name in data.draw(
        st.sets(st.sampled_from(["height", "width", "point_step", "row_step"]), min_size=1)
    ):
        setattr(msg, name, data.draw(number))
    for name in ("offset", "datatype", "count"):
        if data.draw(st.booleans()):
            setattr(data.draw(st.sampled_from(msg.fields)), name, data.draw(number))
    try:
        cloud = messages.point_cloud(msg)
    except MessageError:
        return
    assert len(cloud) <= cloud.n_raw == msg.height * msg.width and np.isfinite(cloud.xyz).all()


def radar_msg(names: list[str], columns: np.ndarray) -> Msg:
    fields = [Msg(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(names)]
    return Msg(
        header=HEADER, height=1, width=len(columns), fields=fields, is_bigendian=False,
        point_step=4 * len(names), row_step=4 * columns.size, is_dense=True,
        data=columns.astype("<f4").tobytes(),
    )  # fmt: skip


@pytest.mark.parametrize("name", messages.DOPPLER_FIELDS)
def test_radar(name: str) -> None:
    columns = np.array([[1, 2, 3, -4, 20], [5, 6, 7, np.nan, 30], [np.nan, 0, 0, 1, 10]])
    targets = messages.radar_targets(radar_msg(["x", "y", "z", name, "snr"], columns))
    assert targets.xyz.tolist() == [[1, 2, 3]] and targets.range_rate.tolist() == [-4]
    assert targets.snr is not None and targets.snr.tolist() == [20]
    with pytest.raises(MessageError, match="no radar"):
        messages.radar_targets(radar_msg(["x", "y", "z"], columns[:, :3]))
    with pytest.raises(MessageError, match="has no field z; it has x, y"):
        messages.point_cloud(radar_msg(["x", "y"], columns[:, :2]))


def test_radar_tracks_give_the_velocity_along_the_line_of_sight() -> None:
    tracks = [
        Msg(position=xyz(30, 40, 0), velocity=xyz(-3, -4, 0)),  # straight at the radar
        Msg(position=xyz(10, 0, 0), velocity=xyz(0, 8, 0)),  # across
        Msg(position=xyz(5, 0, 0), velocity=xyz(float("nan"), 0, 0)),
    ]
    targets = messages.radar_tracks(Msg(header=HEADER, tracks=tracks))
    assert targets.stamp_ns == messages.stamp_ns(HEADER) and targets.snr is None
    assert targets.xyz.tolist() == [[30, 40, 0], [10, 0, 0]]
    assert targets.range_rate.tolist() == pytest.approx([-5, 0])
    assert len(messages.radar_tracks(Msg(header=HEADER, tracks=[]))) == 0


def info(model: str = "plumb_bob", d: Any = (), **changes: Any) -> Msg:
    roi = Msg(x_offset=0, y_offset=0, width=0, height=0, do_rectify=False)
    msg = Msg(
        header=HEADER, width=640, height=480, distortion_model=model, d=array.array("d", d),
        k=np.array([500.0, 0, 320, 0, 510, 240, 0, 0, 1]), binning_x=0, binning_y=0, roi=roi,
        p=np.array([400.0, 0, 310, 0, 0, 410, 230, 0, 0, 0, 1, 0]),
    )  # fmt: skip
    vars(msg).update(changes)
    return msg


@pytest.mark.parametrize(
    ("said", "n", "model"),
    [
        ("plumb_bob", 5, "plumb_bob"),
        ("rational_polynomial", 8, "rational_polynomial"),
        ("equidistant", 4, "equidistant"),
        ("fisheye", 4, "equidistant"),
        ("kannala_brandt", 4, "equidistant"),
        ("", 0, "plumb_bob"),
    ],
)
def test_camera_models(said: str, n: int, model: str) -> None:
    camera = messages.camera_model(info(said, np.arange(1, n + 1) / 100))
    assert camera.distortion_model == model and len(camera.distortion) == n
    assert (camera.width, camera.height, camera.frame_id) == (640, 480, "sensor")
    camera.project(np.array([[0.1, 0.1, 1]], np.float32))


def test_camera_with_binning_and_region_of_interest() -> None:
    roi = Msg(x_offset=100, y_offset=40, width=400, height=200, do_rectify=False)
    camera = messages.camera_model(info(binning_x=2, binning_y=2, roi=roi))
    assert (camera.width, camera.height) == (200, 100)
    assert camera.k.tolist() == [[250, 0, 110], [0, 255, 100], [0, 0, 1]]


def test_rectified_camera() -> None:
    camera = messages.camera_model(info(d=[0.1] * 5), rectified=True)
    assert camera.k.tolist() == [[400, 0, 310], [0, 410, 230], [0, 0, 1]] and not camera.is_distorted


@pytest.mark.parametrize(
    ("msg", "words"),
    [
        (info(k=np.zeros(9)), "not calibrated"),
        (info("omni"), "'omni' is none of plumb_bob"),
        (info(d=[0.1] * 3), "3 distortion coefficients"),
        (info(width=0), "0x480"),
    ],
)
def test_camera_nonsense(msg: Msg, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        messages.camera_model(msg)


def xyz(*values: float) -> Msg:
    return Msg(**dict(zip("xyzw", values)))


def test_odometry_is_the_twist() -> None:
    msg = Msg(header=HEADER, twist=Msg(twist=Msg(linear=xyz(3, 4, 0), angular=xyz(0, 0, 0.2))))
    ego = messages.odometry(msg)
    assert ego.speed == 5 and ego.angular.tolist() == [0, 0, 0.2]
    msg.twist.twist.linear.x = float("nan")
    with pytest.raises(MessageError):
        messages.odometry(msg)


def test_transforms() -> None:
    turn = Msg(translation=xyz(1, 2, 3), rotation=xyz(0, 0, 0.5**0.5, 0.5**0.5))
    msg = Msg(transforms=[Msg(header=Msg(frame_id="base"), child_frame_id="lidar", transform=turn)])
    [(parent, child, matrix)] = messages.transforms(msg)
    assert (parent, child) == ("base", "lidar")
    assert np.allclose(matrix @ [1, 0, 0, 1], [1, 3, 3, 1])
    turn.rotation = xyz(0, 0, 0, 0)
    with pytest.raises(MessageError, match="base to lidar"):
        messages.transforms(msg)


def hypothesis(layout: str, label: Any, score: float) -> Msg:
    if layout == "new":
        return Msg(hypothesis=Msg(class_id=label, score=score), pose=None)
    return Msg(id=label, score=score, pose=None)


def box(layout: str, x: float, y: float, w: float, h: float, theta: float = 0.0) -> Msg:
    center = Msg(position=xyz(x, y), theta=theta) if layout == "new" else Msg(x=x, y=y, theta=theta)
    return Msg(center=center, size_x=w, size_y=h)


@pytest.mark.parametrize("layout", ["new", "old"])
def test_detections(layout: str) -> None:
    results = [hypothesis(layout, "Dog", 0.2), hypothesis(layout, "Car", 0.75)]
    msg = Msg(
        header=HEADER,
        detections=[
            Msg(results=results, bbox=box(layout, 10, 20, 4, 6)),
            Msg(results=[hypothesis(layout, 7, 0.5)], bbox=box(layout, 10, 20, 4, 6, np.pi / 2)),
            Msg(results=[], bbox=box(layout, 0, 0, 1, 1)),
        ],
    )
    found = messages.detections(msg)
    assert found.labels == ["car", "7", "unknown"] and found.score.tolist() == [0.75, 0.5, 1.0]
    assert np.allclose(found.xyxy[:2], [[8, 17, 12, 23], [7, 18, 13, 22]], atol=1e-5)
    assert messages.detections(msg, ("truck", "7")).class_names == ("truck", "7", "car", "unknown")
    assert len(messages.detections(Msg(header=HEADER, detections=[]))) == 0


@pytest.mark.parametrize("values", [(np.nan, 0, 1, 1), (0, 0, -1, 1), (0, np.inf, 1, 1)])
def test_detections_nonsense(values: tuple[float, float, float, float]) -> None:
    detection = Msg(results=[hypothesis("new", "car", 1.0)], bbox=box("new", *values))
    with pytest.raises(MessageError):
        messages.detections(Msg(header=HEADER, detections=[detection]))


@pytest.mark.parametrize("layout", ["new", "old"])
def test_detections_3d(layout: str) -> None:
    bbox = Msg(center=Msg(position=xyz(1, 2, 3), orientation=xyz(0, 0, 0, 1)), size=xyz(4, 5, 6))
    results = [hypothesis(layout, "car", -1.5), hypothesis(layout, "van", -2.0)]
    found = messages.detections_3d(Msg(header=HEADER, detections=[Msg(results=results, bbox=bbox)]))
    assert found.center.tolist() == [[1, 2, 3]] and found.size.tolist() == [[4, 5, 6]]
    assert found.orientation.tolist() == [[0, 0, 0, 1]] and found.score.tolist() == [-1.5]
    assert found.class_names == ("car",) and found.frame_id == "sensor"


def test_messages_of_rclpy() -> None:
    """The vehicle's message objects, with their own arrays, as a node gets them from DDS."""
    pytest.importorskip("rclpy", reason="needs ROS 2")
    from rclpy.serialization import deserialize_message, serialize_message
    from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2, PointField

    def through_cdr(msg: Any) -> Any:
        msg.header.stamp.sec, msg.header.stamp.nanosec, msg.header.frame_id = 3, 7, "sensor"
        return deserialize_message(serialize_message(msg), type(msg))

    raw = array.array("B", scene().tobytes())
    image = messages.image(through_cdr(Image(height=32, width=48, encoding="bgr8", step=144, data=raw)))
    assert np.array_equal(image.bgr, scene()) and image.stamp_ns == 3_000_000_007
    png = array.array("B", cv2.imencode(".png", scene())[1].tobytes())
    image = messages.compressed_image(through_cdr(CompressedImage(format="png", data=png)))
    assert np.array_equal(image.bgr, scene())
    fields = [PointField(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate("xyz")]
    points = np.arange(12, dtype=np.float32).reshape(4, 3)
    cloud = PointCloud2(height=1, width=4, fields=fields, point_step=12, row_step=48)
    cloud.data = array.array("B", points.tobytes())
    assert np.array_equal(messages.point_cloud(through_cdr(cloud)).xyz, points)
    camera = CameraInfo(width=48, height=32, distortion_model="plumb_bob", d=[0.1, 0.0, 0.0, 0.0, 0.0])
    camera.k = [20.0, 0.0, 24.0, 0.0, 20.0, 16.0, 0.0, 0.0, 1.0]
    assert messages.camera_model(through_cdr(camera)).focal == 20
