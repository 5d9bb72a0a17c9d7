"""Air, lens and sensor: what becomes of the light on its way into an image."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from edgeguard.sim.light import Illumination
from edgeguard.sim.motion import ImageMotion
from edgeguard.sim.raster import Canvas, Visible
from edgeguard.sim.world import Scene
from edgeguard.types import F32, F64, U8

AIR_LIGHT = (208.0, 204.0, 200.0)
"""Colour of daylit haze, BGR."""
_STREAKS_PER_MM_H = 9.0
_DROP_MPS = 8.0
_DROP_RANGE_M = (1.5, 9.0)
_STREAK_ALPHA = 0.3


class Optics:
    """Makes images of a scene's canvases."""

    def __init__(self, scene: Scene, camera_matrix: Callable[[float], F64]) -> None:
        self.scene, self._camera_matrix = scene, camera_matrix
        self._light = Illumination(scene)
        self._motion = ImageMotion(scene, camera_matrix)
        rng = np.random.default_rng([scene.seed, 2])
        h, w = scene.camera.height + 64, scene.camera.width + 64
        noise = rng.normal(0.0, scene.imager.noise_sigma, (h, w, 3))
        self._noise = noise.round().astype(np.int16)

    def expose(self, canvas: Canvas, index: int) -> tuple[U8, dict[int, Visible]]:
        """Return the image of a canvas, and the actors in it as the shutter caught them."""
        t = self.scene.time(index)
        rng = np.random.default_rng([self.scene.seed, 3, index])
        dy, dx = (int(v) for v in rng.integers(0, 64, 2))
        gain = 1.0 if self._light.is_plain else self._light.gain(t)
        bgr = self._through_air(canvas, t, gain, rng)
        bgr, visible = self._motion.apply(bgr, canvas, t)
        h, w = bgr.shape[:2]
        noise = self._noise[dy : dy + h, dx : dx + w]
        if gain != 1.0:
            noise = (noise * np.float32(np.sqrt(gain))).astype(np.int16)
        return np.asarray(cv2.add(bgr, noise, dtype=cv2.CV_8U), np.uint8), visible

    def _through_air(self, canvas: Canvas, t: float, gain: float, rng: np.random.Generator) -> U8:
        weather, bgr = self.scene.weather, canvas.bgr
        lit = None if self._light.is_plain else self._light.on(canvas, self._camera_matrix(t)) * gain
        if lit is not None:
            bgr = _scaled(bgr, lit)
        brightness = min(gain * self.scene.light.ambient, 1.0)
        if weather.visibility_m < np.inf:
            bgr = self._haze(bgr, canvas.inverse_depth, brightness)
        if weather.rain_mm_h > 0:
            bgr = self._streaks(bgr, brightness, rng)
        return bgr

    def _haze(self, bgr: U8, inverse_depth: F32, brightness: float) -> U8:
        """Koschmieder's law: contrast falls to 5 % over the visibility; the air's light takes its place."""
        depth = 1.0 / np.maximum(inverse_depth, np.float32(1e-4))
        clear: F32 = np.exp(depth * np.float32(-3.0 / self.scene.weather.visibility_m)).astype(np.float32)
        kept, air = _scaled(bgr, clear), np.empty_like(bgr)
        air[:] = np.array(AIR_LIGHT) * brightness
        return np.asarray(cv2.add(kept, _scaled(air, 1.0 - clear)), np.uint8)

    def _streaks(self, bgr: U8, brightness: float, rng: np.random.Generator) -> U8:
        """Drops that fall through the near field during the exposure, lighter than what is behind them."""
        h, w = bgr.shape[:2]
        n = int(rng.poisson(_STREAKS_PER_MM_H * self.scene.weather.rain_mm_h))
        # As many in every slice of the viewed cone: their share grows with the square of the range.
        near, far = _DROP_RANGE_M
        range_m = np.cbrt(rng.uniform(near**3, far**3, n))
        length = self.scene.camera.focal * _DROP_MPS * self.scene.imager.exposure_s / range_m + 1.0
        start = rng.uniform((0, -20), (w, h), (n, 2))
        end = start + np.column_stack([0.08 * length, length])
        lines = np.round(np.stack([start, end], 1) * 8).astype(np.int32)
        overlay = np.zeros((h, w), np.uint8)
        cv2.polylines(overlay, list(lines), False, 255, 1, cv2.LINE_AA, 3)
        veil = cv2.GaussianBlur(overlay, (3, 3), 0).astype(np.float32) * np.float32(_STREAK_ALPHA / 255)
        light = np.empty_like(bgr)
        light[:] = np.array(AIR_LIGHT) * brightness
        return np.asarray(cv2.add(_scaled(bgr, 1.0 - veil), _scaled(light, veil)), np.uint8)


def _scaled(bgr: U8, factor: F32) -> U8:
    """Return an image times a factor per pixel."""
    factors = cv2.merge([np.asarray(factor, np.float32)] * 3)
    return np.asarray(cv2.multiply(bgr, factors, dtype=cv2.CV_8U), np.uint8)
