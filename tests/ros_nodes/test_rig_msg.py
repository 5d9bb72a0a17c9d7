"""A rig file and the messages that it stands for say the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeguard import messages
from edgeguard.rig_file import load_rig
from tests.test_rig_file import RIG


def test_a_rig_survives_its_messages(tmp_path: Path) -> None:
    from rclpy.serialization import deserialize_message, serialize_message
    from sensor_msgs.msg import CameraInfo
    from tf2_msgs.msg import TFMessage

    from ros_nodes.rig_msg import rig_messages

    path = tmp_path / "rig.yaml"
    path.write_text(RIG.replace("cy: 173.0", "cy: 173.0, distortion: [0.1, 0.01, 0, 0, 0.2]"))
    rig = load_rig(path)
    info, transforms = rig_messages(rig)
    info = deserialize_message(serialize_message(info), CameraInfo)
    camera = messages.camera_model(info)
    assert (camera.frame_id, camera.width, camera.height) == ("camera", 1242, 375)
    np.testing.assert_array_equal(camera.k, rig.camera.k)
    np.testing.assert_array_equal(camera.distortion, rig.camera.distortion)
    assert messages.camera_model(info, rectified=True).k[0, 2] == 610.0
    told = messages.transforms(deserialize_message(serialize_message(transforms), TFMessage))
    for (parent, child, pose), (p, c, expected) in zip(told, rig.transforms, strict=True):
        assert (parent, child) == (p, c)
        np.testing.assert_allclose(pose, expected, atol=1e-12)
