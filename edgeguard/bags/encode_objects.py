"""Detections, calibration, motion and transforms, back to ROS messages of a `rosbags` type store.

`edgeguard.messages` reads what these write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rosbags.typesys.store import Typestore

from edgeguard.bags.build import header, make, pose, quaternion, vector, with_covariance
from edgeguard.rig import CameraModel
from edgeguard.types import F64, Detections, Detections3D, EgoMotion


def to_detections_msg(store: Typestore, detections: Detections, frame_id: str) -> Any:
    """Return a `vision_msgs/Detection2DArray` in the layout that `store` has."""
    stamped, rows = header(store, detections.stamp_ns, frame_id), []
    for (x1, y1, x2, y2), score, label in zip(
        detections.xyxy.astype(np.float64).tolist(), detections.score.tolist(), detections.labels
    ):
        x, y = (x1 + x2) / 2, (y1 + y2) / 2
        if "vision_msgs/msg/Pose2D" in store.fielddefs:
            position = make(store, "vision_msgs", "Point2D", x=x, y=y)
            center = make(store, "vision_msgs", "Pose2D", position=position, theta=0.0)
        else:
            center = make(store, "geometry_msgs", "Pose2D", x=x, y=y, theta=0.0)
        box = make(store, "vision_msgs", "BoundingBox2D", center=center, size_x=x2 - x1, size_y=y2 - y1)
        result = _hypothesis(store, label, score, pose(store))
        rows.append(_detection(store, "Detection2D", stamped, result, box))
    return make(store, "vision_msgs", "Detection2DArray", header=stamped, detections=rows)


def to_detections_3d_msg(store: Typestore, detections: Detections3D) -> Any:
    """Return a `vision_msgs/Detection3DArray` in the layout that `store` has."""
    stamped, rows = header(store, detections.stamp_ns, detections.frame_id), []
    for center, size, xyzw, score, class_id in zip(
        detections.center.tolist(),
        detections.size.tolist(),
        detections.orientation.tolist(),
        detections.score.tolist(),
        detections.class_id.tolist(),
    ):
        at = pose(store, center, xyzw)
        box = make(store, "vision_msgs", "BoundingBox3D", center=at, size=vector(store, size))
        result = _hypothesis(store, detections.class_names[class_id], score, at)
        rows.append(_detection(store, "Detection3D", stamped, result, box))
    return make(store, "vision_msgs", "Detection3DArray", header=stamped, detections=rows)


def to_camera_info_msg(store: Typestore, camera: CameraModel, stamp_ns: int) -> Any:
    """Return a `sensor_msgs/CameraInfo` without rectification: R is the identity, P is K."""
    roi = make(
        store, "sensor_msgs", "RegionOfInterest", x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return make(
        store,
        "sensor_msgs",
        "CameraInfo",
        header=header(store, stamp_ns, camera.frame_id),
        height=camera.height,
        width=camera.width,
        distortion_model=camera.distortion_model,
        d=np.asarray(camera.distortion, np.float64),
        k=np.asarray(camera.k, np.float64).reshape(9),
        r=np.eye(3).reshape(9),
        p=np.hstack([camera.k, np.zeros((3, 1))]).reshape(12),
        binning_x=0,
        binning_y=0,
        roi=roi,
    )


def to_odometry_msg(
    store: Typestore, ego: EgoMotion, *, frame_id: str = "odom", child: str = "base_link"
) -> Any:
    """Return a `nav_msgs/Odometry` with the twist in `child`; its pose is the identity."""
    linear, angular = vector(store, ego.linear.tolist()), vector(store, ego.angular.tolist())
    twist = make(store, "geometry_msgs", "Twist", linear=linear, angular=angular)
    return make(
        store,
        "nav_msgs",
        "Odometry",
        header=header(store, ego.stamp_ns, frame_id),
        child_frame_id=child,
        pose=with_covariance(store, "Pose", pose(store)),
        twist=with_covariance(store, "Twist", twist),
    )


def to_tf_msg(store: Typestore, transforms: Sequence[tuple[str, str, F64]], stamp_ns: int) -> Any:
    """Return a `tf2_msgs/TFMessage` of (parent, child, (4, 4) pose of the child in the parent)."""
    from scipy.spatial.transform import Rotation  # slow to load, and only writing needs it

    rows = []
    for parent, child, matrix in transforms:
        xyzw = Rotation.from_matrix(matrix[:3, :3]).as_quat().tolist()
        translation = vector(store, matrix[:3, 3].tolist())
        step = make(
            store, "geometry_msgs", "Transform", translation=translation, rotation=quaternion(store, xyzw)
        )
        at = header(store, stamp_ns, parent)
        rows.append(
            make(store, "geometry_msgs", "TransformStamped", header=at, child_frame_id=child, transform=step)
        )
    return make(store, "tf2_msgs", "TFMessage", transforms=rows)


def _hypothesis(store: Typestore, label: str, score: float, at: Any) -> Any:
    """An `ObjectHypothesisWithPose`."""
    full = with_covariance(store, "Pose", at)
    if "hypothesis" in _fields(store, "ObjectHypothesisWithPose"):
        inner = make(store, "vision_msgs", "ObjectHypothesis", class_id=label, score=score)
        return make(store, "vision_msgs", "ObjectHypothesisWithPose", hypothesis=inner, pose=full)
    return make(store, "vision_msgs", "ObjectHypothesisWithPose", id=label, score=score, pose=full)


def _detection(store: Typestore, kind: str, stamped: Any, result: Any, box: Any) -> Any:
    """A `Detection2D` or `Detection3D` without a source, a track or an id."""
    empty: dict[str, Any] = {"id": "", "is_tracking": False, "tracking_id": ""}
    has = _fields(store, kind)
    if "source_img" in has:
        empty["source_img"] = _blank_image(store, stamped)
    if "source_cloud" in has:
        empty["source_cloud"] = _blank_cloud(store, stamped)
    rest = {name: value for name, value in empty.items() if name in has}
    return make(store, "vision_msgs", kind, header=stamped, results=[result], bbox=box, **rest)


def _blank_image(store: Typestore, stamped: Any) -> Any:
    size = {"height": 0, "width": 0, "encoding": "", "is_bigendian": 0, "step": 0}
    return make(store, "sensor_msgs", "Image", header=stamped, data=np.zeros(0, np.uint8), **size)


def _blank_cloud(store: Typestore, stamped: Any) -> Any:
    size = {"height": 0, "width": 0, "is_bigendian": False, "point_step": 0, "row_step": 0, "is_dense": True}
    return make(
        store, "sensor_msgs", "PointCloud2", header=stamped, fields=[], data=np.zeros(0, np.uint8), **size
    )


def _fields(store: Typestore, name: str) -> set[str]:
    return {field for field, _ in store.fielddefs[f"vision_msgs/msg/{name}"][1]}
