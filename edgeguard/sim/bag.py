"""A scene as the recording that a vehicle would have made of it.

Topics: `/camera/image/compressed` (JPEG), `/camera/camera_info`, `/lidar/points` (x, y, z, intensity, ring),
`/radar/points` (x, y, z, range_rate, snr), `/odometry` (50 Hz), `/tf_static`, and the truth under
`/ground_truth`, which no monitor reads: `detections` (2D boxes; `id` is the identity, the score is the share
that is seen) and `objects` (3D boxes in `base_link`). Where a detector is given, its results are on
`/camera/detections`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np

from edgeguard.bags import BagWriter, to_camera_info_msg, to_radar_msg, to_tf_msg
from edgeguard.sim.camera import OPTICAL_IN_BASE
from edgeguard.sim.lidar import Sweep
from edgeguard.sim.shots import Shot, shots
from edgeguard.sim.world import Scene, matrix
from edgeguard.types import F64, Detections, Image, RadarTargets

ODOMETRY_HZ = 50
_IMAGE_DELAY_NS = 12_000_000
_SWEEP_DELAY_NS = 6_000_000
_CYCLE_DELAY_NS = 9_000_000
_DETECTIONS_DELAY_NS = 30_000_000


class Detector(Protocol):
    """What makes detections of an image."""

    def detect(self, image: Image) -> Detections: ...


def write_bag(
    path: str | Path,
    scene: Scene,
    *,
    detector: Detector | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Render a scene into a new rosbag2 folder (MCAP); the same scene gives the same bytes.

    Args:
        path: the folder to make.
        scene: what to record.
        detector: where given, it looks at every image and its results are recorded on `/camera/detections`.
            Do not give one to a recording that will be attacked: they would stay those of the clean images.
        workers: processes to share the rendering; the bytes are the same.
        progress: called with frames done and frames in all.

    Raises:
        BagError: `path` exists or cannot be written.
    """
    with BagWriter(path) as writer:
        recorder = _Recorder(scene, writer)
        recorder.static()
        for index, shot in enumerate(shots(scene, workers=workers)):
            # What a detector sees is what was recorded, JPEG and all.
            found = None
            if detector is not None:
                seen = np.asarray(cv2.imdecode(shot.jpeg, cv2.IMREAD_COLOR), np.uint8)
                found = detector.detect(Image(scene.stamp_ns(index), scene.camera.frame_id, seen))
            recorder.frame(index, shot, found)
            progress(index + 1, scene.n_frames)
    return Path(path)


class _Recorder:
    """Makes a scene's messages and writes them in the order of their log time."""

    def __init__(self, scene: Scene, writer: BagWriter) -> None:
        self.scene, self._writer, self._store = scene, writer, writer.store
        self._queue: list[tuple[int, int, str, str, Any]] = []

    def static(self) -> None:
        """Announce where the sensors sit."""
        poses = []
        for frame_id, xyz, turn in (
            (self.scene.camera.frame_id, self.scene.camera_xyz, OPTICAL_IN_BASE),
            ("lidar", self.scene.lidar_xyz, np.eye(4)),
            ("radar", self.scene.radar_xyz, np.eye(4)),
        ):
            pose = turn.copy()
            pose[:3, 3] = xyz
            poses.append(("base_link", frame_id, pose))
        message = to_tf_msg(self._store, poses, self.scene.start_ns)
        self._writer.write("/tf_static", "tf2_msgs/msg/TFMessage", self.scene.start_ns, message)

    def frame(self, index: int, shot: Shot, found: Detections | None) -> None:
        """Write all that belongs to one camera tick."""
        stamp, camera = self.scene.stamp_ns(index), self.scene.camera
        image = self._make(
            "sensor_msgs/msg/CompressedImage",
            header=self._header(stamp, camera.frame_id),
            format="jpeg",
            data=shot.jpeg,
        )
        self._put(stamp + _IMAGE_DELAY_NS, "/camera/image/compressed", image)
        self._put(
            stamp + _IMAGE_DELAY_NS, "/camera/camera_info", to_camera_info_msg(self._store, camera, stamp)
        )
        echoes = shot.echoes
        self._put(stamp + _SWEEP_DELAY_NS, "/lidar/points", self._points(stamp, shot.sweep))
        targets = RadarTargets(stamp, "radar", echoes.xyz, echoes.range_rate, echoes.snr)
        self._put(stamp + _CYCLE_DELAY_NS, "/radar/points", to_radar_msg(self._store, targets))
        rng = np.random.default_rng([self.scene.seed, 5, index])
        for k in range(n := round(ODOMETRY_HZ / self.scene.rate_hz)):
            t = self.scene.time(index) + k / (n * self.scene.rate_hz)
            self._put(self.scene.start_ns + round(t * 1e9), "/odometry", self._odometry(t, rng))
        boxes = [
            (str(i), self.scene.actors[i].label, 1.0 - v.occlusion, v.xyxy) for i, v in shot.visible.items()
        ]
        self._put(stamp + _IMAGE_DELAY_NS, "/ground_truth/detections", self._boxes(stamp, boxes))
        self._put(stamp + _IMAGE_DELAY_NS, "/ground_truth/objects", self._objects(index))
        if found is not None:
            rows = [
                ("", label, float(s), box.astype(np.float64))
                for label, s, box in zip(found.labels, found.score, found.xyxy)
            ]
            self._put(stamp + _DETECTIONS_DELAY_NS, "/camera/detections", self._boxes(stamp, rows))
        self._flush()

    def _put(self, log_ns: int, topic: str, message: Any) -> None:
        self._queue.append((log_ns, len(self._queue), topic, str(message.__msgtype__), message))

    def _flush(self) -> None:
        for log_ns, _, topic, msgtype, message in sorted(self._queue, key=lambda q: q[:2]):
            self._writer.write(topic, msgtype, log_ns, message)
        self._queue.clear()

    def _points(self, stamp: int, sweep: Sweep) -> Any:
        layout = [
            ("x", "<f4", 7),
            ("y", "<f4", 7),
            ("z", "<f4", 7),
            ("intensity", "<f4", 7),
            ("ring", "<u2", 4),
        ]
        table = np.zeros(len(sweep.xyz), np.dtype([(n, f) for n, f, _ in layout]))
        for axis, name in enumerate("xyz"):
            table[name] = sweep.xyz[:, axis]
        table["intensity"], table["ring"] = sweep.intensity, sweep.ring
        assert table.dtype.fields is not None
        fields = [
            self._make(
                "sensor_msgs/msg/PointField", name=n, offset=table.dtype.fields[n][1], datatype=code, count=1
            )
            for n, _, code in layout
        ]
        step = table.dtype.itemsize
        return self._make(
            "sensor_msgs/msg/PointCloud2",
            header=self._header(stamp, "lidar"),
            height=1,
            width=len(table),
            fields=fields,
            is_bigendian=False,
            point_step=step,
            row_step=step * len(table),
            data=table.view(np.uint8),
            is_dense=True,
        )

    def _odometry(self, t: float, rng: np.random.Generator) -> Any:
        x, y, yaw = self.scene.ego.pose(t)
        yaw_rate = (self.scene.ego.pose(t + 0.025)[2] - self.scene.ego.pose(t - 0.025)[2]) / 0.05
        speed = self.scene.ego.speed(t) + float(rng.normal(0, 0.02))
        twist = self._make(
            "geometry_msgs/msg/Twist",
            linear=self._vector((speed, 0.0, 0.0)),
            angular=self._vector((0.0, 0.0, yaw_rate + float(rng.normal(0, 0.001)))),
        )
        stamp = self.scene.start_ns + round(t * 1e9)
        pose = self._pose((x, y, 0.0), yaw)
        return self._make(
            "nav_msgs/msg/Odometry",
            header=self._header(stamp, "odom"),
            child_frame_id="base_link",
            pose=self._make("geometry_msgs/msg/PoseWithCovariance", pose=pose, covariance=np.zeros(36)),
            twist=self._make(
                "geometry_msgs/msg/TwistWithCovariance",
                twist=twist,
                covariance=np.diag([4e-4] * 3 + [1e-6] * 3).ravel(),
            ),
        )

    def _boxes(self, stamp: int, rows: list[tuple[str, str, float, F64]]) -> Any:
        header = self._header(stamp, self.scene.camera.frame_id)
        out = []
        for identity, label, score, (x0, y0, x1, y1) in rows:
            position = self._make("vision_msgs/msg/Point2D", x=float(x0 + x1) / 2, y=float(y0 + y1) / 2)
            box = self._make(
                "vision_msgs/msg/BoundingBox2D",
                center=self._make("vision_msgs/msg/Pose2D", position=position, theta=0.0),
                size_x=float(x1 - x0),
                size_y=float(y1 - y0),
            )
            out.append(
                self._make(
                    "vision_msgs/msg/Detection2D",
                    header=header,
                    results=[self._result(label, score)],
                    bbox=box,
                    id=identity,
                )
            )
        return self._make("vision_msgs/msg/Detection2DArray", header=header, detections=out)

    def _objects(self, index: int) -> Any:
        t = self.scene.time(index)
        header = self._header(self.scene.stamp_ns(index), "base_link")
        x, y, yaw = self.scene.ego.pose(t)
        to_base = np.linalg.inv(matrix(x, y, 0.0, yaw))
        out = []
        for actor in self.scene.actors:
            middle = to_base @ self.scene.actor_matrix(actor, t) @ (0, 0, actor.size[2] / 2, 1)
            if np.hypot(middle[0], middle[1]) > self.scene.lidar.max_range_m:
                continue
            pose = self._pose(middle[:3], actor.trajectory.pose(t)[2] - yaw)
            box = self._make("vision_msgs/msg/BoundingBox3D", center=pose, size=self._vector(actor.size))
            out.append(
                self._make(
                    "vision_msgs/msg/Detection3D",
                    header=header,
                    results=[self._result(actor.label, 1.0)],
                    bbox=box,
                    id=str(actor.actor_id),
                )
            )
        return self._make("vision_msgs/msg/Detection3DArray", header=header, detections=out)

    def _result(self, label: str, score: float) -> Any:
        pose = self._make(
            "geometry_msgs/msg/PoseWithCovariance", pose=self._pose((0, 0, 0), 0.0), covariance=np.zeros(36)
        )
        hypothesis = self._make("vision_msgs/msg/ObjectHypothesis", class_id=label, score=score)
        return self._make("vision_msgs/msg/ObjectHypothesisWithPose", hypothesis=hypothesis, pose=pose)

    def _pose(self, xyz: Any, yaw: float) -> Any:
        x, y, z = (float(v) for v in xyz)
        turn = self._make(
            "geometry_msgs/msg/Quaternion", x=0.0, y=0.0, z=math.sin(yaw / 2), w=math.cos(yaw / 2)
        )
        return self._make(
            "geometry_msgs/msg/Pose",
            position=self._make("geometry_msgs/msg/Point", x=x, y=y, z=z),
            orientation=turn,
        )

    def _vector(self, xyz: Any) -> Any:
        x, y, z = (float(v) for v in xyz)
        return self._make("geometry_msgs/msg/Vector3", x=x, y=y, z=z)

    def _header(self, stamp_ns: int, frame_id: str) -> Any:
        time = self._make("builtin_interfaces/msg/Time", sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
        return self._make("std_msgs/msg/Header", stamp=time, frame_id=frame_id)

    def _make(self, msgtype: str, **fields: Any) -> Any:
        return self._store.types[msgtype](**fields)
