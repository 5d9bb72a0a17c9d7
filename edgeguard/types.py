"""What flows through EdgeGuard: frozen dataclasses of arrays, checked when made.

Units are SI. Stamps are integer nanoseconds of the sensor's header. Boxes are `xyxy` pixels in the
original image. Coordinate frames follow REP 103: optical frames are x right, y down, z forward.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgeguard.rig import Rig

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]


class Channel(str, Enum):
    """A stream that a `Frame` can hold."""

    CAMERA = "camera"
    DETECTIONS = "detections"
    LIDAR = "lidar"
    LIDAR_DETECTIONS = "lidar_detections"
    RADAR = "radar"
    EGO = "ego"


def _shape(owner: str, name: str, array: NDArray[Any], shape: tuple[int | None, ...]) -> None:
    ok = array.ndim == len(shape) and all(w is None or w == g for w, g in zip(shape, array.shape))
    if not ok:
        raise ValueError(f"{owner}.{name}: expected shape {shape}, got {array.shape}")


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One camera image.

    Attributes:
        stamp_ns: header stamp.
        frame_id: optical frame.
        bgr: (H, W, 3) uint8.
    """

    stamp_ns: int
    frame_id: str
    bgr: U8

    def __post_init__(self) -> None:
        _shape("Image", "bgr", self.bgr, (None, None, 3))
        if self.bgr.dtype != np.uint8:
            raise ValueError(f"Image.bgr: expected uint8, got {self.bgr.dtype}")

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self.bgr.shape[1], self.bgr.shape[0]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Camera detections of one image, as parallel arrays; may be empty.

    Attributes:
        stamp_ns: header stamp of the image they were made from.
        xyxy: (N, 4) float32, pixels in the original image.
        score: (N,) float32, 0 to 1.
        class_id: (N,) int32, index into `class_names`.
        class_names: the detector's vocabulary, lower case.
    """

    stamp_ns: int
    xyxy: F32
    score: F32
    class_id: I32
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.xyxy)
        _shape("Detections", "xyxy", self.xyxy, (n, 4))
        _shape("Detections", "score", self.score, (n,))
        _shape("Detections", "class_id", self.class_id, (n,))

    def __len__(self) -> int:
        return len(self.xyxy)

    @property
    def labels(self) -> list[str]:
        """The class name of each detection."""
        return [self.class_names[i] for i in self.class_id]

    @classmethod
    def empty(cls, stamp_ns: int, class_names: tuple[str, ...] = ()) -> Detections:
        """Return no detections: an image was looked at and nothing found."""
        return cls(
            stamp_ns,
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int32),
            class_names,
        )

    def select(self, index: NDArray[Any]) -> Detections:
        """Return the detections at `index` (indices or a mask)."""
        return Detections(
            self.stamp_ns, self.xyxy[index], self.score[index], self.class_id[index], self.class_names
        )


@dataclass(frozen=True, slots=True, eq=False)
class Detections3D:
    """Oriented boxes from a LiDAR detector.

    Attributes:
        stamp_ns: header stamp of the sweep they were made from.
        frame_id: coordinate frame of the boxes.
        center: (N, 3) float64, metres.
        size: (N, 3) float64, metres along the box's own x, y, z.
        orientation: (N, 4) float64, quaternion x, y, z, w of the box in `frame_id`.
        score: (N,) float32, in the detector's own scale (KITTI's are raw logits).
        class_id: (N,) int32, index into `class_names`.
        class_names: the detector's vocabulary, lower case.
    """

    stamp_ns: int
    frame_id: str
    center: F64
    size: F64
    orientation: F64
    score: F32
    class_id: I32
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        n = len(self.center)
        _shape("Detections3D", "center", self.center, (n, 3))
        _shape("Detections3D", "size", self.size, (n, 3))
        _shape("Detections3D", "orientation", self.orientation, (n, 4))
        _shape("Detections3D", "score", self.score, (n,))
        _shape("Detections3D", "class_id", self.class_id, (n,))

    def __len__(self) -> int:
        return len(self.center)

    @property
    def has_logits(self) -> bool:
        """Whether scores are no probabilities; a frame of few objects may hide it, a drive does not."""
        return bool(len(self)) and not (self.score.min() >= 0 and self.score.max() <= 1)

    def select(self, index: NDArray[Any]) -> Detections3D:
        """Return the detections at `index` (indices or a mask)."""
        return Detections3D(
            self.stamp_ns,
            self.frame_id,
            self.center[index],
            self.size[index],
            self.orientation[index],
            self.score[index],
            self.class_id[index],
            self.class_names,
        )


@dataclass(frozen=True, slots=True, eq=False)
class PointCloud:
    """One LiDAR sweep, without points that are not finite.

    Attributes:
        stamp_ns: header stamp.
        frame_id: sensor frame.
        xyz: (N, 3) float32, metres.
        intensity: (N,) float32 in the sensor's own scale, or None.
        n_raw: how many points the message held, finite or not.
    """

    stamp_ns: int
    frame_id: str
    xyz: F32
    intensity: F32 | None = None
    n_raw: int = 0

    def __post_init__(self) -> None:
        _shape("PointCloud", "xyz", self.xyz, (None, 3))
        if self.intensity is not None:
            _shape("PointCloud", "intensity", self.intensity, (len(self.xyz),))

    def __len__(self) -> int:
        return len(self.xyz)


@dataclass(frozen=True, slots=True, eq=False)
class RadarTargets:
    """Radar detections or tracks of one cycle.

    Attributes:
        stamp_ns: header stamp.
        frame_id: sensor frame.
        xyz: (N, 3) float32, metres.
        range_rate: (N,) float32, m/s, negative when approaching the sensor; not ego-compensated.
        snr: (N,) float32, dB, or None.
    """

    stamp_ns: int
    frame_id: str
    xyz: F32
    range_rate: F32
    snr: F32 | None = None

    def __post_init__(self) -> None:
        _shape("RadarTargets", "xyz", self.xyz, (None, 3))
        _shape("RadarTargets", "range_rate", self.range_rate, (len(self.xyz),))

    def __len__(self) -> int:
        return len(self.xyz)


@dataclass(frozen=True, slots=True, eq=False)
class EgoMotion:
    """The vehicle's own motion in `base_link` (x forward, y left, z up).

    Attributes:
        stamp_ns: header stamp.
        linear: (3,) float64, m/s.
        angular: (3,) float64, rad/s.
    """

    stamp_ns: int
    linear: F64
    angular: F64

    def __post_init__(self) -> None:
        _shape("EgoMotion", "linear", self.linear, (3,))
        _shape("EgoMotion", "angular", self.angular, (3,))

    @property
    def speed(self) -> float:
        """Speed over ground, m/s."""
        return float(np.hypot(self.linear[0], self.linear[1]))


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """All that is known at one camera tick; anything but the stamp may be missing.

    Attributes:
        stamp_ns: header stamp of the image (of the detections where there is no image; of the clock
            where the camera is silent).
        now_ns: the clock when the frame was put together: log time offline, node clock live.
        image: the camera image.
        detections: camera detections made from this very image.
        points: the LiDAR sweep nearest in stamp, within the configured gap.
        lidar_detections: the LiDAR detections nearest in stamp, within the configured gap.
        radar: the radar cycle nearest in stamp, within the configured gap.
        ego: the ego motion nearest in stamp, within the configured gap.
        rig: camera model and extrinsics, as far as known.
        last_stamp_ns: per channel, the newest header stamp received so far.
        last_seen_ns: per channel, the clock when its newest message arrived: what silence is measured by.
            A channel that never delivered is absent.
        silent: True for a tick given because the camera is silent; such a frame has no image.
    """

    stamp_ns: int
    now_ns: int
    image: Image | None = None
    detections: Detections | None = None
    points: PointCloud | None = None
    lidar_detections: Detections3D | None = None
    radar: RadarTargets | None = None
    ego: EgoMotion | None = None
    rig: Rig | None = None
    last_stamp_ns: Mapping[Channel, int] = field(default_factory=dict)
    last_seen_ns: Mapping[Channel, int] = field(default_factory=dict)
    silent: bool = False
