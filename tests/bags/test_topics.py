"""Topics are found by type where one fits, and named by the user where several do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import recordings as rec

from edgeguard.bags import CAMERA_INFO, TF_STATIC, BagReader, to_radar_msg
from edgeguard.errors import BagError
from edgeguard.types import Channel, RadarTargets


def message(topic: str, msgtype: str) -> rec.Message:
    made = {
        rec.IMAGE: lambda: rec.to_image_msg(rec.STORE, rec.image(0)),
        rec.CLOUD: lambda: rec.to_point_cloud_msg(rec.STORE, rec.cloud(0)),
        rec.INFO: lambda: rec.to_camera_info_msg(rec.STORE, rec.CAMERA, rec.T0),
        rec.TF: lambda: rec.to_tf_msg(rec.STORE, [("a", topic, np.eye(4))], rec.T0),
    }
    return topic, msgtype, rec.T0, made[msgtype]()


def radar(topic: str) -> rec.Message:
    xyz = np.array([[10, 0, 0], [20, 1, 0]], np.float32)
    targets = RadarTargets(rec.T0, "radar", xyz, np.array([-3, 4], np.float32), np.array([9, 8], np.float32))
    return topic, rec.CLOUD, rec.T0, to_radar_msg(rec.STORE, targets)


def test_several_candidates_are_one_error_that_names_them_and_the_option(tmp_path: Path) -> None:
    topics = [("/left", rec.IMAGE), ("/right", rec.IMAGE), ("/top", rec.CLOUD), ("/front", rec.CLOUD)]
    path = rec.write(tmp_path / "bag", [message(*t) for t in topics])
    with pytest.raises(BagError) as caught:
        BagReader(path)
    assert "camera: /left, /right" in str(caught.value) and "lidar: /front, /top" in str(caught.value)
    assert "--topic camera=/left --topic lidar=/front" in str(caught.value)
    with BagReader(path, topics={Channel.CAMERA: "/right", "lidar": "/top"}) as reader:
        assert reader.topics == {Channel.CAMERA: "/right", Channel.LIDAR: "/top"}
        assert {i.topic for i in reader.messages()} == {"/right", "/top"}


def test_a_second_cloud_with_doppler_is_the_radar(tmp_path: Path) -> None:
    path = rec.write(tmp_path / "bag", [message("/cam", rec.IMAGE), message("/z", rec.CLOUD), radar("/a")])
    with BagReader(path) as reader:
        assert reader.topics == {Channel.CAMERA: "/cam", Channel.LIDAR: "/z", Channel.RADAR: "/a"}
        found = next(i.value for i in reader.messages() if i.channel == Channel.RADAR)
    assert isinstance(found, RadarTargets)
    assert list(found.range_rate) == [-3, 4] and list(found.snr) == [9, 8]


def tracks(topic: str) -> rec.Message:
    """A `radar_msgs/RadarTracks` of one track, built field by field as a driver would."""
    made = rec.STORE.types
    point, vector = made["geometry_msgs/msg/Point"], made["geometry_msgs/msg/Vector3"]
    zero, none = vector(x=0.0, y=0.0, z=0.0), np.zeros(6, np.float32)
    track = made["radar_msgs/msg/RadarTrack"](
        uuid=made["unique_identifier_msgs/msg/UUID"](uuid=np.zeros(16, np.uint8)),
        position=point(x=0.0, y=20.0, z=0.0),
        velocity=vector(x=3.0, y=-7.0, z=0.0),
        acceleration=zero,
        size=zero,
        classification=0,
        position_covariance=none,
        velocity_covariance=none,
        acceleration_covariance=none,
        size_covariance=none,
    )
    stamp = made["builtin_interfaces/msg/Time"](sec=rec.T0 // 10**9, nanosec=0)
    header = made["std_msgs/msg/Header"](stamp=stamp, frame_id="radar")
    msgtype = "radar_msgs/msg/RadarTracks"
    return topic, msgtype, rec.T0, made[msgtype](header=header, tracks=[track])


def test_radar_tracks_are_the_radar_and_leave_the_cloud_to_the_lidar(tmp_path: Path) -> None:
    messages = [message("/cam", rec.IMAGE), message("/points", rec.CLOUD), tracks("/radar")]
    path = rec.write(tmp_path / "bag", messages)
    with BagReader(path) as reader:
        assert reader.topics[Channel.RADAR] == "/radar" and reader.topics[Channel.LIDAR] == "/points"
        found = next(i.value for i in reader.messages() if i.channel == Channel.RADAR)
    assert isinstance(found, RadarTargets) and found.frame_id == "radar"
    assert found.xyz.tolist() == [[0, 20, 0]] and found.range_rate.tolist() == [-7]


def test_the_only_cloud_is_the_lidar_even_with_doppler(tmp_path: Path) -> None:
    path = rec.write(tmp_path / "bag", [message("/cam", rec.IMAGE), radar("/fmcw")])
    with BagReader(path) as reader:
        assert reader.topics[Channel.LIDAR] == "/fmcw"
    with BagReader(path, topics={"radar": "/fmcw"}) as reader:
        assert reader.topics[Channel.RADAR] == "/fmcw" and Channel.LIDAR not in reader.topics


def test_the_camera_info_beside_the_images_is_taken(tmp_path: Path) -> None:
    topics = [("/l/image", rec.IMAGE), ("/r/image", rec.IMAGE), ("/l/camera_info", rec.INFO)]
    path = rec.write(tmp_path / "bag", [message(*t) for t in [*topics, ("/r/camera_info", rec.INFO)]])
    with BagReader(path, topics={"camera": "/r/image"}) as reader:
        assert reader.topics[CAMERA_INFO] == "/r/camera_info"


def test_every_tf_static_topic_is_read_and_tf_is_not(tmp_path: Path) -> None:
    topics = [("/cam", rec.IMAGE), ("/tf_static", rec.TF), ("/robot/tf_static", rec.TF), ("/tf", rec.TF)]
    path = rec.write(tmp_path / "bag", [message(*t) for t in topics])
    with BagReader(path) as reader:
        found = [i.topic for i in reader.messages() if i.channel == TF_STATIC]
    assert sorted(found) == ["/robot/tf_static", "/tf_static"]


@pytest.mark.parametrize(
    ("topics", "words"),
    [
        ({"camera": "/nowhere"}, "no topic '/nowhere' for channel camera.*--topic camera=NAME: /cam"),
        ({"camera": "/points"}, "/points is sensor_msgs/msg/PointCloud2, channel camera takes .*Image"),
        ({"sonar": "/cam"}, "'sonar' is no channel.*camera, detections, lidar"),
    ],
)
def test_a_wrong_name_is_an_error(tmp_path: Path, topics: dict[str, str], words: str) -> None:
    path = rec.write(tmp_path / "bag", [message("/cam", rec.IMAGE), message("/points", rec.CLOUD)])
    with pytest.raises(BagError, match=words):
        BagReader(path, topics=topics)


@pytest.mark.parametrize("partial", [False, True])
def test_no_camera(tmp_path: Path, partial: bool) -> None:
    path = rec.write(tmp_path / "bag", [message("/points", rec.CLOUD)])
    with pytest.raises(BagError, match=r"no camera: .*/points \(sensor_msgs/msg/PointCloud2, 1\)"):
        BagReader(path, partial=partial)
