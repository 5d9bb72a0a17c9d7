"""`stream_integrity`: are the streams alive, in order, and do they still show the world?

Measures, per stream: silence and age; stamps that stall, jump or run back; pictures equal to the last one or
to an earlier one while the world moves; pictures without content (blackout, dazzle); sweeps that are thin,
torn to noise, or the same as the last or an earlier one, as those of a sensor held back from now on are;
frames in which the detector boxes many times what it usually does: a flood of boxes hides the true ones and
delays whoever must look at them. Silence and a clock that runs back are facts and score infinity; the rest is
surprisal.

Unobservable: never for silence; a frozen picture while nothing moves (standing still looks the same).
Benign look-alikes: standing still, tunnel exits, auto-exposure, snow, a crowd behind a corner.
Source: floods of boxes after Phantom Sponges (Shapira et al., WACV 2023); camera blinding and freezing after
Petit et al. (Black Hat Europe 2015) and Cao et al. (S&P 2023); a LiDAR swamped with light after Shin et al.
(Illusion and Dazzle, CHES 2017).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from pydantic import Field

from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.sight import Sight
from edgeguard.types import F32, Channel, Frame
from edgeguard.verdict import Cause, SubjectKind

_CHANNELS = list(Channel)
_CAUSE = {
    Channel.CAMERA: Cause.CAMERA,
    Channel.DETECTIONS: Cause.CAMERA,
    Channel.LIDAR: Cause.LIDAR,
    Channel.LIDAR_DETECTIONS: Cause.LIDAR,
    Channel.RADAR: Cause.RADAR,
    Channel.EGO: Cause.UNKNOWN,
}
_FACT = np.inf
_MEMORY_FRAMES = 600  # of earlier pictures and sweeps, to know a replay by: a minute at 10 Hz
_HABIT_FRAMES = 5  # of a stream, before its habits are known
# A crowd that comes into view from one picture to the next: so many times what was there, and some more.
_CROWD, _GROUP = 3.0, 20.0
# Grey levels by which a picture's parts differ, in which nobody sees anything.
_NO_CONTRAST = 1.0
# Ratio of a cell's ranges from which something moved in it.
_MOVED = 1.015
_BLOCK = 8  # pixels of `Scene.pixels` that are one patch of the picture
# Columns of cells that are one sector, and cells with returns from which it tells.
_SECTOR_CELLS, _SECTOR_TOLD = 12, 30
_DETAIL = (
    "silent_s", "age_s", "interval_s", "equal_share", "motion", "replayed_s", "flat_share", "extreme_share",
    "contrast_grey",
    "points_ratio", "scan_equal_share", "torn_share", "boxes", "usual_boxes",
)  # fmt: skip


class StreamIntegritySettings(Settings):
    """Parameters of `stream_integrity`."""

    detections_timeout_ms: float = Field(
        500.0, gt=0, le=10_000, description="silence of camera detections, ms"
    )
    lidar_timeout_ms: float = Field(
        400.0, gt=0, le=10_000, description="silence of LiDAR or its detections, ms"
    )
    radar_timeout_ms: float = Field(500.0, gt=0, le=10_000, description="silence of the radar, ms")
    ego_timeout_ms: float = Field(1000.0, gt=0, le=10_000, description="silence of odometry, ms")
    max_age_ms: float = Field(
        500.0, gt=0, le=60_000, description="age of a stamp at arrival that is strange, ms"
    )
    max_future_ms: float = Field(
        50.0, ge=0, le=60_000, description="how far ahead of the clock a stamp may be, ms"
    )
    max_boxes: int = Field(
        300,
        ge=1,
        description="boxes that no scene holds, however many were usual: a detector that is flooded",
    )
    still_speed_mps: float = Field(
        0.2, ge=0, le=5, description="ego speed below which the world may stand still"
    )
    still_change: float = Field(
        0.10, ge=0, le=1, description="share of LiDAR view that must change before the world counts as moving"
    )


class StreamIntegrity:
    """See the module. One subject per stream that was ever seen."""

    name = "stream_integrity"
    needs: frozenset[Channel] = frozenset()
    sees = frozenset({"freeze", "blind", "silence", "clock", "overload", "lidar_remove", "delay"})

    def __init__(self, settings: StreamIntegritySettings) -> None:
        self.settings = settings
        self._timeout_ms = {
            # The frames' own clockwork knows when the camera is silent: it then gives ticks.
            Channel.CAMERA: np.inf,
            Channel.DETECTIONS: settings.detections_timeout_ms,
            Channel.LIDAR: settings.lidar_timeout_ms,
            Channel.LIDAR_DETECTIONS: settings.lidar_timeout_ms,
            Channel.RADAR: settings.radar_timeout_ms,
            Channel.EGO: settings.ego_timeout_ms,
        }
        self.reset()

    def reset(self) -> None:
        self._stamps: dict[Channel, deque[int]] = {c: deque(maxlen=30) for c in _CHANNELS}
        self._intervals: dict[Channel, deque[float]] = {c: deque(maxlen=30) for c in _CHANNELS}
        self._equal_shares: deque[float] = deque(maxlen=30)
        self._extremes: deque[float] = deque(maxlen=50)
        self._contrasts: deque[float] = deque(maxlen=50)
        self._pictures: dict[int, int] = {}
        self._sweep_sizes: deque[int] = deque(maxlen=50)
        self._box_counts: deque[int] = deque(maxlen=50)
        self._depths: F32 | None = None
        self._moving: tuple[float, bool | None] = (float("nan"), None)
        self._sweeps: dict[int, int] = {}
        self._sweep_hash = 0

    def score(self, scene: Scene) -> list[Scores]:
        frame = scene.frame
        rows: dict[Channel, dict[str, float]] = {}
        cause: dict[Channel, Cause] = {}
        score: dict[Channel, float] = {}
        self._motion(scene)
        ticking = Channel.CAMERA
        if (
            frame.image is None
            and Channel.CAMERA not in frame.last_seen_ns
            and Channel.DETECTIONS in frame.last_seen_ns
        ):
            ticking = Channel.DETECTIONS  # a drive recorded without pictures
        for channel in _CHANNELS:
            due = frame.silent and channel is ticking
            if not due and channel not in frame.last_seen_ns and _stamp_of(frame, channel) is None:
                continue
            row = dict.fromkeys(_DETAIL, float("nan"))
            stream, clock = self._stamp(frame, channel, row)
            if due:
                stream = _FACT
                row["silent_s"] = (frame.now_ns - frame.last_seen_ns.get(channel, frame.now_ns)) * 1e-9
            if channel is Channel.CAMERA and frame.image is not None:
                stream = max(stream, self._picture(scene, row))
            elif channel is Channel.DETECTIONS and frame.detections is not None:
                stream = max(stream, self._boxes(len(frame.detections), row))
            elif channel is Channel.LIDAR and frame.points is not None and scene.new_sweep:
                stream = max(stream, self._sweep(scene, row))
            rows[channel], score[channel] = row, max(stream, clock)
            cause[channel] = Cause.CLOCK if clock > stream else _CAUSE[channel]
        order = [c for c in _CHANNELS if c in rows]
        measured = np.array([list(rows[c].values()) for c in order]).reshape(-1, len(_DETAIL)).T
        return [
            Scores(
                kind=SubjectKind.STREAM,
                ids=np.array([_CHANNELS.index(c) for c in order], np.int64),
                score=np.array([score[c] for c in order], np.float64),
                cause=tuple(cause[c] for c in order),
                detail=dict(zip(_DETAIL, measured)),
            )
        ]

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        m = measured
        if cause is Cause.CLOCK:
            if m["interval_s"] < 0:
                return f"stamps ran back by {-m['interval_s']:.3f} s"
            if m["age_s"] < 0:
                return f"stamp lies {-m['age_s']:.3f} s in the future"
            return f"stamp jumped by {m['interval_s']:.3f} s"
        if m["silent_s"] >= 0:
            return f"silent for {m['silent_s']:.2f} s" if m["silent_s"] else "silent since the start"
        if m["extreme_share"] > 0.75 or m["flat_share"] > 0.75:
            return _blinded(m)
        if m["replayed_s"] > 0:
            return f"shows again what it showed {m['replayed_s']:.1f} s ago"
        if m["equal_share"] > 0.98:
            return "picture is frozen while the world moves"
        if m["contrast_grey"] >= 0:
            return f"blinded: contrast of the picture fell to {m['contrast_grey']:.1f} grey levels"
        if m["extreme_share"] > 0.3:
            return _blinded(m)
        if m["scan_equal_share"] > 0.98:
            return "sweep is the same as the one before"
        if m["torn_share"] > 0.4:
            return f"in one sector {m['torn_share']:.0%} of neighbouring returns lie at no common range"
        if m["points_ratio"] < 0.7:
            return f"sweep holds {m['points_ratio']:.0%} of its usual points"
        if m["boxes"] > 0:
            return f"{m['boxes']:.0f} boxes in one picture, where {m['usual_boxes']:.0f} are usual"
        return f"stamp is {m['age_s']:.2f} s old"

    def _stamp(self, frame: Frame, channel: Channel, row: dict[str, float]) -> tuple[float, float]:
        """Score silence and age (the stream's fault) and order (the clock's)."""
        stamp_ns, seen_ns = frame.last_stamp_ns.get(channel), frame.last_seen_ns.get(channel)
        if stamp_ns is None or seen_ns is None:
            return 0.0, 0.0
        stream = clock = 0.0
        silent_s = (frame.now_ns - seen_ns) * 1e-9
        age_s = (seen_ns - stamp_ns) * 1e-9
        if silent_s * 1e3 > self._timeout_ms[channel]:
            row["silent_s"] = silent_s
            return _FACT, 0.0
        # Arrival differs between a drive and its replay: it is told only where it accuses.
        if age_s * 1e3 > self.settings.max_age_ms:
            stream, row["age_s"] = 8.0, age_s
        elif -age_s * 1e3 > self.settings.max_future_ms:
            clock, row["age_s"] = 8.0, age_s
        stamps, intervals = self._stamps[channel], self._intervals[channel]
        own = _stamp_of(frame, channel)
        if own is None or (stamps and own == stamps[-1]):
            return stream, clock
        if stamps:
            row["interval_s"] = interval_s = (own - stamps[-1]) * 1e-9
            usual_s = _habit(intervals) or float("nan")
            if interval_s < 0:
                clock = _FACT
            elif interval_s > max(10 * usual_s, 1.0):
                # A long pause is silence, and was named as such while it lasted, unless only stamps jumped.
                clock = max(clock, 8.0)
            if interval_s > 0:
                intervals.append(interval_s)
        stamps.append(own)
        return stream, clock

    def _motion(self, scene: Scene) -> None:
        """Whether the world moves past the vehicle, as ego motion or LiDAR tell; None: nobody can."""
        change = float("nan")
        if scene.sight is not None and scene.new_sweep:
            depth = loops.coarser(scene.sight[0].near, 3)
            if self._depths is not None and self._depths.shape == depth.shape:
                change = loops.changed_share(depth, self._depths, _MOVED, 20)
            self._depths = depth
        elif scene.frame.points is not None:
            change, _ = self._moving  # the same sweep again: nothing new is known
        moving: bool | None = None if np.isnan(change) else change > self.settings.still_change
        ego = scene.frame.ego
        if ego is not None:
            turning = float(np.abs(ego.angular).max()) > 0.02
            moving = bool(moving) or ego.speed > self.settings.still_speed_mps or turning
        self._moving = (change, moving)

    def _picture(self, scene: Scene, row: dict[str, float]) -> float:
        pixels, last = scene.pixels, scene.previous_pixels
        assert pixels is not None
        stamp_ns = scene.frame.stamp_ns
        row["motion"], moving = self._moving
        score = 0.0
        if last is not None:
            difference = cv2.absdiff(pixels, last)
            equal = 1.0 - np.count_nonzero(difference) / difference.size
            row["equal_share"] = equal
            habit = _habit(self._equal_shares)
            if equal > 0.98 and moving is not False:
                # Sensor noise never repeats: where this camera was seen to have it, equality is conclusive.
                noisy = habit is not None and habit < 0.9
                score = 9.0 if moving or noisy else 3.0
            elif equal <= 0.98:
                self._equal_shares.append(equal)
            if equal < 0.9:
                score = max(score, self._replayed(self._pictures, hash(pixels.tobytes()), stamp_ns, row))
        return max(score, self._blinded(scene, row))

    def _replayed(self, shown: dict[int, int], key: int, stamp_ns: int, row: dict[str, float]) -> float:
        """Score a picture or sweep that was `shown` before, and remember it."""
        earlier = shown.pop(key, None)
        shown[key] = stamp_ns
        if len(shown) > _MEMORY_FRAMES:
            shown.pop(next(iter(shown)))
        if earlier is None or earlier >= stamp_ns:
            return 0.0
        row["replayed_s"] = (stamp_ns - earlier) * 1e-9
        return 10.0

    def _blinded(self, scene: Scene, row: dict[str, float]) -> float:
        pixels = scene.pixels
        assert pixels is not None
        contrast, flat, extreme = loops.content(pixels, _BLOCK, 1.0, 5, 250)
        row["extreme_share"], row["flat_share"] = extreme, flat
        habit, usual_contrast = _habit(self._extremes), _habit(self._contrasts) or contrast
        usual = extreme if habit is None else habit
        if len(self._extremes) < _HABIT_FRAMES or extreme < usual + 0.3:
            self._extremes.append(extreme)
        if contrast > 0.3 * usual_contrast:
            self._contrasts.append(contrast)
        dull = max(
            _ramp(1.0 - contrast / _NO_CONTRAST, 0.0, 0.5),
            _ramp(1.0 - contrast / max(usual_contrast, 1e-3), 0.85, 0.95),
        )
        if dull > 0:
            row["contrast_grey"] = contrast
        # Nothing to see at all, or much of the picture lost against what this camera usually shows.
        lost = max(_ramp(extreme - usual, 0.30, 0.60), _ramp(extreme, 0.75, 0.95))
        return max(_ramp(flat, 0.75, 0.95), lost, dull)

    def _boxes(self, count: int, row: dict[str, float]) -> float:
        usual = _habit(self._box_counts)
        crowd = _CROWD * (usual if usual is not None else count) + _GROUP
        score = max(_ramp(count / crowd, 1.0, 2.5), _ramp(count / self.settings.max_boxes, 1.0, 1.5))
        if count <= crowd:
            self._box_counts.append(count)
        if score > 0:
            row["boxes"], row["usual_boxes"] = float(count), float("nan") if usual is None else usual
        return score

    def _sweep(self, scene: Scene, row: dict[str, float]) -> float:
        points = scene.frame.points
        assert points is not None
        usual = _habit(self._sweep_sizes)
        score = 0.0
        if usual:
            row["points_ratio"] = len(points) / usual
            score = _ramp(1.0 - row["points_ratio"], 0.35, 0.7)
        elif len(points) == 0:
            score = 9.0
        if usual is None or len(points) > 0.8 * usual:
            self._sweep_sizes.append(len(points))
        key = hash(points.xyz[::64].tobytes())
        row["scan_equal_share"] = float(key == self._sweep_hash)
        # Range noise never repeats, moving or not.
        if key == self._sweep_hash and len(points):
            score = 10.0
        elif len(points):
            score = max(score, self._replayed(self._sweeps, key, points.stamp_ns, row))
        self._sweep_hash = key
        if scene.sight is not None:
            torn = _torn(scene.sight[0])
            score = max(score, _ramp(torn, 0.4, 0.6))
            row["torn_share"] = torn
        return score


def _torn(sight: Sight) -> float:
    """Return the share of cells whose returns do not lie at about one range, in the worst sector.

    Neighbouring rays end on one surface, but for edges and leaves; those of a sensor that is swamped with
    foreign light end anywhere.
    """
    return loops.torn_share(sight.near, sight.far, sight.count, _SECTOR_CELLS, _SECTOR_TOLD, 1.5)


def _blinded(m: Mapping[str, float]) -> str:
    lost, flat = m["extreme_share"], m["flat_share"]
    return f"blinded: {lost:.0%} of pixels black or white, {flat:.0%} without texture"


def _habit(values: Sequence[float]) -> float | None:
    """What a stream usually shows; None until that is known."""
    if (n := len(values)) < _HABIT_FRAMES:
        return None
    ordered = sorted(values)
    return (ordered[(n - 1) // 2] + ordered[n // 2]) / 2


def _ramp(value: float, low: float, high: float) -> float:
    """0 below `low`, rising to 10 nats at `high` and beyond."""
    return min(max((value - low) / (high - low), 0.0), 1.0) * 10.0


def _stamp_of(frame: Frame, channel: Channel) -> int | None:
    part = {
        Channel.CAMERA: frame.image,
        Channel.DETECTIONS: frame.detections,
        Channel.LIDAR: frame.points,
        Channel.LIDAR_DETECTIONS: frame.lidar_detections,
        Channel.RADAR: frame.radar,
        Channel.EGO: frame.ego,
    }[channel]
    return None if part is None else part.stamp_ns
