"""A rig file as the messages that it stands for."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import Quaternion, Transform, TransformStamped, Vector3
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo

from edgeguard.rig_file import LoadedRig


def rig_messages(rig: LoadedRig) -> tuple[CameraInfo, Any]:
    """Return a rig as `sensor_msgs/CameraInfo` and `tf2_msgs/TFMessage`, without stamps."""
    from tf2_msgs.msg import TFMessage

    camera = rig.camera
    info = CameraInfo(width=camera.width, height=camera.height, distortion_model=camera.distortion_model)
    info.header.frame_id = camera.frame_id
    info.d = camera.distortion.tolist()
    info.k = camera.k.ravel()
    info.r[[0, 4, 8]] = 1.0
    info.p.reshape(3, 4)[:, :3] = camera.k
    transforms = []
    for parent, child, matrix in rig.transforms:
        x, y, z = (float(v) for v in matrix[:3, 3])
        q = (float(v) for v in Rotation.from_matrix(matrix[:3, :3]).as_quat())
        pose = Transform(translation=Vector3(x=x, y=y, z=z), rotation=Quaternion(**dict(zip("xyzw", q))))
        stamped = TransformStamped(child_frame_id=child, transform=pose)
        stamped.header.frame_id = parent
        transforms.append(stamped)
    return info, TFMessage(transforms=transforms)
