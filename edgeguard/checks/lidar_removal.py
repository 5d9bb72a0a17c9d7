"""`lidar_removal`: is there a hole in the sweep with nothing that made it?

Below the horizon every ray ends on something: the road, or what stands on it. A laser that makes the sensor
discard its returns takes a body away, but cannot give back the road that the body hides: what stays is its
shadow, a patch of directions from which nothing returns. Each image cell is compared with the returns that
its row usually gives; connected empty cells are a hole. Its foot on the ground gives its range, and so its
size. A hole as large as a body that opened between two sweeps, where directions had returns until now, is the
score; it is followed for as long as it stays open. A second score needs no hole: a track that camera and
LiDAR both held, and that goes from both in one moment with nothing before it. Sensors lapse, but not
together: a body that leaves is hidden by another, leaves over the image's side, or is still there for one.
So what is erased with the road behind it forged is told too, but only what both had held: nothing tells what
neither ever saw.

Unobservable: no ground seen, above the horizon, beyond range, beside the corridor ahead, in rows that the
LiDAR does not reach or that a wet road empties. For tracks: held by one sensor only, hidden, few returns, at
the image's side.
Benign look-alikes: puddles and wet road (flat, so low in the image, and they come gradually), dark bodies
without a return (gradually too), a drop-off, a lost packet (gone with the next sweep). An attack already
under way when the drive begins is taken for one of these.
Source: Physical Removal Attacks (Cao et al., USENIX Security 2023, arXiv 2210.09482), whose shadow defence
this is, without its need of a detector's box.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np
from pydantic import Field

from edgeguard.arrays import clamp
from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.sight import CELL_PX, Sight
from edgeguard.types import F32, U8, Channel
from edgeguard.vanishing import LEFT, Vanishing
from edgeguard.verdict import Cause, SubjectKind

_SUBJECT = np.array([list(Channel).index(Channel.LIDAR)], np.int64)
_OPENED = 7.5
_STANDING = 1.0
_VANISHED = 8.0
# Of three by three cells: single rays go astray, and sparse rows give less than one return a cell.
_MIN_EXPECTED = 4.0
_MEMORY_SWEEPS = 3
# A cell whose neighbours reach over a hole's rim is not empty: the foot lies lower than the last empty one.
_RIM = 1


class LidarRemovalSettings(Settings):
    """Parameters of `lidar_removal`."""

    max_range_m: float = Field(30.0, gt=1, le=100, description="range beyond which nothing can be told, m")
    corridor_half_width_m: float = Field(
        4.5, gt=0, le=20, description="half the width of the corridor ahead that is watched, m"
    )
    min_size_m: float = Field(
        0.8, gt=0.1, le=5, description="width and height that a hole must surely have to hide a body, m"
    )
    empty: float = Field(
        0.15, ge=0, lt=1, description="share of the usual returns up to which a direction counts as empty"
    )
    opened_share: float = Field(
        0.6,
        gt=0,
        le=1,
        description="share of a hole that had returns within the last three sweeps, to have opened now",
    )


class _Hole(NamedTuple):
    width_m: float = 0.0
    height_m: float = 0.0
    range_m: float = float("nan")
    lateral_m: float = float("nan")
    lost_share: float = 0.0
    score: float = 0.0


class LidarRemoval:
    """See the module. Subjects are the LiDAR stream and camera tracks."""

    name = "lidar_removal"
    needs = frozenset({Channel.LIDAR})
    sees = frozenset({"lidar_remove", "vanish_to_all"})

    def __init__(self, settings: LidarRemovalSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._opened: U8 | None = None
        self._before: deque[U8] = deque(maxlen=_MEMORY_SWEEPS)
        self._hole = _Hole()
        self._vanishing = Vanishing()

    def score(self, scene: Scene) -> list[Scores]:
        return [self._stream(scene), self._tracks(scene)]

    def _tracks(self, scene: Scene) -> Scores:
        left = self._vanishing.follow(scene)
        t = scene.tracks
        return Scores(
            SubjectKind.TRACK,
            t.id,
            _VANISHED * clamp(1.0 - left / LEFT, 0.0, 1.0),
            (Cause.UNKNOWN,) * len(t),
            {"returns_left": left, "missed_s": t.missed_s, "track_range_m": scene.size_range},
        )

    def _stream(self, scene: Scene) -> Scores:
        usual = scene.usual_returns
        if scene.sight is None or scene.ground is None or usual is None:
            return Scores.unobservable(SubjectKind.STREAM, _SUBJECT)
        if scene.new_sweep or not self._before:
            self._hole = self._find(scene, scene.sight[0], usual)
        hole = self._hole
        return Scores(
            SubjectKind.STREAM,
            _SUBJECT,
            np.array([hole.score]),
            (Cause.LIDAR,),
            {name: np.array([value]) for name, value in hole._asdict().items() if name != "score"},
        )

    def _find(self, scene: Scene, now: Sight, usual: F32) -> _Hole:
        """Return the strangest hole in the corridor of a new sweep, and remember which have opened."""
        assert scene.rig is not None and scene.ground is not None
        s, k, (_, b, c) = self.settings, scene.rig.camera.k, scene.ground.plane
        # Rows whose directions meet the road within range.
        drop = b + c / (1.5 * s.max_range_m)
        first = max(math.ceil((k[1, 2] + drop * k[1, 1]) / CELL_PX - 0.5), 0)
        empty = loops.empty_cells(now.count, usual, first, s.empty, _MIN_EXPECTED)
        was_open, self._opened = self._opened, np.zeros_like(empty)
        if self._before and self._before[0].shape != empty.shape:
            self._before.clear()
        # What was empty all along: a body's whole shadow may take more than one sweep to show as a hole.
        before = np.bitwise_and.reduce(list(self._before)) if self._before else None
        self._before.append(empty)
        if before is None or not empty.any():
            return _Hole()
        # Nothing is empty above the first row.
        _, label, stats, _ = cv2.connectedComponentsWithStats(empty[first:], connectivity=4)
        before, opened_now = before[first:], self._opened[first:]
        was_open = was_open if was_open is None else was_open[first:]
        width_m, height_m, range_m, lateral_m = loops.hole_sizes(
            np.asarray(stats[1:], np.int32), first, CELL_PX, _RIM, k, scene.ground.plane
        )
        large = (np.minimum(width_m, height_m) >= s.min_size_m) & (range_m <= s.max_range_m)
        best = _Hole()
        for i in np.flatnonzero(large & (np.abs(lateral_m) <= s.corridor_half_width_m)):
            mine = label == i + 1
            lost = 1.0 - float(before[mine].mean())
            opened = lost >= s.opened_share or (was_open is not None and was_open[mine].mean() > 0.4)
            if opened:
                opened_now[mine] = 1
            hole = _Hole(
                width_m=float(width_m[i]),
                height_m=float(height_m[i]),
                range_m=float(range_m[i]),
                lateral_m=float(lateral_m[i]),
                lost_share=lost,
                score=_OPENED if opened else _STANDING,
            )
            best = max(best, hole, key=lambda o: o.score)
        return best

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        if "missed_s" in measured:
            return (
                f"went from camera and LiDAR at once {measured['missed_s']:.1f} s ago, "
                f"{measured['track_range_m']:.0f} m ahead in plain view: nothing stands there or before it"
            )
        return (
            f"a hole of {measured['width_m']:.1f} m x {measured['height_m']:.1f} m opened in the sweep at "
            f"{measured['range_m']:.0f} m, with nothing there to make it"
        )
