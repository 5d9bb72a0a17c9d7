"""The perception node: detections for every image, none included."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.ros_nodes.live import Listener

pytest.importorskip("onnxruntime")


def test_detects_what_the_engine_detects_and_says_when_there_is_nothing(
    shared: Path, listener: Listener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sensor_msgs.msg import Image as ImageMsg
    from vision_msgs.msg import Detection2DArray

    from edgeguard import messages
    from edgeguard.bags import BagReader
    from edgeguard.engine import open_engine
    from edgeguard.types import Channel, Image
    from ros_nodes import qos
    from tests.ros_nodes.live import node

    monkeypatch.setenv("EDGEGUARD_MODELS", str(shared / "models"))
    with BagReader(shared / "data" / "kitti_a") as reader:
        street = next(item.value for item in reader.messages() if item.channel is Channel.CAMERA)
    blank = Image(street.stamp_ns + 1, street.frame_id, np.full_like(street.bgr, 128))

    def message(image: Image) -> ImageMsg:
        from ros_nodes.verdict_msg import to_time

        msg = ImageMsg(height=image.size[1], width=image.size[0], encoding="bgr8", step=3 * image.size[0])
        msg.header.stamp, msg.header.frame_id = to_time(image.stamp_ns), image.frame_id
        msg.data.frombytes(image.bgr.tobytes())
        return msg

    engine = open_engine("yolox_nano")
    with node("perception_node", tmp_path):
        heard = listener.listen(Detection2DArray, "/camera/detections", qos.RESULT)
        images = listener.create_publisher(ImageMsg, "/camera/image", qos.NEWEST_IMAGE)
        listener.wait_for(
            lambda: images.get_subscription_count() and listener.matched.get("/camera/detections")
        )
        for image in (street, blank):
            # A driver goes on publishing; at best effort one image alone may meet no subscriber yet.
            timer = listener.create_timer(0.2, partial(images.publish, message(image)))
            stamp = image.stamp_ns
            listener.wait_for(lambda s=stamp: heard and messages.stamp_ns(heard[-1].header) == s)
            listener.destroy_timer(timer)
            expected = engine.detect(image)
            found = messages.detections(heard[-1])
            assert found.stamp_ns == image.stamp_ns and heard[-1].header.frame_id == image.frame_id
            assert found.labels == expected.labels
            np.testing.assert_array_equal(found.xyxy, expected.xyxy)
            np.testing.assert_array_equal(found.score, expected.score)
            assert bool(len(found)) is (image is street)


def test_build_only_readies_the_engine_and_leaves(shared: Path, tmp_path: Path, monkeypatch) -> None:
    from tests.ros_nodes.live import node

    monkeypatch.setenv("EDGEGUARD_MODELS", str(shared / "models"))
    with node("perception_node", tmp_path, build_only=True) as process:
        assert process.popen.wait(30) == 0


def test_an_unknown_engine_is_one_message_and_exit_code_2(tmp_path: Path) -> None:
    from tests.ros_nodes.live import node

    with node("perception_node", tmp_path, engine="yolox_nan") as process:
        assert process.popen.wait(30) == 2
        assert "yolox_nan" in process.output and "Traceback" not in process.output
