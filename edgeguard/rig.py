"""Where sensors sit and how the camera sees: camera models, extrinsics, projection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeguard.compiled import loops
from edgeguard.types import F32, F64

DISTORTION_MODELS = ("plumb_bob", "rational_polynomial", "equidistant")


@dataclass(frozen=True, slots=True, eq=False)
class CameraModel:
    """A calibrated camera.

    Attributes:
        frame_id: optical frame (x right, y down, z forward).
        width: image width, pixels.
        height: image height, pixels.
        k: (3, 3) float64 intrinsic matrix, pixels.
        distortion_model: one of `DISTORTION_MODELS`.
        distortion: (D,) float64 coefficients in the model's own order; empty or zero is none.
    """

    frame_id: str
    width: int
    height: int
    k: F64
    distortion_model: str = "plumb_bob"
    distortion: F64 = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        if self.k.shape != (3, 3) or not (self.k[0, 0] > 0 and self.k[1, 1] > 0):
            raise ValueError(
                f"CameraModel.k: expected a 3x3 matrix with positive focal lengths, got {self.k}"
            )
        if self.distortion_model not in DISTORTION_MODELS:
            known = ", ".join(DISTORTION_MODELS)
            raise ValueError(f"CameraModel.distortion_model: {self.distortion_model!r} is none of {known}")

    @property
    def focal(self) -> float:
        """Vertical focal length, pixels."""
        return float(self.k[1, 1])

    @property
    def is_distorted(self) -> bool:
        return bool(np.any(self.distortion != 0))

    @property
    def _cone(self) -> float:
        """Tangent of the angle off the axis up to which points are projected.

        Distortion polynomials fold points far off the axis back into the image: generous, but bounded.
        """
        return float(1.5 * max(self.width / self.k[0, 0], self.height / self.k[1, 1]))

    @property
    def sides(self) -> tuple[float, float]:
        """x/z left and right of which no point is in the image; a little more than what is."""
        if self.is_distorted:
            return -self._cone, self._cone
        fx, cx = float(self.k[0, 0]), float(self.k[0, 2])
        return max(-1.01 * cx / fx, -self._cone), min(1.01 * (self.width - cx) / fx, self._cone)

    def project(self, xyz: F32) -> tuple[F32, NDArray[np.bool_]]:
        """Project points of the optical frame.

        Args:
            xyz: (N, 3), metres.

        Returns:
            (N, 2) float32 pixels, and (N,) whether a point lies in front of the camera and in the
            image. Pixels of points that do not are meaningless.
        """
        half = self._cone
        if not self.is_distorted:
            return loops.pinhole(xyz, self.k, half, self.width, self.height)
        z = xyz[:, 2]
        uv = np.zeros((len(xyz), 2), np.float32)
        front = (z > 0.1) & (np.abs(xyz[:, 0]) < half * z) & (np.abs(xyz[:, 1]) < half * z)
        if np.any(front):
            ahead = np.ascontiguousarray(xyz[front], np.float64).reshape(-1, 1, 3)
            zero = np.zeros(3)
            if self.distortion_model == "equidistant":
                out, _ = cv2.fisheye.projectPoints(ahead, zero, zero, self.k, self.distortion[:4])
            else:
                out, _ = cv2.projectPoints(ahead, zero, zero, self.k, self.distortion)
            uv[front] = out.reshape(-1, 2)
        inside = (
            front & (uv[:, 0] >= 0) & (uv[:, 0] < self.width) & (uv[:, 1] >= 0) & (uv[:, 1] < self.height)
        )
        return uv, inside

    def view(self, xyz: F32, matrix: F64, nearest: float) -> tuple[F32, F32, F32, F32, NDArray[np.intp]]:
        """Project points and sort those in the image by their column of pixels.

        Args:
            xyz: (N, 3), metres, in any frame.
            matrix: (4, 4) from that frame to the optical one.
            nearest: metres ahead up to which a point is left out.

        Returns:
            (M, 3) points of the optical frame, by column; (M,) u, v, z of these; and (width + 1,) the index
            of the first point of each column.
        """
        if not self.is_distorted:
            return loops.pinhole_view(
                np.ascontiguousarray(xyz),
                matrix,
                *self.sides,
                self.k,
                self._cone,
                self.width,
                self.height,
                nearest,
            )
        xyz = loops.in_view(xyz, matrix, *self.sides)
        return loops.by_column(xyz, *self.project(xyz), nearest, self.width)


class TransformTree:
    """Static transforms, as `/tf_static` gives them: a forest of frames with one parent each."""

    def __init__(self) -> None:
        self._parent: dict[str, tuple[str, F64]] = {}

    def add(self, parent: str, child: str, matrix: F64) -> None:
        """Set the pose of `child` in `parent`: (4, 4), maps child coordinates to parent's."""
        self._parent[child.lstrip("/")] = (parent.lstrip("/"), matrix)

    @property
    def frames(self) -> frozenset[str]:
        return frozenset(self._parent) | frozenset(p for p, _ in self._parent.values())

    def lookup(self, target: str, source: str) -> F64 | None:
        """Return the (4, 4) matrix that maps `source` coordinates to `target`'s; None if not connected."""
        to_source, to_target = self._chain(source.lstrip("/")), self._chain(target.lstrip("/"))
        common = next((f for f in to_source if f in to_target), None)
        if common is None:
            return None
        matrix: F64 = np.linalg.inv(to_target[common]) @ to_source[common]
        return matrix

    def _chain(self, frame: str) -> dict[str, F64]:
        """Every ancestor of `frame` with the matrix from `frame` to it, nearest first."""
        chain, matrix = {frame: np.eye(4)}, np.eye(4)
        while frame in self._parent:
            frame, step = self._parent[frame]
            if frame in chain:  # a loop is a broken tree: what was reached so far still holds
                break
            matrix = step @ matrix
            chain[frame] = matrix
        return chain


def pose_matrix(
    translation: tuple[float, float, float], quaternion: tuple[float, float, float, float]
) -> F64:
    """Return the (4, 4) matrix of a translation (metres) and a quaternion (x, y, z, w), normalised here."""
    x, y, z, w = np.asarray(quaternion, np.float64) / max(float(np.linalg.norm(quaternion)), 1e-12)
    matrix = np.eye(4)
    matrix[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    matrix[:3, 3] = translation
    return matrix


@dataclass(frozen=True, slots=True, eq=False)
class Rig:
    """The camera and the way from every other sensor to it.

    Attributes:
        camera: the camera's model.
        to_camera: per frame id, the (4, 4) float64 matrix from that frame to the camera's optical frame.
    """

    camera: CameraModel
    to_camera: Mapping[str, F64]

    @classmethod
    def from_tree(cls, camera: CameraModel, tree: TransformTree) -> Rig:
        """Resolve every frame of `tree` that is connected to the camera."""
        matrices = {f: m for f in sorted(tree.frames) if (m := tree.lookup(camera.frame_id, f)) is not None}
        return cls(camera, {**matrices, camera.frame_id: np.eye(4)})

    def transform(self, frame_id: str, xyz: NDArray[np.floating]) -> F32 | None:
        """Return (N, 3) points of `frame_id` in the optical frame; None where no transform is known."""
        matrix = self.to_camera.get(frame_id.lstrip("/"))
        if matrix is None:
            return None
        rotation = matrix[:3, :3].astype(np.float32)
        out: F32 = xyz.astype(np.float32, copy=False) @ rotation.T + matrix[:3, 3].astype(np.float32)
        return out
