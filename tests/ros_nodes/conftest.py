"""Live tests need a ROS 2: the PyPI wheels (x86-64, Python 3.11 to 3.13) or a sourced one."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("rclpy", "diagnostic_msgs", "sensor_msgs", "nav_msgs", "vision_msgs", "tf2_msgs")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
FREEZE_FROM = 25

# Read when the first node of a process is made.
os.environ.setdefault("FASTDDS_DEFAULT_PROFILES_FILE", str(ROOT / "config" / "fastdds_large_data.xml"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not MISSING:
        return
    reason = f"no ROS 2 here: {', '.join(MISSING)} cannot be imported (wheels: x86-64, Python 3.11 to 3.13)"
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def listener() -> Iterator[object]:
    from tests.ros_nodes.live import Listener

    made = Listener()
    yield made
    made.close()


@pytest.fixture(scope="session")
def recording(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """kitti_a as a vehicle would publish it: raw images, with YOLOX's detections, and its camera frozen from
    frame `FREEZE_FROM` on."""
    pytest.importorskip("onnxruntime")
    from edgeguard.bags import BagReader, BagWriter
    from edgeguard.bags.encode_objects import to_detections_msg
    from edgeguard.bags.encode_sensors import to_image_msg
    from edgeguard.engine import open_engine
    from edgeguard.types import Image

    os.environ.setdefault("EDGEGUARD_MODELS", str(shared / "models"))
    path = tmp_path_factory.mktemp("live") / "kitti_a_frozen"
    engine = open_engine("yolox_nano")
    frame, frozen = 0, None
    with BagReader(shared / "data" / "kitti_a") as reader, BagWriter(path) as writer:
        for raw in reader.raw_messages():
            if raw.connection.topic != "/camera/image/compressed":
                writer.copy(raw.connection, raw.log_ns, raw.data)
                continue
            image = reader.value(raw)
            if frame == FREEZE_FROM:
                frozen = image.bgr
            image = Image(image.stamp_ns, image.frame_id, image.bgr if frozen is None else frozen)
            frame += 1
            message = to_image_msg(writer.store, image)
            writer.write("/camera/image", "sensor_msgs/msg/Image", raw.log_ns, message)
            detections = to_detections_msg(writer.store, engine.detect(image), image.frame_id)
            topic, kind = "/camera/detections", "vision_msgs/msg/Detection2DArray"
            writer.write(topic, kind, raw.log_ns, detections)
    engine.close()
    return path
