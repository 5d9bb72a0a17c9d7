"""The subscriptions of the nodes: which message types, with which quality, read by which function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, CompressedImage, PointCloud2
from sensor_msgs.msg import Image as ImageMsg

from edgeguard import messages
from edgeguard.errors import EdgeGuardError, MessageError
from edgeguard.types import Channel, Detections, Detections3D
from ros_nodes import qos
from ros_nodes.settings import MonitorInputs

Sink = Callable[[Channel | None, Any], None]
"""Takes what a message says, and the stream that it belongs to; calibration belongs to none."""


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


def image_input(transport: str) -> tuple[type, Callable[[Any], Any]]:
    """Return the message type of a transport and the function that reads it."""
    if transport == "compressed":
        return CompressedImage, messages.compressed_image
    return ImageMsg, messages.image


class MonitorSubscriptions:
    """All streams of the monitor, each message handed to `sink` as what it says.

    A message that cannot be understood is logged and dropped: its stream then counts as silent.
    """

    def __init__(
        self, node: Node, inputs: MonitorInputs, sink: Sink, *, except_for: frozenset[Channel] = frozenset()
    ) -> None:
        from tf2_msgs.msg import TFMessage

        self._node = node
        self._sink = sink
        self._names: dict[Channel, tuple[str, ...]] = {}
        image_type, read_image = image_input(inputs.transport)
        vision = vision_msgs()
        table: tuple[tuple[str, type, QoSProfile, Channel | None, Callable[[Any], Any]], ...] = (
            ("input/image", image_type, qos.NEWEST_IMAGE, Channel.CAMERA, read_image),
            ("input/detections", vision.Detection2DArray, qos.RESULT, Channel.DETECTIONS, self._detections),
            ("input/points", PointCloud2, qos.SENSOR, Channel.LIDAR, messages.point_cloud),
            (
                "input/lidar_detections",
                vision.Detection3DArray,
                qos.RESULT,
                Channel.LIDAR_DETECTIONS,
                self._lidar_detections,
            ),
            ("input/odometry", Odometry, qos.SENSOR, Channel.EGO, messages.odometry),
            ("input/camera_info", CameraInfo, qos.SENSOR, None, messages.camera_model),
            ("/tf_static", TFMessage, qos.LATCHED, None, messages.transforms),
        )
        self._subscriptions: list[Subscription[Any]] = [
            node.create_subscription(kind, topic, self._callback(topic, channel, read), profile)
            for topic, kind, profile, channel, read in table
            if channel not in except_for
        ]

    def close(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)

    def _callback(
        self, topic: str, channel: Channel | None, read: Callable[[Any], Any]
    ) -> Callable[[Any], None]:
        # A logger throttles by its place in the code: one a topic, or the first topic would silence the rest.
        logger = self._node.get_logger().get_child(topic.strip("/").replace("/", "_"))

        def callback(msg: Any) -> None:
            try:
                value = read(msg)
            except MessageError as e:
                logger.error(f"{topic}: dropped: {e}", throttle_duration_sec=1.0)
            else:
                self._sink(channel, value)

        return callback

    def _detections(self, msg: Any) -> Detections:
        found = messages.detections(msg, self._names.get(Channel.DETECTIONS, ()))
        self._names[Channel.DETECTIONS] = found.class_names
        return found

    def _lidar_detections(self, msg: Any) -> Detections3D:
        found = messages.detections_3d(msg, self._names.get(Channel.LIDAR_DETECTIONS, ()))
        self._names[Channel.LIDAR_DETECTIONS] = found.class_names
        return found
