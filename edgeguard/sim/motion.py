"""What moves during an exposure: motion blur and rolling shutter, from the true motion of every pixel."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from edgeguard.sim.raster import Canvas, Visible
from edgeguard.sim.world import Scene
from edgeguard.types import F32, F64, U8

_STEP_S = 0.01
_MAX_SAMPLES = 5
_PX_PER_SAMPLE = 2.0
_REACH_PX = 8
"""Way beyond which a body's rim is not carried."""
_NEIGHBOURS: U8 = np.ones((2 * _REACH_PX + 1, 2 * _REACH_PX + 1), np.uint8)


class ImageMotion:
    """Moves and blurs a scene's images as a sensor does that reads row after row."""

    def __init__(self, scene: Scene, camera_matrix: Callable[[float], F64]) -> None:
        self.scene, self._camera_matrix = scene, camera_matrix
        h, w = scene.camera.height, scene.camera.width
        self._u: F32 = np.arange(w, dtype=np.float32)
        self._v: F32 = np.arange(h, dtype=np.float32)[:, None]
        self._delay: F32 = ((self._v / (h - 1) - 0.5) * scene.imager.readout_s).astype(np.float32)
        self._actors = {actor.actor_id: actor for actor in scene.actors}
        self._k, self._k_inv = scene.camera.k, np.linalg.inv(scene.camera.k)

    def apply(self, bgr: U8, canvas: Canvas, t: float) -> tuple[U8, dict[int, Visible]]:
        """Return the image as it was gathered around `t`, and where the actors are in it."""
        visible = canvas.visible()
        if not (self.scene.imager.exposure_s or self.scene.imager.readout_s):
            return bgr, visible
        before, now, after = (self._camera_matrix(t + s * _STEP_S) for s in (-0.5, 0.0, 0.5))
        undo = np.linalg.inv(before)
        # A body moves over what is behind it: near its rim, the nearer motion counts.
        nearest = np.asarray(cv2.dilate(canvas.inverse_depth, _NEIGHBOURS), np.float32)
        flow = self._flow(after @ undo, nearest, (0, 0))
        for actor_id, seen in visible.items():
            actor, motion = self._actors[actor_id], after @ undo
            if actor.trajectory.moves:
                a, b = (self.scene.actor_matrix(actor, t + s * _STEP_S) for s in (-0.5, 0.5))
                motion = after @ b @ np.linalg.inv(a) @ undo
                self._set_flow(flow, motion, canvas, nearest, actor_id, seen)
            middle = now @ self.scene.actor_matrix(actor, t) @ (0, 0, actor.size[2] / 2, 1)
            depth = max(float(middle[2]) - min(actor.size[:2]) / 2, 1.0)
            visible[actor_id] = self._caught(seen, motion, depth)
        return self._gathered(bgr, *flow), visible

    def _flow(self, motion: F64, inverse_depth: F32, at: tuple[int, int]) -> tuple[F32, F32]:
        """Return how fast pixels move, px/s along u and v, for the part of an image from `at` on.

        Args:
            motion: (4, 4) what the pixels show moves so over `_STEP_S`, as the camera sees it.
            inverse_depth: (H, W) of that part, 1/m.
            at: u and v of its first pixel.
        """
        h, w = inverse_depth.shape
        u, v = self._u[at[0] : at[0] + w], self._v[at[1] : at[1] + h]
        turn = (self._k @ motion[:3, :3] @ self._k_inv).astype(np.float32)
        shift = (self._k @ motion[:3, 3]).astype(np.float32)
        moved = [turn[i, 0] * u + (turn[i, 1] * v + turn[i, 2]) + shift[i] * inverse_depth for i in range(3)]
        scale = np.float32(1.0 / _STEP_S)
        return (moved[0] / moved[2] - u) * scale, (moved[1] / moved[2] - v) * scale

    def _set_flow(
        self,
        flow: tuple[F32, F32],
        motion: F64,
        canvas: Canvas,
        nearest: F32,
        actor_id: int,
        seen: Visible,
    ) -> None:
        """Write an actor's own motion over the world's where the actor is what is nearest."""
        x0, y0 = np.maximum(seen.xyxy[:2].astype(int) - _REACH_PX, 0).tolist()
        x1, y1 = (seen.xyxy[2:].astype(int) + _REACH_PX).tolist()
        roi = (slice(y0, y1), slice(x0, x1))
        own = np.where(canvas.owner[roi] == actor_id, canvas.inverse_depth[roi], np.float32(0))
        own = np.asarray(cv2.dilate(own, _NEIGHBOURS), np.float32)
        is_nearest = (own > 0) & (own >= nearest[roi] * np.float32(0.9))
        for whole, part in zip(flow, self._flow(motion, own, (x0, y0))):
            np.copyto(whole[roi], part, where=is_nearest)

    def _gathered(self, bgr: U8, flow_u: F32, flow_v: F32) -> U8:
        """Return the mean of the image at several moments of each row's exposure."""
        exposure = self.scene.imager.exposure_s
        fastest = np.percentile(np.abs(flow_u[::8, ::8]) + np.abs(flow_v[::8, ::8]), 98)
        n = int(np.clip(np.ceil(fastest * exposure / _PX_PER_SAMPLE), 1, _MAX_SAMPLES))
        samples = []
        for part in (np.arange(n) + 0.5) / n - 0.5:
            when = self._delay + np.float32(part * exposure)
            u, v = self._u - flow_u * when, self._v - flow_v * when
            samples.append(cv2.remap(bgr, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE))
        if n == 1:
            return np.asarray(samples[0], np.uint8)
        total = np.zeros(bgr.shape, np.float32)
        for sample in samples:
            cv2.accumulate(sample, total)
        return np.asarray(cv2.convertScaleAbs(total, alpha=1 / n), np.uint8)

    def _caught(self, seen: Visible, motion: F64, depth: float) -> Visible:
        """Return where the shutter caught an actor: each edge of its box at the time of its row."""
        box, h, w = seen.xyxy.copy(), self.scene.camera.height, self.scene.camera.width
        x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        points = np.array([[box[0], y, 1], [x, box[1], 1], [box[2], y, 1], [x, box[3], 1]])
        moved = points @ (self._k @ motion[:3, :3] @ self._k_inv).T + self._k @ motion[:3, 3] / depth
        speed = (moved[:, :2] / moved[:, 2:] - points[:, :2]) / _STEP_S
        delay = (points[:, 1] / (h - 1) - 0.5) * self.scene.imager.readout_s
        for i in range(4):
            limit = (w, h)[i % 2]
            # An edge that the image cuts stays where it is.
            if 0 < box[i] < limit:
                box[i] = np.clip(box[i] + speed[i, i % 2] * delay[i], 0, limit)
        return Visible(box, seen.area_px, seen.visible_px)
