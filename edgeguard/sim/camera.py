"""What the camera sees: the world's surfaces, lit, through air and lens, on a sensor."""

from __future__ import annotations

import cv2
import numpy as np

from edgeguard.sim.optics import Optics
from edgeguard.sim.raster import FAR_M, Canvas, Shapes, Sight, Visible, in_view
from edgeguard.sim.world import BACKGROUND, Actor, Scene
from edgeguard.types import F64, U8

__all__ = ["Renderer", "Visible"]

OPTICAL_IN_BASE = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)
"""Rotation of an optical frame that looks along x, in `base_link`."""


class Renderer:
    """Renders the frames of a scene; any frame, in any order, always the same."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._mips: dict[tuple[int, int, int], U8] = {}
        self._blended: dict[int, bool] = {}
        self._optics = Optics(scene, self.camera_matrix)
        background = Shapes(scene.surfaces)
        self._still = [(background, background.basis)]
        self._moving: list[tuple[Actor, list[Shapes]]] = []
        for actor in scene.actors:
            phases = [Shapes(surfaces) for surfaces in actor.surfaces]
            if not (actor.trajectory.moves or actor.faces_camera):
                self._still.append((phases[0], phases[0].moved(scene.actor_matrix(actor, 0.0))))
            else:
                self._moving.append((actor, phases))

    def camera_matrix(self, t: float) -> F64:
        """Return the (4, 4) matrix from the world to the optical frame at `t`."""
        mount = np.eye(4)
        mount[:3, 3] = self.scene.camera_xyz
        pose = self.scene.ego_matrix(t) @ mount @ OPTICAL_IN_BASE
        return np.asarray(np.linalg.inv(pose), np.float64)

    def render(self, index: int) -> tuple[U8, dict[int, Visible]]:
        """Return the image (H, W, 3) uint8 BGR of a frame, and the actors in it by identity."""
        t = self.scene.time(index)
        to_camera = self.camera_matrix(t)
        canvas = Canvas(self._sky(t))
        eye: F64 = np.asarray(np.linalg.inv(to_camera)[:3, 3], np.float64)
        groups = list(self._still)
        for actor, phases in self._moving:
            pose = self.scene.actor_matrix(actor, t)
            depth = float(to_camera[2, :3] @ pose[:3, 3] + to_camera[2, 3])
            if -max(actor.size) < depth < FAR_M + max(actor.size):
                groups.append(self._posed(actor, phases, pose, eye))
        for sight in in_view(groups, to_camera, self.scene.camera):
            canvas.draw(sight, self._texture(sight))
        return self._optics.expose(canvas, index)

    def _posed(self, actor: Actor, phases: list[Shapes], pose: F64, eye: F64) -> tuple[Shapes, F64]:
        """Return an actor's surfaces, and their bases in the world where its pose is (4, 4) `pose`."""
        phase = 0
        if actor.stride_m > 0:
            way = np.linalg.norm(pose[:2, 3] - actor.trajectory.xy[0])
            phase = int(way / actor.stride_m) % len(phases)
        if actor.faces_camera:
            yaw, pose = np.arctan2(*(pose[:2, 3] - eye[:2])[::-1]), pose.copy()
            pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
        return phases[phase], phases[phase].moved(pose)

    def _sky(self, t: float) -> U8:
        shift = int(np.tan(np.deg2rad(self.scene.pitch(t))) * self.scene.camera.focal)
        rows = np.clip(np.arange(len(self.scene.sky)) + shift, 0, len(self.scene.sky) - 1)
        return self.scene.sky[rows]

    def _texture(self, sight: Sight) -> U8:
        """Return a sight's texture, halved along each side as often as the image needs; without alpha where
        it is opaque background."""
        texture, key = sight.surface.texture, (id(sight.surface.texture), *sight.shrink)
        if key not in self._mips:
            size = (max(texture.shape[1] >> key[1], 1), max(texture.shape[0] >> key[2], 1))
            if not self._is_blended(sight):
                texture = np.ascontiguousarray(texture[..., :3])
            self._mips[key] = np.asarray(cv2.resize(texture, size, interpolation=cv2.INTER_AREA), np.uint8)
        return self._mips[key]

    def _is_blended(self, sight: Sight) -> bool:
        texture = sight.surface.texture
        if id(texture) not in self._blended:
            has_alpha = bool((texture[..., 3] < 255).any())
            self._blended[id(texture)] = has_alpha or sight.surface.owner != BACKGROUND
        return self._blended[id(texture)]
