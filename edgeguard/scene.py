"""What several checks share about a frame, computed once, on first use."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard import edges, objects, veil
from edgeguard.arrays import median
from edgeguard.bonds import Bonds
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.lidar import Clusters, DensityMap, Ground, LidarSettings
from edgeguard.pairing import SURE_OVERLAP, Pairing
from edgeguard.picture import Picture
from edgeguard.rig import CameraModel, Rig
from edgeguard.sight import Sight
from edgeguard.sweep import Cloud, Standing, Sweep
from edgeguard.tracking.camera import CAPACITY as CAMERA_CAPACITY
from edgeguard.tracking.camera import CameraTracker, CameraTrackerSettings, Tracks
from edgeguard.tracking.lidar import CAPACITY as LIDAR_CAPACITY
from edgeguard.tracking.lidar import LidarBoxes, LidarObjects, LidarTracker, LidarTrackerSettings
from edgeguard.types import F32, F64, U8, Frame

_SUPPORT_BAND = 0.35
_ENOUGH_RETURNS = 200
_THICKNESS = 1.12


class SceneSettings(Settings):
    """Parameters of the shared products."""

    camera_tracker: CameraTrackerSettings = CameraTrackerSettings()
    lidar_tracker: LidarTrackerSettings = LidarTrackerSettings()
    lidar: LidarSettings = LidarSettings()
    asserted_confidence: float = Field(
        0.45, ge=0, le=1, description="mean score from which a track counts as claimed by the camera"
    )
    max_points: int = Field(
        150_000, ge=1000, description="points of a sweep looked at; more are thinned evenly"
    )


@dataclass(frozen=True, slots=True, eq=False)
class Support:
    """What the sweep holds in the middle of each track's box; parallel to the tracks.

    Attributes:
        expected: (N,) returns that a solid body filling it would give.
        size_range: (N,) range at which the class' height fills the box, metres; NaN where it cannot be told.
        on: (N,) returns above ground from one body at about that range.
        before: (N,) returns above ground clearly nearer: something hides the object.
        behind: (N,) returns above ground clearly beyond: the LiDAR saw through.
        total: (N,) all returns, ground included.
        foreground: (N,) median range of the nearest body, metres; NaN without one.
    """

    expected: F64
    size_range: F64
    on: F64
    before: F64
    behind: F64
    total: F64
    foreground: F64


class SceneBuilder:
    """Carries what outlives a frame: trackers, ground, LiDAR density, the last picture."""

    def __init__(self, settings: SceneSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        """Forget everything: a new drive begins."""
        self.camera_tracker = CameraTracker(self.settings.camera_tracker)
        self.lidar_tracker = LidarTracker(self.settings.lidar_tracker)
        self.ground: Ground | None = None
        self.density: DensityMap | None = None
        self.logits = False
        self.last_sweep_ns: int | None = None
        self.last_pixels: U8 | None = None
        self.airlight: F64 | None = None
        self.last_occupied: U8 | None = None
        self.sight: Sight | None = None
        self.last_sight: Sight | None = None
        self.apart_s = np.zeros(CAMERA_CAPACITY)
        self.lidar_held = np.zeros(CAMERA_CAPACITY)
        self.bonds = Bonds()
        self.camera_held = np.zeros(LIDAR_CAPACITY)
        self.stamp_ns: int | None = None
        self._camera: CameraModel | None = None
        self._picture: Picture | None = None
        self._sweep: Sweep | None = None

    def __getstate__(self) -> dict[str, object]:
        # No knowledge of the drive: without them they are computed again, and the same.
        return self.__dict__ | {"_picture": None, "_sweep": None}

    def prepare(self, foreseen: Frame, late: Callable[[], bool]) -> None:
        """Compute what a frame to come needs of its image and sweep alone, while it waits for the rest.

        Args:
            foreseen: what of it is here. Where it becomes another frame, this was in vain, and no harm.
            late: whether to leave what is not begun to the frame.
        """
        products = self._foreseeable(foreseen)
        while not late() and next(products, products) is not products:
            pass

    def _foreseeable(self, foreseen: Frame) -> Iterator[object]:
        rig, picture = foreseen.rig, self.picture(foreseen)
        # Another camera's sweep has another ground; it comes once in a drive.
        sweep = self.sweep(foreseen) if rig is not None and rig.camera is self._camera else None
        if sweep is not None:
            yield sweep.view
            standing = sweep.on(self.ground_in(sweep, self.is_new(foreseen)), self.settings.lidar)
            yield standing.cloud
            yield standing.grouped
            yield sweep.sight
            yield sweep.side_rims
        if picture is not None:
            yield picture.pixels
            yield picture.airlight
            yield picture.gray
            if sweep is not None:
                yield picture.gradient_across

    def picture(self, frame: Frame) -> Picture | None:
        """The products of a frame's image, with what was computed early; None without one."""
        if frame.image is None:
            return None
        if self._picture is None or self._picture.image is not frame.image:
            self._picture = Picture(frame.image)
        return self._picture

    def sweep(self, frame: Frame) -> Sweep | None:
        """The products of a frame's sweep, with what was computed before; None where it cannot be seen."""
        points, rig = frame.points, frame.rig
        matrix = None
        if points is not None and rig is not None:
            matrix = rig.to_camera.get(points.frame_id.lstrip("/"))
        if points is None or rig is None or matrix is None:
            return None
        if self._sweep is None or self._sweep.points is not points or self._sweep.rig is not rig:
            self._sweep = Sweep(points, rig, matrix, self.settings.max_points)
        return self._sweep

    def is_new(self, frame: Frame) -> bool:
        """Whether the LiDAR's sweep is another than that of the frame before."""
        newest = frame.points if frame.lidar_detections is None else frame.lidar_detections
        return newest is not None and newest.stamp_ns != self.last_sweep_ns

    def ground_in(self, sweep: Sweep, is_new: bool) -> Ground | None:
        """The road, as a sweep shows it."""
        return sweep.ground(self.ground) if is_new or self.ground is None else self.ground

    def build(self, frame: Frame) -> Scene:
        """Return the scene of a frame; frames come in the order in which they were put together."""
        camera = frame.rig.camera if frame.rig is not None else None
        if camera is not self._camera:
            self._camera, self.ground, self.sight = camera, None, None
            self.density = DensityMap(camera) if camera is not None else None
        return Scene(frame, self)


class Scene:
    """One frame and what follows from it. Made by `SceneBuilder`; valid until the next frame is built.

    Attributes:
        frame: the frame.
        settings: parameters of the shared products.
        tracks: what the camera sees, N of them.
        dt_s: since the frame before, s; bounded, as after a gap nobody knows what held in between.
        new_sweep: whether the LiDAR's sweep is another than that of the frame before.
        truncated: (N,) whether a track's box is cut by the image's border.
        edge_px: (N,) distance of its box to the nearest side of the image, pixels; negative outside.
        size_range: (N,) range at which the class' mean height fills the box, metres; NaN where truncated.
        duplicate: (N,) whether a surer track holds the same place: networks box one thing several times. Two
            that were seen apart are two, however one covers the other now.
        asserted: (N,) whether the camera stands by the track: what a planner would act on, and a check may
            doubt.
        hidden: (N,) share of its box that nearer tracks cover: what stands lower in the image is nearer.
        foot_hidden: (N,) the same of a strip below its lower edge: where something stands in front of an
            object's foot, its box ends early and its height is no size.
        occluders: (K, 4) boxes of the tracks that stand for bodies: surely and lately seen, each once.
        occluding: (K,) rows of these tracks.
    """

    def __init__(self, frame: Frame, builder: SceneBuilder) -> None:
        self.frame = frame
        self._builder = builder
        self.settings = builder.settings
        self.tracks: Tracks = builder.camera_tracker.update(frame.stamp_ns, frame.detections)
        last_ns = builder.stamp_ns if builder.stamp_ns is not None else frame.stamp_ns
        self.dt_s = min(max(0.0, (frame.stamp_ns - last_ns) * 1e-9), 0.5)
        builder.stamp_ns = max(last_ns, frame.stamp_ns)
        self.new_sweep = builder.is_new(frame)
        if (newest := frame.points if frame.lidar_detections is None else frame.lidar_detections) is not None:
            builder.last_sweep_ns = newest.stamp_ns
        self._picture, self._sweep = builder.picture(frame), builder.sweep(frame)
        if self._picture is not None:
            builder.airlight = veil.settled(builder.airlight, self._picture.airlight, self.dt_s)
        (
            self.truncated,
            self.edge_px,
            self.size_range,
            self.duplicate,
            self.asserted,
            self.hidden,
            self.foot_hidden,
            self.occluders,
            self.occluding,
        ) = loops.views(
            self.tracks,
            self.image_size,
            frame.rig.camera.focal if frame.rig is not None else math.nan,
            builder.apart_s,
            self.dt_s,
            self.settings.asserted_confidence,
        )

    @property
    def rig(self) -> Rig | None:
        return self.frame.rig

    @cached_property
    def image_size(self) -> tuple[float, float] | None:
        """Width and height, pixels; None before an image or a camera model is known."""
        if self.frame.image is not None:
            return self.frame.image.size
        if self.frame.rig is not None:
            return self.frame.rig.camera.width, self.frame.rig.camera.height
        return None

    # Pixels

    @property
    def pixels(self) -> U8 | None:
        """(H/4, W/4) uint8: every fourth pixel's green; None without an image."""
        return None if self._picture is None else self._picture.pixels

    @cached_property
    def previous_pixels(self) -> U8 | None:
        """`pixels` of the image before, None where there is none of this size."""
        last = self._builder.last_pixels
        self._builder.last_pixels = self.pixels
        if last is None or self.pixels is None or last.shape != self.pixels.shape:
            return None
        return last

    @property
    def colours(self) -> NDArray[np.int16] | None:
        """(2, R, C) int16: R−G and B−G of the image averaged over 4 x 4 pixels; None without one."""
        return None if self._picture is None else self._picture.colours

    @property
    def gray(self) -> U8 | None:
        """(H/2, W/2) uint8: its green averaged over 2 x 2, for what follows structure over frames."""
        return None if self._picture is None else self._picture.gray

    @property
    def gradient_across(self) -> F32 | None:
        """(H/4, W/4) how fast brightness changes across `pixels`, over its mean; None without an image."""
        return None if self._picture is None else self._picture.gradient_across

    @property
    def gradient_down(self) -> F32 | None:
        """(H/4, W/4) the same, down `pixels`."""
        return None if self._picture is None else self._picture.gradient_down

    @property
    def airlight(self) -> F64 | None:
        """(H/4,) the air's light in each row of `pixels`, see `edgeguard.veil`; None before an image."""
        return self._builder.airlight

    @cached_property
    def veiled(self) -> F64:
        """(N,) how far the air hides what stands in each track's box, from 0 to 1: see `edgeguard.veil`."""
        return self._veiled(self.tracks.xyxy)

    @cached_property
    def veiled_objects(self) -> F64:
        """(M,) the same, of each LiDAR object's box in the image."""
        return self._veiled(self.object_boxes)

    def _veiled(self, xyxy: F64) -> F64:
        height = self.image_size[1] if self.image_size is not None else math.nan
        return veil.hides(self.airlight, xyxy, height)

    # LiDAR

    @cached_property
    def _standing(self) -> Standing | None:
        sweep, builder = self._sweep, self._builder
        if sweep is None:
            return None
        builder.ground = builder.ground_in(sweep, self.new_sweep)
        standing = sweep.on(builder.ground, self.settings.lidar)
        if builder.density is not None and self.new_sweep:
            builder.density.update(sweep.sight)
        return standing

    @property
    def cloud(self) -> Cloud | None:
        """The points in view; None without a sweep, a camera model or a transform between them."""
        return None if self._standing is None else self._standing.cloud

    @property
    def side_rims(self) -> NDArray[np.int64] | None:
        """(N, 2) x, y in `gradient_across` of near bodies' sides; None without points in view."""
        return None if self._sweep is None else self._sweep.side_rims

    @cached_property
    def top_rims(self) -> NDArray[np.int64] | None:
        """(N, 2) x, y in `gradient_down` of near bodies' tops; None without points in view or ground."""
        sweep, cloud = self._sweep, self.cloud
        if sweep is None or cloud is None or cloud.height is None:
            return None
        return edges.top_rims(sweep.depth_cells, cloud.z, cloud.height)

    @property
    def ground(self) -> Ground | None:
        """The road, None where it is not seen."""
        _ = self.cloud
        return self._builder.ground if self.cloud is not None else None

    @cached_property
    def _clustered(self) -> tuple[Clusters, U8, U8 | None] | None:
        grouped, builder = self._standing.grouped if self._standing is not None else None, self._builder
        if grouped is None:
            return None
        before = builder.last_occupied
        if self.new_sweep:
            builder.last_occupied = grouped.occupied
        return grouped.clusters, grouped.occupied, before

    @property
    def clusters(self) -> Clusters | None:
        """Free-standing things of the sweep; None where there is no sweep or no ground."""
        return None if self._clustered is None else self._clustered[0]

    @cached_property
    def occupied(self) -> tuple[U8, U8 | None] | None:
        """(X, Z) cells that hold something, now and on the sweep before."""
        return None if self._clustered is None else self._clustered[1:]

    @cached_property
    def sight(self) -> tuple[Sight, Sight | None] | None:
        """How far the sweep saw in each direction, and the sweep before it; None without points in view."""
        sweep, builder = self._sweep, self._builder
        if self.cloud is None or sweep is None:
            return None
        if builder.sight is None or self.new_sweep:
            builder.last_sight, builder.sight = builder.sight, sweep.sight
        return builder.sight, builder.last_sight

    @property
    def usual_returns(self) -> F32 | None:
        """(R,) returns that a cell of each row of `sight` gives where rays come back; None without points."""
        _, density = self.cloud, self._builder.density
        if self.sight is None or density is None:
            return None
        return density.per_cell(len(self.sight[0].count))

    @cached_property
    def measured_objects(self) -> LidarBoxes | None:
        """This frame's LiDAR objects: the detector's where there is one, else clusters; None without."""
        detections, rig = self.frame.lidar_detections, self.frame.rig
        if detections is not None and rig is not None:
            self._builder.logits |= detections.has_logits
            return LidarBoxes.from_detections(detections, rig, self._builder.logits)
        return LidarBoxes.from_clusters(self.clusters) if self.clusters is not None else None

    @property
    def objects_are_classified(self) -> bool:
        """Whether LiDAR objects come from a detector, rather than from clusters."""
        return self.frame.lidar_detections is not None

    @cached_property
    def objects(self) -> LidarObjects | None:
        """LiDAR objects followed over time; None where there is no LiDAR to follow them with."""
        if self.frame.rig is None:
            return None
        measured = self.measured_objects
        fresh = measured if self.new_sweep else None
        return self._builder.lidar_tracker.update(self.frame.stamp_ns, fresh, self.frame.rig)

    @cached_property
    def camera_motion(self) -> tuple[F64, F64] | None:
        """(3,) velocity, m/s, and (3,) turn rate, rad/s, of the camera in the optical frame.

        None without ego motion, or where the rig does not know `base_link`.
        """
        ego, rig = self.frame.ego, self.frame.rig
        matrix = rig.to_camera.get("base_link") if rig is not None else None
        if ego is None or matrix is None:
            return None
        rotation = matrix[:3, :3]
        lever = -rotation.T @ matrix[:3, 3]
        (a, b, c), (x, y, z) = ego.angular, lever
        swing = np.array([b * z - c * y, c * x - a * z, a * y - b * x])
        return rotation @ (ego.linear + swing), rotation @ ego.angular

    # Tracks in the world

    @cached_property
    def foot_range(self) -> F64:
        """(N,) range at which a box's lower edge meets the ground, metres; infinite where it never does."""
        t, ground = self.tracks, self.ground
        if ground is None or self.frame.rig is None:
            return np.full(len(t), np.nan)
        return loops.foot_ranges(t.xyxy, self.frame.rig.camera.k, ground.plane)

    @cached_property
    def range(self) -> F64:
        """(N,) best known range of a track, metres: the LiDAR's where a body is found, else from size."""
        support = self.support
        if support is None:
            return self.size_range
        return loops.known_ranges(support.foreground, self.size_range)

    @cached_property
    def support(self) -> Support | None:
        """What the sweep holds in each track's box; None without points in view."""
        cloud, builder = self.cloud, self._builder
        if cloud is None or builder.density is None:
            return None
        t = self.tracks
        middle = core(t.xyxy)
        on, before, behind, total, foreground = loops.body_support(
            cloud.u,
            cloud.v,
            cloud.z,
            cloud.above,
            cloud.start,
            middle,
            self.size_range,
            _SUPPORT_BAND + objects.SIZE_SIGMA[t.label],
            objects.LENGTH[t.label],
            _THICKNESS,
            _ENOUGH_RETURNS,
        )
        expected = builder.density.expected(middle)
        return Support(expected, self.size_range, on, before, behind, total, foreground)

    def lateral_m(self, xyxy: F64, range_m: F64) -> F64:
        """Return (N,) metres right of the optical axis of boxes' centres at given ranges."""
        if self.frame.rig is None:
            return np.full(len(xyxy), np.nan)
        k = self.frame.rig.camera.k
        x: F64 = ((xyxy[:, 0] + xyxy[:, 2]) / 2 - k[0, 2]) / k[0, 0] * range_m
        return x

    @property
    def own_speed_mps(self) -> float:
        """How fast the vehicle drives: by odometry, else as most followed LiDAR objects come nearer."""
        if self.frame.ego is not None:
            return self.frame.ego.speed
        seen = self.objects
        if seen is None:
            return 0.0
        closing = -seen.velocity[seen.matched & (seen.hits >= 4), 1]
        return max(0.0, float(median(closing))) if len(closing) >= 3 else 0.0

    @cached_property
    def pairing(self) -> Pairing | None:
        """Which track is which LiDAR object; None without LiDAR objects or an image to see them in."""
        seen, t, builder = self.objects, self.tracks, self._builder
        if seen is None or self.image_size is None:
            return None
        detections = self.frame.detections
        xyxy = np.zeros((0, 4))
        if detections is not None:
            xyxy = loops.believable(detections, self.settings.camera_tracker.low_score)
        whole = self.objects_are_classified
        builder.lidar_held[t.slot[t.is_new]] = 0.0
        builder.camera_held[seen.slot[seen.is_new]] = 0.0
        found = builder.bonds.pair(
            self.frame.stamp_ns, xyxy, t, self.size_range, seen, self.object_boxes, whole
        )
        if whole:
            # What both held is one thing: its past outlives either one's change of identity.
            own = np.flatnonzero(found.object_overlap >= SURE_OVERLAP)
            track, other = t.slot[own], seen.slot[found.object_of[own]]
            held = np.maximum(builder.lidar_held[track], builder.camera_held[other])
            builder.lidar_held[track] = builder.camera_held[other] = held
        return found

    @cached_property
    def occluder_range(self) -> F64:
        """(K,) range of each of the occluders, metres; NaN where no LiDAR detector held it lately."""
        _ = self.pairing
        slots = self.tracks.slot[self.occluding]
        if not self.objects_are_classified:
            return np.full(len(slots), np.nan)
        return self._builder.bonds.range_m(self.frame.stamp_ns, slots)

    @cached_property
    def supported(self) -> NDArray[np.bool_]:
        """(N,) whether LiDAR confirms a track now: an object of its own, or enough returns at its range."""
        support, pairing = self.support, self.pairing
        overlap = np.zeros(len(self.tracks))
        if self.objects_are_classified and pairing is not None:
            overlap = pairing.object_overlap
        return loops.confirmed(support, overlap)

    @cached_property
    def suspects_lidar(self) -> NDArray[np.bool_]:
        """(N,) whether to suspect the LiDAR where it does not confirm a track, rather than the camera.

        What LiDAR had confirmed and lost, or a box in which even ground and background gave no returns, is
        the LiDAR's doing; where LiDAR sees through to what lies behind, the camera sees what is not there.
        """
        return loops.doubtful_lidar(self.lidar_held_s, self.support)

    @cached_property
    def lidar_held_s(self) -> F64:
        """(N,) how long LiDAR had confirmed each track before this frame, s; fades over seconds."""
        t, _ = self.tracks, self.pairing
        now = self.supported & t.matched if self.new_sweep else None
        return loops.hold(self._builder.lidar_held, t.slot, t.is_new, now, self.dt_s)

    @cached_property
    def camera_held_s(self) -> F64:
        """(N,) how long the camera had boxed each LiDAR object before this frame, s; fades over seconds."""
        seen, pairing, detections = self.objects, self.pairing, self.frame.detections
        if seen is None or pairing is None:
            return np.zeros(0)
        boxed = None
        if detections is not None:
            boxed = pairing.boxed >= SURE_OVERLAP
            if len(detections):
                # What the camera hardly believes in, it does not hold.
                boxed &= detections.score[pairing.box_of] >= self.settings.asserted_confidence
        return loops.hold(self._builder.camera_held, seen.slot, seen.is_new, boxed, self.dt_s)

    def clipped(self, xyxy: F64) -> F64:
        """Return boxes cut to the image; an object not wholly ahead of the camera becomes empty."""
        w, h = self.image_size or (0.0, 0.0)
        cut: F64 = np.minimum(np.fmax(xyxy, 0.0), (w, h, w, h))
        return cut

    @cached_property
    def object_boxes(self) -> F64:
        """(M, 4) boxes of the LiDAR objects, cut to the image; empty where there are none."""
        return self.clipped(self.objects.xyxy) if self.objects is not None else np.zeros((0, 4))


def core(xyxy: F64) -> F64:
    """Return the middle of boxes: their rims show what stands beside, above and below."""
    return loops.cores(xyxy)
