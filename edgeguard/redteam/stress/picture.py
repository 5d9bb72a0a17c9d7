"""What weather, light and the lens do to the picture.

Rain and fog follow the models of S. Halder, J.-F. Lalonde, R. de Charette, "Physics-Based Rendering for
Improving Robustness to Rain", ICCV 2019 (streaks over a veil), and of C. Sakaridis, D. Dai, L. Van Gool,
"Semantic Foggy Scene Understanding with Synthetic Data", IJCV 2018 (Koschmieder's law over depth); the others
D. Hendrycks, T. Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and Perturbations",
ICLR 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from edgeguard.redteam.base import Altered
from edgeguard.redteam.decalibrate import turned
from edgeguard.redteam.edit import with_pixels
from edgeguard.redteam.scout import ASSUMED_CAMERA_HEIGHT_M, Scout
from edgeguard.types import F32, F64, U8, Channel


class _Picture:
    """Alters every picture; `seen` says how."""

    kind = ""
    sensor = Channel.CAMERA
    number = 0

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.k: F64 | None = None

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {}

    def prepare(self, scout: Scout) -> None:
        self.rng = np.random.default_rng([scout.seed, 50 + self.number])
        self.k = None if scout.rig is None else scout.rig.camera.k

    def alter(self, message: Any, scout: Scout) -> Altered:
        assert scout.image is not None
        bgr = np.clip(self.seen(scout.image.bgr, scout.elapsed_s), 0, 255).astype(np.uint8)
        return Altered(with_pixels(message, bgr))

    def seen(self, bgr: U8, elapsed_s: float) -> F32 | U8:
        """Return what the camera sees instead, grey values."""
        raise NotImplementedError

    def camera(self, bgr: U8) -> F64:
        """Return the camera matrix, a usual one where the recording has none."""
        h, w = bgr.shape[:2]
        usual = np.array([[0.8 * w, 0, w / 2], [0, 0.8 * w, h / 2], [0, 0, 1]])
        return usual if self.k is None else self.k


class Rain(_Picture):
    """Moderate rain: streaks, a light veil, less contrast."""

    kind, number = "rain", 1
    streaks_per_px = 0.0012

    def seen(self, bgr: U8, elapsed_s: float) -> F32 | U8:
        h, w = bgr.shape[:2]
        drops = np.zeros((h, w), np.float32)
        count = int(self.streaks_per_px * h * w)
        start = self.rng.integers(0, (w, h), (count, 2))
        length = self.rng.uniform(0.02, 0.06, count) * h
        slant = self.rng.normal(0.05, 0.02, count)
        for (x, y), size, lean in zip(start, length, slant):
            end = int(x + lean * size), int(y + size)
            cv2.line(drops, (int(x), int(y)), end, float(self.rng.uniform(0.1, 0.35)), 1, cv2.LINE_AA)
        veiled = 0.88 * bgr.astype(np.float32) + 0.12 * 170.0
        return (veiled + drops[..., None] * (215.0 - veiled)).astype(np.float32)


class Fog(_Picture):
    """Fog with a meteorological range of 150 m, over the depth of a level road."""

    kind, number = "fog", 2
    visibility_m = 150.0
    light = 205.0

    def seen(self, bgr: U8, elapsed_s: float) -> F32 | U8:
        k = self.camera(bgr)
        rows = np.arange(bgr.shape[0], dtype=np.float64)
        below = np.maximum(rows - k[1, 2], 1e-3)
        depth = np.minimum(k[1, 1] * ASSUMED_CAMERA_HEIGHT_M / below, 80.0)
        through = np.exp(-np.log(20.0) / self.visibility_m * depth).astype(np.float32)[:, None, None]
        return np.asarray(bgr * through + self.light * (1 - through), np.float32)


class Night(_Picture):
    """A tenth of the light, amplified: dark, and as noisy as gain makes it."""

    kind, number = "night", 3
    light, noise = 0.3, 5.0

    def seen(self, bgr: U8, elapsed_s: float) -> F32 | U8:
        dark = self.light * bgr.astype(np.float32)
        grain = self.rng.standard_normal(bgr.shape, dtype=np.float32)
        return np.asarray(dark + self.noise * grain, np.float32)


class LowSun(_Picture):
    """The sun stands low beside the way: a glare in a corner and a veil over all."""

    kind, number = "low_sun", 4

    def seen(self, bgr: U8, elapsed_s: float) -> F32 | U8:
        h, w = bgr.shape[:2]
        x, y = np.arange(w, dtype=np.float32) / w - 0.88, np.arange(h, dtype=np.float32) / w - 0.04
        glare = np.exp(-(x[None, :] ** 2 + y[:, None] ** 2) / (2 * 0.12**2))
        veil = (230.0 * glare + 18.0)[..., None] * np.array([0.85, 0.95, 1.0], np.float32)
        return np.asarray(bgr + veil, np.float32)


class DirtyLens(_Picture):
    """Smears that stay where they are: they take light and sharpness away."""

    kind, number = "dirty_lens", 5
    smears = 10

    def __init__(self) -> None:
        super().__init__()
        self._mask: F32 | None = None

    def seen(self, bgr: U8, elapsed_s: float) -> F32 | U8:
        if self._mask is None:
            self._mask = self._dirt(bgr)
        soft = np.asarray(cv2.GaussianBlur(bgr, (0, 0), 0.006 * bgr.shape[1]), np.float32)
        return np.asarray(bgr + self._mask * (0.85 * soft + 0.15 * 105.0 - bgr), np.float32)

    def _dirt(self, bgr: U8) -> F32:
        h, w = bgr.shape[:2]
        dirt = np.zeros((h, w), np.float32)
        for _ in range(self.smears):
            at = (int(self.rng.integers(w)), int(self.rng.integers(h)))
            size = (int(self.rng.uniform(0.01, 0.05) * w), int(self.rng.uniform(0.01, 0.03) * w))
            shade = float(self.rng.uniform(0.4, 0.8))
            cv2.ellipse(dirt, at, size, float(self.rng.uniform(0, 180)), 0, 360, shade, -1)
        out: F32 = np.asarray(cv2.GaussianBlur(dirt, (0, 0), 0.01 * w), np.float32)[..., None]
        return out


class Vibration(_Picture):
    """A rough road: the camera shakes by a quarter of a degree about each axis."""

    kind, number = "vibration", 6
    sigma_deg = 0.25

    def seen(self, bgr: U8, elapsed_s: float) -> F32 | U8:
        yaw, pitch, roll = (float(v) for v in self.rng.normal(0, self.sigma_deg, 3))
        return turned(bgr, self.camera(bgr), yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll)


class Exposure(_Picture):
    """The exposure jumps by a stop every second, as in an avenue or under bridges."""

    kind, number = "exposure", 7
    gains = (1.0, 1.5, 0.7, 1.2, 0.55)

    def seen(self, bgr: U8, elapsed_s: float) -> F32 | U8:
        gain = self.gains[int(elapsed_s) % len(self.gains)]
        # Cameras hold light linear before they encode it: a gain there is one to the power of 1/2.2 here.
        return (bgr * np.float32(gain ** (1 / 2.2))).astype(np.float32)
