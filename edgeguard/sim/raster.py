"""Flat pictures in space to pixels: culling, perspective, depth and identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeguard.compiled import loops
from edgeguard.rig import CameraModel
from edgeguard.sim.world import BACKGROUND, Surface
from edgeguard.types import F32, F64, I32, U8

NEAR_M = 0.3
FAR_M = 110.0
_FAR_PX = 20000
"""Outlines are cut to this: beyond, fixed-point drawing overflows."""
_LEAST_PX = 0.8
"""Surfaces that are narrower are not drawn."""
_SOLID = 200
"""Alpha above which a pixel belongs to what is drawn: a shadow is no part of what throws it."""


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


class Shapes:
    """Surfaces in one frame of reference, as arrays.

    Attributes:
        surfaces: (N,) what they look like.
        basis: (N, 3, 3) columns u, v, origin.
        outline: (N, 4, 3) corners in shares of u and v, homogeneous.
        two_sided: (N,) whether they are seen from behind.
    """

    def __init__(self, surfaces: Sequence[Surface]) -> None:
        n = len(surfaces)
        self.surfaces = list(surfaces)
        self.basis: F64 = (
            np.array([[s.u, s.v, s.origin] for s in surfaces]).reshape(n, 3, 3).transpose(0, 2, 1)
        )
        self.outline: F64 = np.ones((n, 4, 3))
        for i, s in enumerate(surfaces):
            self.outline[i, :, :2] = s.outline
        self.two_sided: NDArray[np.bool_] = np.array([not s.one_sided for s in surfaces], np.bool_)

    def moved(self, pose: F64) -> F64:
        """Return the bases after a (4, 4) pose."""
        basis = pose[:3, :3] @ self.basis
        basis[:, :, 2] += pose[:3, 3]
        return np.asarray(basis, np.float64)


class Sight(NamedTuple):
    """A surface that may be seen: its (3, 3) plane-to-pixel matrix, and what follows from it."""

    surface: Surface
    homography: F64
    inverse_depth: F32
    pixels: F64
    shrink: tuple[int, int]
    roi: tuple[int, int, int, int]


_CORNERS = np.array([[0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]], np.float64)


def in_view(groups: Sequence[tuple[Shapes, F64]], to_camera: F64, model: CameraModel) -> list[Sight]:
    """Return the surfaces that may be seen, farthest first.

    Args:
        groups: surfaces and their bases in the world.
        to_camera: (4, 4) from the world to the optical frame.
        model: the camera.
    """
    basis = to_camera[:3, :3] @ np.concatenate([b for _, b in groups])
    basis[:, :, 2] += to_camera[:3, 3]
    # Facing surfaces span (u, v) clockwise for the viewer.
    facing = np.einsum("ij,ij->i", np.cross(basis[:, :, 0], basis[:, :, 1]), basis[:, :, 2]) > 0
    facing |= np.concatenate([s.two_sided for s, _ in groups])
    z = np.stack([basis[:, 2, 2] + a * basis[:, 2, 0] + b * basis[:, 2, 1] for a, b, _ in _CORNERS], 1)
    index = np.flatnonzero(facing & (z.max(1) > NEAR_M) & (z.min(1) < FAR_M))
    basis, z = basis[index], z[index]
    homography = model.k @ basis
    corners = np.einsum("nij,kj->nki", homography, _CORNERS)
    whole = z.min(1) > NEAR_M
    pixels = corners[..., :2] / np.where(whole[:, None], z, 1.0)[..., None]
    low, high = pixels.min(1), pixels.max(1)
    inside = ((low < (model.width, model.height)) & (high > 0) & (high - low > _LEAST_PX)).all(1) | ~whole
    index, basis, homography, pixels = index[inside], basis[inside], homography[inside], pixels[inside]
    whole = whole[inside]
    distance = np.linalg.norm(np.einsum("nij,kj->nki", basis, _CORNERS), axis=2).max(1)
    order = np.argsort(-distance, kind="stable")
    # On a plane 1/z is linear in the pixel: the last row of the inverse homography.
    inverse_depth = np.linalg.inv(homography)[:, 2].astype(np.float32)
    outline = np.concatenate([s.outline for s, _ in groups])[index]
    polygons = outline @ homography.transpose(0, 2, 1)
    shrink = _shrink(pixels)
    surfaces = [s for shapes, _ in groups for s in shapes.surfaces]
    flat = polygons[..., :2] / np.where(whole[:, None], polygons[..., 2], 1.0)[..., None]
    rois = _rois(flat, model)
    sights = []
    for i in order:
        surface, outline_px, roi, halvings = surfaces[index[i]], flat[i], rois[i], (0, 0)
        if whole[i]:
            h, w = surface.texture.shape[:2]
            halvings = (_halvings(w / shrink[i, 0]), _halvings(h / shrink[i, 1]))
        else:
            polygon = _clip(polygons[i])
            if len(polygon) < 3:
                continue
            outline_px = polygon[:, :2] / polygon[:, 2:]
            roi = _rois(outline_px[None], model)[0]
        x0, y0, x1, y1 = roi.tolist()
        if x1 > x0 and y1 > y0:
            outline_px = np.clip(outline_px, -_FAR_PX, _FAR_PX)
            sights.append(
                Sight(surface, homography[i], inverse_depth[i], outline_px, halvings, (x0, y0, x1, y1))
            )
    return sights


def _shrink(pixels: F64) -> F64:
    """Return (N, 2) how many pixels surfaces with (N, 4, 2) corners are wide and high."""
    side = np.linalg.norm(np.roll(pixels, -1, axis=1) - pixels, axis=2)
    return np.asarray(np.maximum((side[:, :2] + side[:, 2:]) / 2, 1.0), np.float64)


def _halvings(shrink: float) -> int:
    return max(int(np.log2(max(shrink, 1.0)) + 0.3), 0)


def _rois(pixels: F64, model: CameraModel) -> I32:
    """Return (N, 4) the parts of the image, x0, y0, x1, y1, that (N, K, 2) outlines lie in."""
    size = np.array([model.width, model.height], np.float64)
    low = np.clip(np.floor(pixels.min(axis=1)), 0, size)
    high = np.clip(np.ceil(pixels.max(axis=1)) + 1, 0, size)
    return np.concatenate([low, high], axis=1).astype(np.int32)


class Canvas:
    """An image with depth, identity and glow behind every pixel.

    Attributes:
        bgr: (H, W, 3) uint8.
        inverse_depth: (H, W) float32, 1/m along the optical axis; 0 is the sky.
        owner: (H, W) int32, actor or `BACKGROUND`.
        glow: (H, W) float32 light of its own, or None where nothing glows.
    """

    def __init__(self, background: U8) -> None:
        shape = background.shape[:2]
        self.bgr = background.copy()
        self.inverse_depth: F32 = np.zeros(shape, np.float32)
        self.owner: I32 = np.full(shape, BACKGROUND, np.int32)
        self.glow: F32 | None = None
        self._cover: dict[int, U8] = {}
        self._extent: dict[int, tuple[int, int, int, int]] = {}

    def draw(self, sight: Sight, texture: U8) -> None:
        """Warp a surface into the image where it is nearer than what is there.

        Args:
            sight: what and where.
            texture: its texture at the resolution that the image needs: BGR is opaque and of the
                background, BGRA is blended with its alpha and at its edges.
        """
        (x0, y0, x1, y1), (th, tw) = sight.roi, texture.shape[:2]
        # A texel's middle is at half a texel, a pixel's middle at whole numbers.
        to_plane = np.array([[1 / tw, 0, 0.5 / tw], [0, 1 / th, 0.5 / th], [0, 0, 1]])
        to_roi = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1.0]])
        patch = np.asarray(
            cv2.warpPerspective(
                texture,
                to_roi @ sight.homography @ to_plane,
                (x1 - x0, y1 - y0),
                flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            ),
            np.uint8,
        )
        smooth = texture.shape[2] == 4
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        corners = np.round((sight.pixels - (x0, y0)) * 16).astype(np.int32)
        cv2.fillConvexPoly(mask, corners, 255, cv2.LINE_AA if smooth else cv2.LINE_8, 4)
        surface, cover = sight.surface, None
        if smooth and surface.owner != BACKGROUND:
            cover = self._covered_by(surface.owner, sight.roi)
        if surface.glow > 0 and self.glow is None:
            self.glow = np.zeros(self.owner.shape, np.float32)
        a, b, c = sight.inverse_depth.tolist()
        loops.paint(
            self.bgr, self.inverse_depth, self.owner, self.glow, patch, mask, x0, y0, a, b, c,
            surface.owner, surface.glow, cover, _SOLID,
        )  # fmt: skip

    def _covered_by(self, owner: int, roi: tuple[int, int, int, int]) -> U8:
        """Return (H, W) where an actor's solid surfaces are, seen or not; `roi` is to be part of them."""
        cover = self._cover.setdefault(owner, np.zeros(self.owner.shape, np.uint8))
        (x0, y0, x1, y1), old = roi, self._extent.get(owner, roi)
        self._extent[owner] = (min(x0, old[0]), min(y0, old[1]), max(x1, old[2]), max(y1, old[3]))
        return cover

    def visible(self) -> dict[int, Visible]:
        """Return how the actors appear that cover at least 12 pixels."""
        out = {}
        for actor, cover in sorted(self._cover.items()):
            x0, y0, x1, y1 = self._extent[actor]
            inside, owner = cover[y0:y1, x0:x1] > 0, self.owner[y0:y1, x0:x1]
            area = int(np.count_nonzero(inside))
            if area >= 12:
                columns, rows = np.flatnonzero(inside.any(0)), np.flatnonzero(inside.any(1))
                xyxy = np.array([x0 + columns[0], y0 + rows[0], x0 + columns[-1] + 1, y0 + rows[-1] + 1.0])
                seen = int(np.count_nonzero((owner == actor) & inside))
                out[actor] = Visible(xyxy, area, seen)
        return out


def _clip(polygon: F64) -> F64:
    """Return the part of a homogeneous polygon (K, 3) in front of the near plane."""
    inside = polygon[:, 2] > NEAR_M
    out = []
    for i in range(len(polygon)):
        p, q = polygon[i - 1], polygon[i]
        if inside[i - 1] != inside[i]:
            share = (NEAR_M - p[2]) / (q[2] - p[2])
            out.append(p + share * (q - p))
        if inside[i]:
            out.append(q)
    return np.array(out).reshape(-1, 3)
