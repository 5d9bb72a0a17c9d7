"""`flow`: does the picture inside a box move with the box, and apart from what surrounds it?

Sparse pyramidal Lucas–Kanade (Bouguet 2000) on the half-size picture, on a grid in and around the largest
boxes only. Two things are measured, the stranger counts:
- slip: how far the box has lately moved more than those pixels in it that follow it best. A box that nothing
  carries (a ghost on the road, a box dragged off its object) slides over its background. −ln of a heavy tail;
- plane: a body before its surroundings moves apart from them as the camera comes nearer; a poster or
  screen that faces the road grows together with its frame, as one plane: flow = t + s·x, over box and ring.
  The share ρ of the flow's variation that this explains, over half a second; −ln of P(1−ρ or less), taken
  as a power law: on real streets half of all boxes stay below ρ = 0.55 and nine in ten below 0.8.

Unobservable: no image before this one or a gap between them, few points with texture, a box that is small,
truncated, half hidden or not among the largest; for the plane, too little growth (own motion, or near).
Benign look-alikes: what stands close before a wall or far from the camera moves with its background (a
billboard is a plane: it is told from a car, and asks for caution only in the vehicle's path); the flat back
of a lorry that fills the ring; night, rain, blur; reflections.
Blind to: planes seen at a slant, a poster while the vehicle stands, a phantom drawn to move as it should.
Source: AdvIT (Xiao et al., ICCV 2019) for flow as a witness; planar parallax (Irani & Anandan 1996).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.scene import Scene
from edgeguard.tracking.camera import CAPACITY
from edgeguard.types import F64, U8, Channel
from edgeguard.verdict import Cause, SubjectKind

_WINDOW, _LEVELS = (9, 9), 3
_MIN_TEXTURE = 3e-3
_MAX_ERROR = 25.0
# Of the half-size picture, within which a point has no whole window.
_RIM_PX = 4.0
_MAX_GAP_S = 0.35
# What the mean grey of a street changes by between two pictures without a change of exposure, as a share.
_SAME_EXPOSURE = 0.04
# Squared residuals beyond this multiple of their median are points that were lost.
_OUTLIER = 9.0
_MIN_RING = 8
# Of a slim box's points, half lie on its body; the rest show what is beside it.
_BODY_SHARE = 0.5


def _grid() -> tuple[F64, U8]:
    """Points in half box sizes, and 1 for which are inside; none on the rim nor below, where the road is."""
    inner = np.stack(np.meshgrid(np.linspace(-0.7, 0.7, 5), np.linspace(-0.7, 0.7, 5)), -1).reshape(-1, 2)
    line = np.linspace(-1.4, 1.4, 9)
    ring = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    ring = ring[(np.abs(ring).max(axis=1) > 1.3) & (ring[:, 1] < 1.0)]
    return np.concatenate([inner, ring]), np.repeat(np.array([1, 0], np.uint8), [len(inner), len(ring)])


_GRID, _INSIDE = _grid()


class FlowSettings(Settings):
    """Parameters of `flow`."""

    max_tracks: int = Field(
        8, ge=1, le=64, description="boxes looked at per frame, largest first; each costs about 0.15 ms"
    )
    min_size_px: float = Field(
        24.0, gt=4, description="width and height of a box below which its pixels tell nothing, px"
    )
    min_points: int = Field(8, ge=3, le=25, description="textured points that a box needs, of 25")
    memory_s: float = Field(
        0.5, gt=0, le=5, description="time over which slip and growth add up, s; longer is surer, later"
    )
    min_age_s: float = Field(0.3, gt=0, le=5, description="observation before anything is said, s")
    box_noise: float = Field(0.05, gt=0, le=1, description="noise of a box's place, share of its size")
    flow_noise_px: float = Field(1.0, gt=0, le=20, description="noise of flow and of a box's edges, px")
    min_growth_px: float = Field(
        1.5, gt=0, le=50, description="growth over `memory_s` below which a plane is not told from a body, px"
    )
    tail: float = Field(4.0, gt=1, le=50, description="degrees of freedom of the slip's heavy-tailed null")
    plane_power: float = Field(
        2.0, gt=0, le=10, description="exponent of P(1−ρ or less); larger accuses planes sooner"
    )


class Flow:
    """See the module. Subjects are camera tracks."""

    name = "flow"
    needs = frozenset({Channel.CAMERA, Channel.DETECTIONS})
    sees = frozenset({"phantom", "poster", "box_drift"})

    def __init__(self, settings: FlowSettings) -> None:
        self.settings = settings
        self.reset()

    def reset(self) -> None:
        self._last: tuple[U8, float] | None = None
        self._box = np.full((CAPACITY, 4), np.nan)
        # Slip, px (2), explained and left variation, px², and growth, px (3), all fading; known for, s.
        self._state = np.zeros((CAPACITY, 6))

    def score(self, scene: Scene) -> list[Scores]:
        t, s = scene.tracks, self.settings
        gray, last = scene.gray, self._last
        now = self._last = None if gray is None else (gray, cv2.mean(gray)[0])
        row, before = loops.flow_rows(scene, self._box, s.min_size_px, s.max_tracks)
        if now is None or last is None or now[0].shape != last[0].shape or not 0 < scene.dt_s <= _MAX_GAP_S:
            self._state[:] = 0.0
            return [Scores.unobservable(SubjectKind.TRACK, t.id)]
        flow, good = _sparse_flow(_as_exposed(last[0], now[1] / max(last[1], 1.0)), now[0], t.xyxy[row])
        inside = good & _INSIDE
        enough = inside.sum(axis=1, dtype=np.intp) >= s.min_points
        if not enough.all():
            row, before, flow, good, inside = (x[enough] for x in (row, before, flow, good, inside))
        self._add(scene, row, flow, good, inside, before)
        return [self._scores(scene, row)]

    def _add(self, scene: Scene, row: NDArray[np.intp], flow: F64, good: U8, inside: U8, before: F64) -> None:
        """Let the memory fade and add this frame's flow of the tracks in `row`; of others, forget all."""
        t = scene.tracks
        now = t.xyxy[row]
        moved = loops.slips(now, before, flow, inside, _BODY_SHARE)
        grown = loops.growth(now, flow, good, _GRID, _INSIDE, _OUTLIER, _MIN_RING)
        keep = math.exp(-scene.dt_s / self.settings.memory_s)
        loops.remember_flow(self._state, t.slot, row, moved, grown, keep, scene.dt_s)

    def _scores(self, scene: Scene, row: NDArray[np.intp]) -> Scores:
        t, s = scene.tracks, self.settings
        full = np.full((5, len(t)), np.nan)
        full[:, row] = loops.flow_surprisal(
            self._state[t.slot[row]], t.xyxy[row], s.box_noise, s.flow_noise_px, s.tail, s.plane_power,
            s.min_growth_px, s.min_age_s,
        )  # fmt: skip
        surprise, slip, plane, grown, is_plane = full
        return Scores(
            SubjectKind.TRACK,
            t.id,
            surprise,
            (Cause.CAMERA,) * len(t),
            {"slip_sigma": slip, "plane_share": plane, "growth_px": grown, "is_plane": is_plane},
        )

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        if measured["is_plane"] == 1.0:
            return (
                f"grows as one plane with its surroundings ({measured['plane_share']:.0%} of their flow): "
                "a picture, not a body"
            )
        return f"box slides over the picture inside it by {measured['slip_sigma']:.1f} standard deviations"


def _as_exposed(last: U8, gain: float) -> U8:
    """Return the last picture as this one's exposure had shown it: what is followed must keep its grey."""
    if abs(gain - 1.0) < _SAME_EXPOSURE:
        return last
    return np.asarray(cv2.convertScaleAbs(last, alpha=gain), np.uint8)


def _sparse_flow(last: U8, gray: U8, xyxy: F64) -> tuple[F64, U8]:
    """Flow (N, P, 2) since the last picture, pixels, on the grid of each box, and 1 where it is trusted."""
    at, index = loops.flow_places(xyxy, _GRID, gray.shape[1], gray.shape[0], _RIM_PX)
    if not len(at):
        return np.zeros((len(xyxy), len(_GRID), 2)), np.zeros((len(xyxy), len(_GRID)), np.uint8)
    # From now to then: the grid lies on the box as it is now.
    then, found, error = cv2.calcOpticalFlowPyrLK(
        gray,
        last,
        at,
        np.empty_like(at),
        winSize=_WINDOW,
        maxLevel=_LEVELS,
        criteria=(cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 10, 0.03),
        minEigThreshold=_MIN_TEXTURE,
    )
    return loops.flow_found(
        at, np.asarray(then, np.float32), np.asarray(found, np.uint8).ravel(),
        np.asarray(error, np.float32).ravel(), index, len(xyxy), len(_GRID), _MAX_ERROR,
    )  # fmt: skip
