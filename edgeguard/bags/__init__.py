"""rosbag2 recordings: read to the types that flow, copied, changed and written."""

from edgeguard.bags.reader import BagItem, BagReader, RawMessage
from edgeguard.bags.topics import CAMERA_INFO, TF_STATIC
from edgeguard.bags.writer import BagWriter

__all__ = ["CAMERA_INFO", "TF_STATIC", "BagItem", "BagReader", "BagWriter", "RawMessage"]
