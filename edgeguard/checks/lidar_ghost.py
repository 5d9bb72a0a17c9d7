"""`lidar_ghost`: does a LiDAR object behave like a body?

Two ways in which points without a body give themselves away. First, occlusion: a body stops the rays that
cross it, so few may end behind it; a detector's box that most of them pass through holds a handful of spoofed
points, not a vehicle. Second, birth: a body comes from somewhere. One that stands up where the sweep before
saw free road must have come from the nearest place that was hidden or out of view, within one turn of the
LiDAR; the speed that takes, beyond the vehicle's own, is the score, as long as the camera boxes nothing
there, or began to at the very same moment. Where the picture of that place did not change between the two
sweeps, no body came at all; where it did, the doubt is halved. The same is asked of an object that grows by a
body's width between two sweeps, where the camera claims that growth at once: points beside a true body are no
less of a ghost, but a flank or a pane that begins to return does as much.

Unobservable: beyond range, too small, at the image's border, more than half hidden; for birth, objects that
have been there all along, or that do not stand on the ground; for occlusion, clusters, which carry no class.
Benign look-alikes: foliage, fences and glass, which rays pass through (never judged as clusters, and boxed by
no vehicle detector); a burst of steam or spray in the open, which is a false return indeed; things that jump
from cover and are never boxed by the camera.
Source: CARLO's laser penetration (arXiv 2006.16974), which publishes no thresholds; the birth test is ours.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard import objects, sight, veil
from edgeguard.arrays import median
from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.pairing import MIN_OVERLAP
from edgeguard.scene import Scene
from edgeguard.sweep import Cloud
from edgeguard.tracking import boxes
from edgeguard.tracking.lidar import CAPACITY, LidarObjects
from edgeguard.types import F32, F64, U8, Channel
from edgeguard.verdict import Cause, SubjectKind

_STEP_M, _MOSTLY_EMPTY = 0.25, 0.5
_AT_ONCE_NS = 150_000_000
_MIN_GROWN_POINTS = 20
# Points beside a body by no more are on it; lower ones may be the road.
_BESIDE_M, _LOWEST_M = 0.05, 0.25
# A box's range and an object's agree to this, in ln: a box that was beyond was another thing's.
_SAME_RANGE = 0.35
# Nats below which nobody asks for an excuse.
_DOUBTS = 1.0
_LIDAR_OR_BOTH = (Cause.LIDAR, Cause.UNKNOWN)


class LidarGhostSettings(Settings):
    """Parameters of `lidar_ghost`."""

    max_range_m: float = Field(35.0, gt=1, le=300, description="range beyond which nothing can be told, m")
    min_height_px: float = Field(
        25.0, gt=1, description="height of an object in the image below which nothing can be told, px"
    )
    min_size_m: float = Field(
        0.5, gt=0, le=5, description="width and height below which an object may come unseen, m"
    )
    min_rays: float = Field(
        15.0, ge=5, description="rays through a box's middle below which nothing can be told"
    )
    usual_speed_mps: float = Field(
        1.0, gt=0, le=20,
        description="scale of the speed at which bodies come out of cover, m/s; larger doubts less",
    )  # fmt: skip
    closing_speed_mps: float = Field(
        25.0, gt=0, le=100, description="speed at which a body may come straight on, m/s"
    )
    edge_px: float = Field(
        15.0, ge=0, description="distance to the image's side below which nothing can be told"
    )


class LidarGhost:
    """See the module. Subjects are LiDAR objects."""

    name = "lidar_ghost"
    needs = frozenset({Channel.LIDAR, Channel.DETECTIONS})
    sees = frozenset({"lidar_ghost", "conjure_to_all"})

    def __init__(self, settings: LidarGhostSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._rush_mps = np.zeros(CAPACITY)
        self._change = np.zeros(CAPACITY)
        self._id = np.full(CAPACITY, -1, np.int64)
        self._born_ns = np.zeros(CAPACITY, np.int64)
        self._part = np.zeros((CAPACITY, 4))
        self._claim = np.zeros(CAPACITY, np.int8)
        self._grew = np.zeros(CAPACITY, bool)
        self._width_m = np.full(CAPACITY, np.inf)
        self._boxes: tuple[F64, F64] = np.zeros((0, 4)), np.zeros(0)
        self._pixels: U8 | None = None

    def score(self, scene: Scene) -> list[Scores]:
        seen, cloud, pairing = scene.objects, scene.cloud, scene.pairing
        if seen is None or cloud is None or cloud.height is None or pairing is None:
            return []
        box, told = scene.object_boxes, loops.ghosts_told(scene, self.settings)
        passed = self._passed(scene, cloud, seen, box, told)
        self._watch_births(scene, cloud, seen, box, told)
        # A stray box tells neither for nor against it; one that is followed does, unless both stood up at
        # once: what fools two sensors in one place at one moment still came from nowhere.
        self._claims(scene, seen, told)
        (surprise, rush, change), both = loops.ghost_surprisal(
            scene, pairing, told, passed, self.settings.usual_speed_mps,
            self._id, self._rush_mps, self._change, self._claim, self._grew,
        )  # fmt: skip
        if (surprise > _DOUBTS).any():
            # Fog hides from the camera what it would box, and from no LiDAR whether rays pass.
            birth = ~both & ~(passed > loops.WINDOWS)
            veil.excuse(surprise, np.where(birth, scene.veiled_objects, 0.0))
        return [
            Scores(
                SubjectKind.LIDAR_OBJECT,
                seen.id,
                surprise,
                tuple([_LIDAR_OR_BOTH[flag] for flag in both.tobytes()]),
                {
                    "passed_share": passed,
                    "speed_needed_mps": rush,
                    "picture_change_grey": change,
                    "range_m": seen.center[:, 2],
                },
            )
        ]

    def _passed(
        self, scene: Scene, cloud: Cloud, seen: LidarObjects, box: F64, told: NDArray[np.bool_]
    ) -> F64:
        """Share of the rays through the middle of each classified vehicle that end behind it; NaN else."""
        share = np.full(len(seen), np.nan)
        if not scene.objects_are_classified or cloud.height is None:
            return share
        vehicle = (seen.label >= 0) & objects.RIGID[seen.label]
        for i in np.flatnonzero(told & vehicle):
            x0, y0, x1, y1 = box[i]
            w, h = x1 - x0, y1 - y0
            middle = np.array([x0 + 0.3 * w, y0 + 0.3 * h, x1 - 0.3 * w, y1 - 0.15 * h])
            index = cloud.in_box(middle)
            z, height = cloud.z[index], cloud.height[index]
            near, far = seen.center[i, 2] + np.array([-0.5, 0.5]) * seen.size[i, 2] + np.array([-0.3, 0.3])
            crossing = z >= near
            # Nothing nearer may hide it.
            if np.count_nonzero(crossing) >= max(self.settings.min_rays, 0.7 * len(z)):
                # What ends on the road inside its outline has passed through it too.
                stopped = crossing & (z <= far) & (height > scene.settings.lidar.ground_tolerance_m)
                share[i] = 1.0 - np.count_nonzero(stopped) / np.count_nonzero(crossing)
        return share

    def _watch_births(
        self, scene: Scene, cloud: Cloud, seen: LidarObjects, box: F64, told: NDArray[np.bool_]
    ) -> None:
        """For objects new on this sweep, how fast they must have come, and whether the picture changed."""
        if not scene.new_sweep or scene.sight is None or scene.rig is None:
            return
        now, before = scene.sight
        occupied = scene.occupied  # of every sweep, so that the one before is known
        before_px, self._pixels = self._pixels, scene.pixels
        boxes_before, self._boxes = self._boxes, (scene.tracks.xyxy, scene.range)
        s = self.settings
        born = loops.ghost_births(seen, told, self._width_m, s.min_size_m)
        if before is None:
            return
        passed_s = max((now.stamp_ns - before.stamp_ns) * 1e-9, 1e-3)
        closing_m = s.closing_speed_mps * passed_s + 0.5
        focal = float(scene.rig.camera.k[0, 0])
        for i in born:
            index = loops.on_body(cloud, box[i], seen.center[i], seen.size[i], _BESIDE_M, _LOWEST_M)
            grew = not seen.is_new[i]
            if grew:
                index = _stood_up(
                    cloud,
                    index[sight.was_free(before, cloud.uv(index), cloud.z[index], closing_m)],
                    s.min_size_m,
                )
            if not len(index) or not _was_empty(scene, occupied, cloud.xyz[index], passed_s):
                continue
            slot, uv = seen.slot[i], cloud.uv(index)
            come_m = sight.emerging_m(before, uv, cloud.z[index], focal, closing_m)
            part = np.concatenate([uv.min(axis=0), uv.max(axis=0)]).astype(np.float64) if grew else box[i]
            # What stands still comes out of cover as fast as the vehicle passes the cover by.
            rush = max(0.0, come_m / passed_s - scene.own_speed_mps)
            if grew and rush <= 0.0:
                continue
            self._id[slot], self._born_ns[slot], self._part[slot] = seen.id[i], scene.frame.stamp_ns, part
            self._rush_mps[slot], self._grew[slot] = rush, grew
            self._change[slot] = _change(before_px, scene.pixels, scene.image_size, part)
            known = _boxed(part, float(seen.center[i, 2]), *boxes_before)
            self._claim[slot] = loops.ALL_ALONG if known else loops.NOTHING

    def _claims(self, scene: Scene, seen: LidarObjects, wanted: NDArray[np.bool_]) -> None:
        """Note which of the wanted objects the camera began to box when they stood up."""
        slot = seen.slot
        wanted = wanted & (self._id[slot] == seen.id) & (self._claim[slot] == loops.NOTHING)
        wanted &= scene.frame.stamp_ns - self._born_ns[slot] <= _AT_ONCE_NS
        for row in np.flatnonzero(wanted):
            i, z = slot[row], float(seen.center[row, 2])
            # The box of what stands behind it is no claim, however much of it the ghost covers.
            near = ~(np.abs(np.log(scene.size_range / z)) > _SAME_RANGE)
            overlap = boxes.iou(self._part[i][None], scene.tracks.xyxy)[0]
            if (near & (overlap >= MIN_OVERLAP)).any():
                self._claim[i] = loops.AT_ONCE

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        where = f"LiDAR object at {measured['range_m']:.0f} m"
        if measured["passed_share"] > loops.WINDOWS:
            return f"{measured['passed_share']:.0%} of the rays pass through the {where}"
        seen = "at once for both sensors" if cause is Cause.UNKNOWN else "where the camera sees nothing"
        return (
            f"{where} stood up on open road, {seen}: from the nearest cover it would have come at "
            f"{measured['speed_needed_mps']:.0f} m/s"
        )


def _boxed(part: F64, z: float, xyxy: F64, range_m: F64) -> bool:
    """Whether any of some boxes held most of a place, at about its range or at one that nobody knows."""
    if not len(xyxy):
        return False
    _, inner = boxes.shares(part[None], xyxy)
    return bool(((inner[0] > 0.5) & ~(np.abs(np.log(range_m / z)) > _SAME_RANGE)).any())


def _was_empty(scene: Scene, occupied: tuple[U8, U8 | None] | None, xyz: F32, passed_s: float) -> bool:
    """Whether most of a body's points lie more than a step from where the sweep before had some.

    In a crowd clusters part and join with every sweep: what stood there under another identity is not new.
    """
    if occupied is None or occupied[1] is None:
        return False
    cell = scene.settings.lidar.cell_m
    # What stands still lay farther ahead by what the vehicle has driven since.
    column = ((xyz[:, 0] + 40.0) / cell).astype(np.intp)
    row = ((xyz[:, 2] + scene.own_speed_mps * passed_s) / cell).astype(np.intp)
    held = loops.near_occupied(occupied[1], column, row, round(_STEP_M / cell))
    return held <= _MOSTLY_EMPTY * len(xyz)


def _stood_up(cloud: Cloud, index: NDArray[np.intp], min_size_m: float) -> NDArray[np.intp]:
    """Return the points if they are a body's: enough, large, and from near the ground up; else none."""
    assert cloud.height is not None
    if len(index) < _MIN_GROWN_POINTS or cloud.height[index].min() > loops.STANDING_M:
        return index[:0]
    large = np.ptp(cloud.xyz[index, :2], axis=0) >= min_size_m
    return index if large.all() else index[:0]


def _change(before: U8 | None, now: U8 | None, size: tuple[float, float] | None, box: F64) -> float:
    """Median change of grey inside a box, beyond that of the picture; 0 without two pictures."""
    if before is None or now is None or size is None or before.shape != now.shape:
        return 0.0
    x0, y0, x1, y1 = (box * (now.shape[1] / size[0])).astype(int)
    difference = np.abs(before[y0 : y1 + 1, x0 : x1 + 1].astype(np.int16) - now[y0 : y1 + 1, x0 : x1 + 1])
    whole = np.abs(before[::4, ::4].astype(np.int16) - now[::4, ::4])
    return float(median(difference.ravel()) - median(whole.ravel()))
