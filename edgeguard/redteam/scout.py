"""What an attacker knows of the drive: the sensors' newest messages, unaltered, and what they tell."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import cv2
import numpy as np
from scipy import ndimage

from edgeguard import objects
from edgeguard.lidar import Ground, fit_ground
from edgeguard.redteam.edit import JPEG_QUALITY
from edgeguard.rig import Rig
from edgeguard.types import F32, F64, U8, Detections, EgoMotion, Image, PointCloud, RadarTargets

VEHICLES = frozenset({"car", "truck", "bus", "van", "train"})
CAR_HEIGHT_M = 1.5
ASSUMED_CAMERA_HEIGHT_M = 1.6
"""Where no LiDAR shows the road."""


class Detector(Protocol):
    """The engine that is attacked, or that helps to aim."""

    def detect(self, image: Image) -> Detections: ...


class View:
    """An image and a sweep of about the same time, and what can be read from them."""

    def __init__(
        self,
        rig: Rig | None,
        engine: Callable[[], Detector],
        image: Image | None,
        points: PointCloud | None,
        pose: F64 | None = None,
        jpeg: bool = False,
    ) -> None:
        self.rig, self.image, self.points = rig, image, points
        self._engine = engine
        self._jpeg = jpeg
        self.pose = pose
        """(3,) the vehicle's x, y (metres) and heading (radians) since the scout began; None unknown."""

    def with_image(self, bgr: U8) -> View:
        """Return what the engine makes of other pixels in this view, encoded as the recording will be."""
        assert self.image is not None
        if self._jpeg:  # fine noise may not outlive it
            _, data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            bgr = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
        altered = Image(self.image.stamp_ns, self.image.frame_id, bgr)
        return View(self.rig, self._engine, altered, None, self.pose)

    @cached_property
    def detections(self) -> Detections:
        """What the engine sees in the image; empty without one."""
        if self.image is None:
            return Detections.empty(0)
        return self._engine().detect(self.image)

    @cached_property
    def vehicles(self) -> Detections:
        """The vehicles among the detections, surer than 0.4."""
        d = self.detections
        return d.select(np.array([name in VEHICLES for name in d.labels], bool) & (d.score >= 0.4))

    @cached_property
    def xyz(self) -> F32:
        """The sweep in the optical frame, (N, 3); empty without LiDAR or extrinsics. Rows as in `points`."""
        if self.points is None or self.rig is None:
            return np.zeros((0, 3), np.float32)
        xyz = self.rig.transform(self.points.frame_id, self.points.xyz)
        return np.zeros((0, 3), np.float32) if xyz is None else xyz

    @cached_property
    def pixels(self) -> F32:
        """(N, 2) where the sweep's points appear; NaN for those out of the picture."""
        if self.rig is None or not len(self.xyz):
            return np.zeros((0, 2), np.float32)
        uv, inside = self.rig.camera.project(self.xyz)
        uv[~inside] = np.nan
        return uv

    @cached_property
    def ground(self) -> Ground:
        """The road; level and `ASSUMED_CAMERA_HEIGHT_M` below the camera where no LiDAR shows it."""
        fitted = fit_ground(self.xyz, None) if len(self.xyz) else None
        return fitted or Ground(np.array([0.0, 0.0, ASSUMED_CAMERA_HEIGHT_M]), 0)

    @cached_property
    def height(self) -> F32:
        """(N,) heights of the sweep's points above the road, metres."""
        return self.ground.height(self.xyz)

    def in_box(self, box: F64 | F32, shrink: float = 0.0) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return which points appear in an image box, made smaller by a share at each side."""
        x0, y0, x1, y1 = (float(v) for v in box)
        dx, dy = shrink * (x1 - x0), shrink * (y1 - y0)
        u, v = self.pixels.T if len(self.pixels) else (np.zeros(0), np.zeros(0))
        with np.errstate(invalid="ignore"):
            inside = (u >= x0 + dx) & (u <= x1 - dx) & (v >= y0 + dy) & (v <= y1 - dy)
        return np.asarray(inside)

    def body(self, box: F64 | F32) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Return which points of the sweep lie on the thing in an image box: the nearest body in its middle.

        Grown from the middle through cells that touch, seen from above; the road is no part of it.
        """
        none = np.zeros(len(self.xyz), bool)
        above = (self.height > 0.15) & (self.height < 4.5) & (self.xyz[:, 2] > 0.5)
        seeds = self.in_box(box, 0.2) & above & (self.height > 0.3)
        if np.count_nonzero(seeds) < 4:
            return none
        near = float(np.percentile(self.xyz[seeds, 2], 20))
        seeds &= np.abs(self.xyz[:, 2] - near) < 1.0
        cell, reach = 0.3, 60.0
        close = above & (np.abs(self.xyz[:, 0]) < reach) & (self.xyz[:, 2] < reach)
        index = np.flatnonzero(close)
        column = ((self.xyz[index, 0] + reach) / cell).astype(np.int64)
        row = (self.xyz[index, 2] / cell).astype(np.int64)
        grid = np.zeros((int(2 * reach / cell) + 1, int(reach / cell) + 1), bool)
        grid[column, row] = True
        labels = ndimage.label(grid, np.ones((3, 3)))[0][column, row]
        wanted = np.unique(labels[np.isin(index, np.flatnonzero(seeds))])
        on = none
        on[index[np.isin(labels, wanted)]] = True
        # Two cars bumper to bumper touch: a body reaches no farther than a lorry is long and wide.
        middle = float(np.median(self.xyz[seeds, 0]))
        on &= (
            (np.abs(self.xyz[:, 0] - middle) < 2.5)
            & (self.xyz[:, 2] > near - 1.5)
            & (self.xyz[:, 2] < near + 6.0)
        )
        return on

    def range_of(self, box: F64 | F32) -> float:
        """Return the range of the vehicle in a box, metres along the optical axis, by LiDAR or height."""
        focal = self.rig.camera.focal if self.rig else 700.0
        by_height = focal * CAR_HEIGHT_M / max(float(box[3] - box[1]), 1.0)
        inside = self.in_box(box, 0.2) & (self.height > 0.3) if len(self.xyz) else np.zeros(0, bool)
        if np.count_nonzero(inside) >= 8:
            near = float(np.percentile(self.xyz[inside, 2], 20))
            # Much nearer than its size says, it is something in front that sends the points back.
            return near if near > 0.75 * by_height else by_height
        return by_height

    def free_m(self, half_width: float = 1.2) -> float:
        """Return how far ahead the LiDAR sees the vehicle's path free, metres; inf where all of it is."""
        stands = (np.abs(self.xyz[:, 0]) < half_width) & (self.xyz[:, 2] > 1.0)
        stands &= (self.height > 0.4) & (self.height < 3.0)
        return float(self.xyz[stands, 2].min(initial=np.inf))

    def nearest_vehicle(self) -> F64 | None:
        """Return the box of the vehicle that matters most."""
        return next(iter(self.vehicles_that_matter()), None)

    def vehicles_that_matter(self) -> list[F64]:
        """Return the boxes of vehicles in whole view, nearest first: rather in the own path than beside it.

        A vehicle cut off by the picture's edge is about to leave it and makes no lasting target, and of one
        that stands half behind another neither sensor has much to lose.
        """
        if self.image is None:
            return []
        h = self.image.size[1]
        ranked: list[tuple[float, F64]] = []
        for box in self.vehicles.xyxy.astype(np.float64):
            if self.cuts(box) or box[3] - box[1] < 0.06 * h or self._behind(box):
                continue
            distance = self.range_of(box)
            focal, middle = self._lens
            aside = abs(((box[0] + box[2]) / 2 - middle) * distance / focal)
            # A metre beside the path counts as five along it.
            ranked.append((distance + 5.0 * max(aside - 2.0, 0.0), box))
        return [box for _, box in sorted(ranked, key=lambda r: r[0])]

    def cuts(self, box: F64) -> bool:
        """Whether a side of the picture cuts a box."""
        assert self.image is not None
        return bool(box[0] < 3 or box[2] > self.image.size[0] - 3)

    @property
    def _lens(self) -> tuple[float, float]:
        """Focal length and middle column, pixels; guessed where the recording has no camera model."""
        assert self.image is not None
        k = None if self.rig is None else self.rig.camera.k
        return (700.0, self.image.size[0] / 2) if k is None else (float(k[0, 0]), float(k[0, 2]))

    def _behind(self, box: F64) -> bool:
        """Whether boxes that stand nearer, as their lower edges say, cover a third of a box."""
        others = self.detections.xyxy.astype(np.float64)
        nearer = others[others[:, 3] > box[3] + 3.0]
        low, high = np.maximum(box[:2], nearer[:, :2]), np.minimum(box[2:], nearer[:, 2:])
        share = np.clip(high - low, 0, None).prod(1) / max(float((box[2:] - box[:2]).prod()), 1e-9)
        return bool((share > 0.33).any())


class Way:
    """Where the vehicle is, integrated from its odometry since the scout began."""

    def __init__(self) -> None:
        self._pose = np.zeros(3)
        self._last: EgoMotion | None = None

    def add(self, ego: EgoMotion) -> None:
        """Take the next motion; it held since the one before."""
        if self._last is not None:
            dt = (ego.stamp_ns - self._last.stamp_ns) / 1e9
            heading = self._pose[2] + 0.5 * dt * ego.angular[2]
            c, s = np.cos(heading), np.sin(heading)
            x, y = ego.linear[:2] * dt
            self._pose = self._pose + (c * x - s * y, s * x + c * y, dt * ego.angular[2])
        self._last = ego

    @property
    def pose(self) -> F64 | None:
        """(3,) x, y (metres) and heading (radians); None without odometry."""
        return None if self._last is None else self._pose


@dataclass(slots=True)
class Scout:
    """The newest messages of a drive, and samples of what the window will bring.

    Attributes:
        rig: camera and extrinsics; None where the recording has none.
        engine: opens the engine on first use.
        ahead: views at a few moments of the window, in order.
        passing: the pictures of its first seconds one by one, without what other sensors say.
        seed: of all that is random.
        earlier: the attacked sensor's messages of the last seconds before the one at hand, unaltered.
        message_ns: header stamp of the message at hand, nanoseconds.
        onset_ns: header stamp of the first message of the window, nanoseconds.
        jpeg: whether pictures are recorded with loss.
    """

    rig: Rig | None
    engine: Callable[[], Detector]
    ahead: tuple[View, ...]
    seed: int
    earlier: deque[Any] = field(default_factory=deque)
    message_ns: int = 0
    onset_ns: int = 0
    passing: tuple[View, ...] = ()
    jpeg: bool = False
    image: Image | None = None
    points: PointCloud | None = None
    radar: RadarTargets | None = None
    way: Way = field(default_factory=Way)
    _view: View | None = None

    def see(self, value: Any) -> None:
        """Take note of what a message says before it is altered."""
        if isinstance(value, Image):
            self.image = value
        elif isinstance(value, PointCloud):
            self.points = value
        elif isinstance(value, RadarTargets):
            self.radar = value
        elif isinstance(value, EgoMotion):
            self.way.add(value)
        self._view = None

    @property
    def elapsed_s(self) -> float:
        """Time since the window began, seconds."""
        return (self.message_ns - self.onset_ns) / 1e9

    @property
    def view(self) -> View:
        """The newest image and sweep."""
        if self._view is None:
            self._view = View(self.rig, self.engine, self.image, self.points, self.way.pose, self.jpeg)
        return self._view


def iou(box: F64, boxes: F64 | F32) -> F64:
    """Return the intersection over union of a box (4,) with each of (N, 4)."""
    boxes = boxes.astype(np.float64)
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    common = np.clip(high - low, 0, None).prod(1)
    area = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1)
    out: F64 = common / np.maximum(area + (box[2:] - box[:2]).prod() - common, 1e-9)
    return out


def covered(box: F64, boxes: F64 | F32) -> F64:
    """Return the share of each of (N, 4) boxes that a box (4,) covers."""
    boxes = boxes.astype(np.float64)
    low, high = np.maximum(box[:2], boxes[:, :2]), np.minimum(box[2:], boxes[:, 2:])
    area = np.clip(boxes[:, 2:] - boxes[:, :2], 1e-9, None).prod(1)
    out: F64 = np.clip(high - low, 0, None).prod(1) / area
    return out


def follow(box: F64, view: View) -> F64 | None:
    """Return where the vehicle of the last frame's box is now; None where the engine misses it."""
    return nearest(box, view.vehicles.xyxy)


def nearest(box: F64, boxes: F64 | F32) -> F64 | None:
    """Return the one of (N, 4) boxes that overlaps a box best; None where none does well."""
    found = boxes.astype(np.float64)
    if not len(found):
        return None
    overlap = iou(box, found)
    best = int(np.argmax(overlap))
    return found[best] if overlap[best] > 0.3 else None


def _size(name: str) -> tuple[float, float, float]:
    i = objects.INDEX[name]
    return float(objects.LENGTH[i]), float(objects.WIDTH[i]), float(objects.HEIGHT[i])


CAR_SIZE, MOTORCYCLE_SIZE = _size("car"), _size("motorcycle")
"""Length, width, height of everyday ones, metres."""
