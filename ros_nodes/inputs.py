"""The subscriptions of the nodes: which message types, with which quality, read by which function.

Messages are taken as they came over the wire and read where they lie, as those of a recording are: rclpy's
own message objects copy an image twice, and cost a millisecond for a dozen boxes.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from rosbags.serde import SerdeError
from sensor_msgs.msg import CameraInfo, CompressedImage, PointCloud2
from sensor_msgs.msg import Image as ImageMsg

from edgeguard import messages
from edgeguard.bags.boxes import BoxDecoder
from edgeguard.bags.definitions import Decoder
from edgeguard.errors import EdgeGuardError, MessageError
from edgeguard.rig import CameraModel
from edgeguard.rig_file import LoadedRig
from edgeguard.types import Channel, Image
from ros_nodes import qos
from ros_nodes.settings import MonitorInputs

Sink = Callable[[Channel | None, Any], None]
"""Takes what a message says, and the stream that it belongs to; calibration belongs to none."""


MIN_SIDE_PX = 16
"""Pictures smaller than this are no camera's, and too small to be averaged and halved."""


Reader = Callable[[bytes], Any]
"""Returns what a serialised message says; raises `MessageError` where it cannot be understood."""

_Row = tuple[str, type, QoSProfile, "Channel | None", Reader]


def reader(kind: type, read: Callable[[Any], Any]) -> Reader:
    """Return what reads serialised messages of a type; `read` takes the message, its arrays being views."""
    decoder = Decoder(f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}", "")
    return _refusing(kind, lambda data: read(decoder.decode(memoryview(data))))


def boxes_reader(kind: type) -> Reader:
    """Return what reads serialised detections; a class keeps its number from message to message."""
    return _refusing(kind, BoxDecoder(f"vision_msgs/msg/{kind.__name__}", "").read)


def _refusing(kind: type, read: Reader) -> Reader:
    def from_wire(data: bytes) -> Any:
        try:
            return read(data)
        except SerdeError as e:
            raise MessageError(kind.__name__, str(e)) from e

    return from_wire


def vision_msgs() -> Any:
    """Return the `vision_msgs.msg` module.

    Raises:
        EdgeGuardError: it is not installed.
    """
    try:
        import vision_msgs.msg
    except ImportError as e:
        remedy = "apt install ros-$ROS_DISTRO-vision-msgs, or `make interfaces` beside the PyPI wheels"
        raise EdgeGuardError(f"vision_msgs is not installed: {remedy}") from e
    return vision_msgs.msg


def image_input(transport: str) -> tuple[type, Reader]:
    """Return the message type of a transport and what reads it, serialised."""
    kind, read = (
        (CompressedImage, messages.compressed_image)
        if transport == "compressed"
        else (ImageMsg, messages.image)
    )

    def picture(msg: Any) -> Image:
        found = read(msg)
        if min(found.size) < MIN_SIDE_PX:
            width, height = found.size
            raise MessageError(
                kind.__name__, f"is {width}x{height} pixels; a camera has {MIN_SIDE_PX} or more"
            )
        return found

    return kind, reader(kind, picture)


def radar_input(kind: str) -> tuple[type, Reader]:
    """Return the message type of a kind of radar and what reads it, serialised.

    Raises:
        EdgeGuardError: it is not installed.
    """
    if kind == "points":
        return PointCloud2, reader(PointCloud2, messages.radar_targets)
    try:
        from radar_msgs.msg import RadarTracks
    except ImportError as e:
        remedy = "apt install ros-$ROS_DISTRO-radar-msgs, or inputs.radar: points"
        raise EdgeGuardError(f"radar_msgs is not installed: {remedy}") from e
    return RadarTracks, reader(RadarTracks, messages.radar_tracks)


class MonitorSubscriptions:
    """All streams of the monitor, each message handed to `sink` as what it says.

    A message that cannot be understood is logged and dropped: its stream then counts as silent. Where a rig
    is given, `sink` gets it at once, and neither camera_info nor /tf_static is read.

    Raises:
        EdgeGuardError: a message type is not installed.
    """

    def __init__(
        self,
        node: Node,
        inputs: MonitorInputs,
        sink: Sink,
        *,
        rig: LoadedRig | None,
        except_for: frozenset[Channel] = frozenset(),
    ) -> None:
        from tf2_msgs.msg import TFMessage

        self._node = node
        self._sink = sink
        self._times: dict[str, tuple[int, int, int]] = {}
        self._info = b""
        self._camera: CameraModel | None = None
        rectified = messages.is_rectified(node.resolve_topic_name("input/image"))
        self._read_info = reader(CameraInfo, functools.partial(messages.camera_model, rectified=rectified))
        image_type, read_image = image_input(inputs.transport)
        radar_type, read_radar = radar_input(inputs.radar)
        vision = vision_msgs()
        boxes, boxes_3d = vision.Detection2DArray, vision.Detection3DArray
        read_boxes, read_boxes_3d = boxes_reader(boxes), boxes_reader(boxes_3d)
        read_points = reader(PointCloud2, functools.partial(messages.point_cloud, intensity=False))
        read_motion = reader(Odometry, messages.odometry)
        table: tuple[_Row, ...] = (
            ("input/image", image_type, qos.NEWEST_IMAGE, Channel.CAMERA, read_image),
            ("input/detections", boxes, qos.RESULT, Channel.DETECTIONS, read_boxes),
            ("input/points", PointCloud2, qos.SENSOR, Channel.LIDAR, read_points),
            ("input/lidar_detections", boxes_3d, qos.RESULT, Channel.LIDAR_DETECTIONS, read_boxes_3d),
            ("input/radar", radar_type, qos.SENSOR, Channel.RADAR, read_radar),
            ("input/odometry", Odometry, qos.SENSOR, Channel.EGO, read_motion),
        )
        for known in rig or ():
            sink(None, known)
        if rig is None:
            table += (
                ("input/camera_info", CameraInfo, qos.SENSOR, None, self._camera_model),
                ("/tf_static", TFMessage, qos.LATCHED, None, reader(TFMessage, messages.transforms)),
            )
        self._subscriptions: list[Subscription[Any]] = [
            node.create_subscription(kind, topic, self._callback(topic, channel, read), profile, raw=True)
            for topic, kind, profile, channel, read in table
            if channel not in except_for
        ]

    def since(self, stamp_ns: int) -> dict[str, list[float | None]]:
        """Return by stream when its newest message was sent, had arrived and had been read.

        Args:
            stamp_ns: on the system's clock; times are ms after it, None where the transport does not tell.
        """
        return {
            name: [round((at - stamp_ns) / 1e6, 3) if at else None for at in times]
            for name, times in self._times.items()
        }

    def close(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _callback(
        self, topic: str, channel: Channel | None, read: Reader
    ) -> Callable[[bytes, Mapping[str, int] | None], None]:
        # A logger throttles by its place in the code: one a topic, or the first topic would silence the rest.
        logger = self._node.get_logger().get_child(topic.strip("/").replace("/", "_"))

        # The executors of older releases (Humble) hand over the message alone; `lean_spin` does not.
        def callback(data: bytes, info: Mapping[str, int] | None = None) -> None:
            try:
                value = read(data)
            except MessageError as e:
                logger.error(f"{topic}: dropped: {e}", throttle_duration_sec=1.0)
                return
            if channel is not None and info is not None:
                sent, arrived = info["source_timestamp"], info["received_timestamp"]
                self._times[channel.value] = sent, arrived, time.time_ns()
            self._sink(channel, value)

        return callback

    def _camera_model(self, data: bytes) -> CameraModel:
        # One comes with each image, and only its stamp differs: reading each would cost a percent of a core.
        content = data[: messages.STAMP.start] + data[messages.STAMP.stop :]
        if self._camera is None or content != self._info:
            self._camera = self._read_info(data)
            self._info = content
        return self._camera
