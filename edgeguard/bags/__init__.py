"""rosbag2 recordings: read to the types that flow, copied, changed and written."""

from edgeguard.bags.connection import Connection
from edgeguard.bags.definitions import load_definitions, typestore
from edgeguard.bags.encode_objects import (
    to_camera_info_msg,
    to_detections_3d_msg,
    to_detections_msg,
    to_odometry_msg,
    to_tf_msg,
)
from edgeguard.bags.encode_sensors import (
    edited_point_cloud_msg,
    to_compressed_image_msg,
    to_image_msg,
    to_point_cloud_msg,
    to_radar_msg,
)
from edgeguard.bags.reader import BagItem, BagReader, RawMessage
from edgeguard.bags.topics import CAMERA_INFO, TF_STATIC
from edgeguard.bags.writer import BagWriter

__all__ = [
    "CAMERA_INFO",
    "TF_STATIC",
    "BagItem",
    "BagReader",
    "BagWriter",
    "Connection",
    "RawMessage",
    "edited_point_cloud_msg",
    "load_definitions",
    "to_camera_info_msg",
    "to_compressed_image_msg",
    "to_detections_3d_msg",
    "to_detections_msg",
    "to_image_msg",
    "to_odometry_msg",
    "to_point_cloud_msg",
    "to_radar_msg",
    "to_tf_msg",
    "typestore",
]
