"""What comes over the wire is read as rclpy would read it, where it lies; damaged, it is refused."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard import messages
from edgeguard.errors import MessageError

pytest.importorskip("vision_msgs")


@functools.cache
def samples() -> dict[str, tuple[Any, Any, bytes]]:
    """By stream: the message type, what reads it, and a serialised message."""
    from nav_msgs.msg import Odometry
    from rclpy.serialization import serialize_message
    from sensor_msgs.msg import CameraInfo, Image
    from tf2_msgs.msg import TFMessage
    from vision_msgs.msg import Detection2D, Detection2DArray, ObjectHypothesisWithPose

    from tests.ros_nodes.vehicle import cloud

    image = Image(height=4, width=5, encoding="bgr8", step=15)
    image.data.frombytes(bytes(range(60)))
    points = cloud(np.arange(12.0).reshape(3, 4), "x", "y", "z", "intensity")
    found = Detection2DArray(detections=[Detection2D()])
    found.detections[0].bbox.size_x = found.detections[0].bbox.size_y = 2.0
    found.detections[0].results.append(ObjectHypothesisWithPose())
    found.detections[0].results[0].hypothesis.class_id = "car"
    info = CameraInfo(height=4, width=5, distortion_model="plumb_bob", k=[9.0, 0, 2, 0, 9.0, 2, 0, 0, 1])
    made = {
        "image": (image, messages.image),
        "points": (points, messages.point_cloud),
        "detections": (found, messages.detections),
        "odometry": (Odometry(), messages.odometry),
        "camera_info": (info, messages.camera_model),
        "tf": (TFMessage(), messages.transforms),
    }
    return {k: (type(m), read, bytes(serialize_message(m))) for k, (m, read) in made.items()}


STREAMS = ("image", "points", "detections", "odometry", "camera_info", "tf")


@pytest.mark.parametrize("stream", STREAMS)
def test_the_wire_says_what_rclpy_says(stream: str) -> None:
    from rclpy.serialization import deserialize_message

    from ros_nodes.inputs import reader

    kind, read, data = samples()[stream]
    here, there = reader(kind, read)(data), read(deserialize_message(data, kind))
    assert repr(here) == repr(there)


def test_a_picture_is_looked_at_where_it_lies() -> None:
    from ros_nodes.inputs import reader

    kind, read, data = samples()["image"]
    assert np.shares_memory(reader(kind, read)(data).bgr, np.frombuffer(data, np.uint8))


@given(st.sampled_from(STREAMS), st.data())
def test_what_is_damaged_on_its_way_is_refused_or_read_but_never_worse(stream: str, draw: Any) -> None:
    from ros_nodes.inputs import reader

    kind, read, data = samples()[stream]
    at, byte = draw.draw(st.integers(0, len(data) - 1)), draw.draw(st.integers(0, 255))
    damaged = data[:at] + bytes([byte]) + data[at + 1 :]
    for wire in (damaged, data[:at], draw.draw(st.binary(max_size=64))):
        with contextlib.suppress(MessageError):
            reader(kind, read)(wire)
