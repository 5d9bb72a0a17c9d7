"""What the camera sees: textured planes warped by their homographies into a depth buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeguard.rig import CameraModel
from edgeguard.sim.models import placed
from edgeguard.sim.world import BACKGROUND, Scene, Surface
from edgeguard.types import F64, I32, U8

OPTICAL_IN_BASE = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], np.float64)
"""Rotation of an optical frame that looks along x, in `base_link`."""
NEAR_M = 0.3
FAR_M = 110.0


@dataclass(frozen=True, slots=True, eq=False)
class Visible:
    """How an actor appears.

    Attributes:
        xyxy: (4,) float64 pixels, its outline inside the image as if nothing stood before it.
        area_px: pixels of that outline.
        visible_px: pixels of it that are seen.
    """

    xyxy: F64
    area_px: int
    visible_px: int

    @property
    def occlusion(self) -> float:
        """Share that is hidden, 0 to 1."""
        return 1.0 - self.visible_px / max(self.area_px, 1)


class Renderer:
    """Renders the frames of a scene; any frame, in any order, always the same."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self._mips: dict[tuple[int, int, int], U8] = {}
        self._cut: dict[int, bool] = {}
        rng = np.random.default_rng([scene.seed, 2])
        h, w = scene.camera.height + 64, scene.camera.width + 64
        self._noise = rng.normal(0.0, scene.imager.noise_sigma, (h, w, 3)).round().astype(np.int16)

    def camera_matrix(self, t: float) -> F64:
        """Return the (4, 4) matrix from the world to the optical frame at `t`."""
        mount = np.eye(4)
        mount[:3, 3] = self.scene.camera_xyz
        pose = self.scene.ego_matrix(t) @ mount @ OPTICAL_IN_BASE
        return np.asarray(np.linalg.inv(pose), np.float64)

    def render(self, index: int) -> tuple[U8, dict[int, Visible]]:
        """Return the image (H, W, 3) uint8 BGR of a frame, and the actors in it by identity."""
        scene, t = self.scene, self.scene.time(index)
        to_camera = self.camera_matrix(t)
        canvas = _Canvas(scene.camera, self._sky(t))
        surfaces = [*scene.surfaces]
        for actor in scene.actors:
            pose = scene.actor_matrix(actor, t)
            if actor.faces_camera:
                eye = np.linalg.inv(to_camera)[:2, 3]
                yaw = np.arctan2(*(pose[:2, 3] - eye)[::-1])
                pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
            phase = 0
            if actor.stride_m > 0:
                way = np.linalg.norm(pose[:2, 3] - actor.trajectory.xy[0])
                phase = int(way / actor.stride_m) % len(actor.surfaces)
            surfaces += placed(actor.surfaces[phase], pose)
        for sight in _in_view(surfaces, to_camera, scene.camera):
            cut = sight.surface.owner != BACKGROUND or self._is_cut(sight.surface.texture)
            canvas.draw(sight, self._mip(sight.surface.texture, sight.shrink), smooth=cut)
        rng = np.random.default_rng([scene.seed, 3, index])
        dy, dx = rng.integers(0, 64, 2)
        h, w = canvas.bgr.shape[:2]
        noisy = cv2.add(canvas.bgr, self._noise[dy : dy + h, dx : dx + w], dtype=cv2.CV_8U)
        return np.asarray(noisy, np.uint8), canvas.visible()

    def _sky(self, t: float) -> U8:
        shift = int(np.tan(np.deg2rad(self.scene.pitch(t))) * self.scene.camera.focal)
        return np.roll(self.scene.sky, -shift, axis=0)

    def _mip(self, texture: U8, shrink: tuple[float, float]) -> U8:
        """Return the texture, halved along each side as often as the image needs."""
        lx, ly = (max(int(np.log2(max(s, 1.0)) + 0.3), 0) for s in shrink)
        key = (id(texture), lx, ly)
        if key not in self._mips:
            size = (max(texture.shape[1] >> lx, 1), max(texture.shape[0] >> ly, 1))
            self._mips[key] = np.asarray(cv2.resize(texture, size, interpolation=cv2.INTER_AREA), np.uint8)
        return self._mips[key]

    def _is_cut(self, texture: U8) -> bool:
        """Return whether some of the texture is not opaque."""
        if id(texture) not in self._cut:
            self._cut[id(texture)] = bool((texture[..., 3] < 255).any())
        return self._cut[id(texture)]


@dataclass(frozen=True, slots=True, eq=False)
class _Sight:
    """A surface that may be seen: its (3, 3) plane-to-pixel matrix, and what follows from it."""

    surface: Surface
    homography: F64
    inverse_depth: F64
    pixels: F64
    shrink: tuple[float, float]


_CORNERS = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], np.float64)


def _in_view(surfaces: Sequence[Surface], to_camera: F64, model: CameraModel) -> list[_Sight]:
    """Return the surfaces that may be seen, farthest first."""
    basis = to_camera[:3, :3] @ np.stack([np.stack([s.u, s.v, s.origin], 1) for s in surfaces])
    basis[:, :, 2] += to_camera[:3, 3]
    # Facing surfaces span (u, v) clockwise for the viewer.
    facing = np.einsum("ij,ij->i", np.cross(basis[:, :, 0], basis[:, :, 1]), basis[:, :, 2]) > 0
    facing |= np.array([not s.one_sided for s in surfaces])
    homography = model.k @ basis
    corners = np.einsum("nij,kj->nki", homography, _CORNERS)
    z = corners[..., 2]
    seen = facing & (z.max(1) > NEAR_M) & (z.min(1) < FAR_M)
    index = np.flatnonzero(seen)
    homography, corners, z = homography[index], corners[index], z[index]
    distance = np.linalg.norm(np.einsum("nij,kj->nki", basis[index], _CORNERS), axis=2).max(1)
    whole = z.min(1) > NEAR_M
    pixels = corners[..., :2] / np.where(whole[:, None], z, 1.0)[..., None]
    across = np.linalg.norm(pixels[:, 1] - pixels[:, 0], axis=1) + np.linalg.norm(
        pixels[:, 2] - pixels[:, 3], axis=1
    )
    down = np.linalg.norm(pixels[:, 3] - pixels[:, 0], axis=1) + np.linalg.norm(
        pixels[:, 2] - pixels[:, 1], axis=1
    )
    low, high = pixels.min(1), pixels.max(1)
    inside = ((low < (model.width, model.height)) & (high > 0) & (high - low > 0.5)).all(1) | ~whole
    # On a plane 1/z is linear in the pixel: the last row of the inverse homography.
    inverse_depth = np.linalg.inv(homography)[:, 2]
    out = []
    for i in np.argsort(-distance, kind="stable"):
        if not inside[i]:
            continue
        surface = surfaces[index[i]]
        polygon = np.column_stack([surface.outline, np.ones(len(surface.outline))]) @ homography[i].T
        polygon = polygon if whole[i] else _clip(polygon)
        h, w = surface.texture.shape[:2]
        shrink = (2 * w / max(across[i], 2.0), 2 * h / max(down[i], 2.0)) if whole[i] else (1.0, 1.0)
        if len(polygon) >= 3:
            flat = np.clip(polygon[:, :2] / polygon[:, 2:], -20000, 20000)
            out.append(_Sight(surface, homography[i], inverse_depth[i], flat, shrink))
    return out


class _Canvas:
    """An image with depth and identity behind every pixel."""

    def __init__(self, model: CameraModel, background: U8) -> None:
        self.bgr = background.copy()
        self._inverse_depth: NDArray[np.float32] = np.zeros(self.bgr.shape[:2], np.float32)
        self._owner: I32 = np.full(self.bgr.shape[:2], BACKGROUND, np.int32)
        self._cover: dict[int, NDArray[np.bool_]] = {}

    def draw(self, sight: _Sight, texture: U8, *, smooth: bool) -> None:
        """Warp a surface into the image where it is nearer than what is there.

        Args:
            sight: what and where.
            texture: its texture at the resolution that the image needs.
            smooth: blend its edges and its alpha; else all of it is opaque.
        """
        pixels = sight.pixels
        x0, y0 = np.maximum(np.floor(pixels.min(0)).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(pixels.max(0)).astype(int) + 1, self.bgr.shape[1::-1])
        if x1 <= x0 or y1 <= y0:
            return
        th, tw = texture.shape[:2]
        # A texel's middle is at half a texel, a pixel's middle at whole numbers.
        to_plane = np.array([[1 / tw, 0, 0.5 / tw], [0, 1 / th, 0.5 / th], [0, 0, 1]])
        to_roi = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1.0]])
        size = (int(x1 - x0), int(y1 - y0))
        patch = cv2.warpPerspective(
            texture,
            to_roi @ sight.homography @ to_plane,
            size,
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        mask = np.zeros(size[::-1], np.uint8)
        corners = np.round((pixels - (x0, y0)) * 16).astype(np.int32)
        cv2.fillConvexPoly(mask, corners, 255, cv2.LINE_AA if smooth else cv2.LINE_8, 4)
        self._blend(sight, np.asarray(patch, np.uint8), mask, (int(x0), int(y0)), smooth)

    def _blend(self, sight: _Sight, patch: U8, mask: U8, at: tuple[int, int], smooth: bool) -> None:
        (x0, y0), (h, w) = at, mask.shape
        roi = (slice(y0, y0 + h), slice(x0, x0 + w))
        a, b, c = sight.inverse_depth.astype(np.float32)
        columns, rows = np.arange(x0, x0 + w, dtype=np.float32), np.arange(y0, y0 + h, dtype=np.float32)
        inverse = (a * columns + c) + (b * rows)[:, None]
        depth = self._inverse_depth[roi]
        nearer = inverse > depth * np.float32(0.9995)
        if not smooth:
            keep = (mask > 0) & nearer
            cv2.copyTo(patch[..., :3], keep.view(np.uint8), self.bgr[roi])
        else:
            alpha = cv2.multiply(mask, patch[..., 3], scale=1 / 255).astype(np.uint16) * nearer
            below, above = self.bgr[roi].astype(np.uint16), patch[..., :3].astype(np.uint16)
            self.bgr[roi] = (
                (below * (255 - alpha[..., None]) + above * alpha[..., None] + 127) // 255
            ).astype(np.uint8)
            keep = alpha > 200
            # A shadow is no part of what throws it: only what is solid counts as the actor.
            solid = (mask > 127) & (patch[..., 3] > 200)
            if sight.surface.owner != BACKGROUND:
                cover = self._cover.setdefault(sight.surface.owner, np.zeros(self._owner.shape, np.bool_))
                cover[roi] |= solid
        np.copyto(depth, inverse, where=keep)
        np.copyto(self._owner[roi], np.int32(sight.surface.owner), where=keep)

    def visible(self) -> dict[int, Visible]:
        out = {}
        for actor, cover in sorted(self._cover.items()):
            area = int(np.count_nonzero(cover))
            if area < 12:
                continue
            columns, rows = np.flatnonzero(cover.any(0)), np.flatnonzero(cover.any(1))
            xyxy = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float64)
            out[actor] = Visible(xyxy, area, int(np.count_nonzero(self._owner[cover] == actor)))
        return out


def _clip(polygon: F64) -> F64:
    """Return the part of a homogeneous polygon (K, 3) in front of the near plane."""
    inside = polygon[:, 2] > NEAR_M
    if inside.all():
        return polygon
    out = []
    for i in range(len(polygon)):
        p, q = polygon[i - 1], polygon[i]
        if inside[i - 1] != inside[i]:
            share = (NEAR_M - p[2]) / (q[2] - p[2])
            out.append(p + share * (q - p))
        if inside[i]:
            out.append(q)
    return np.array(out).reshape(-1, 3)
