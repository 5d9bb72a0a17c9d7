"""How much light falls on what the camera sees, and how bright the camera makes it."""

from __future__ import annotations

import numpy as np

from edgeguard.sim.raster import Canvas
from edgeguard.sim.street import LAMP_HEIGHT_M, START_X, TUNNEL_HEIGHT_M
from edgeguard.sim.world import Scene
from edgeguard.types import F32, F64

_BEAM_DEG = 16.0
_ABOVE_BEAM = 0.2
"""Share of a head lamp's light above the horizon: dipped beam."""
_NEAREST_M = 8.0
"""Head lamps aim past what is nearer: it gets no more light than at this range."""
_STREET_LAMP = 0.55
_DAYLIGHT_REACH_M = 7.0
"""Distance over which daylight fades into a tunnel."""
_METERED_M = (6.0, 10.0, 16.0, 24.0)
"""Ranges ahead whose light auto exposure goes by."""


class Illumination:
    """The light on every pixel of a scene's images; 1 is day, and the gain of an auto exposure of it."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        camera, (fx, fy) = scene.camera, scene.camera.k.diagonal()[:2]
        self._right: F32 = ((np.arange(camera.width) - camera.k[0, 2]) / fx).astype(np.float32)
        self._down: F32 = ((np.arange(camera.height) - camera.k[1, 2]) / fy).astype(np.float32)
        side = np.exp(-((np.degrees(np.arctan(self._right)) / _BEAM_DEG) ** 2))
        height = _ABOVE_BEAM + (1 - _ABOVE_BEAM) / (1 + np.exp(-(self._down + 0.01) / 0.006))
        self._beam: F32 = (scene.light.headlights * side * height[:, None]).astype(np.float32)

    @property
    def is_plain(self) -> bool:
        """Return whether it is day everywhere."""
        light = self.scene.light
        return light.ambient == 1.0 and not light.headlights and not light.lamp_spacing_m and not light.tunnel

    def on(self, canvas: Canvas, to_camera: F64) -> F32:
        """Return (H, W) the light on a canvas's pixels."""
        light, inverse = self.scene.light, canvas.inverse_depth
        sky = inverse == 0
        z = 1.0 / np.where(sky, np.float32(1e-3), inverse)
        pose = np.linalg.inv(to_camera).astype(np.float32)
        x, y, up = (
            pose[i, 3] + z * (pose[i, 0] * self._right + (pose[i, 1] * self._down + pose[i, 2])[:, None])
            for i in range(3)
        )
        out: F32 = np.full(inverse.shape, light.ambient, np.float32)
        if light.tunnel is not None:
            start, end = light.tunnel
            inside = (x > start + 0.3) & (x < end - 0.3) & (up < TUNNEL_HEIGHT_M + 0.3)
            np.copyto(out, self._in_tunnel(x), where=inside)
        if light.lamp_spacing_m:
            out += self._street_lamps(x, y)
        if light.headlights:
            out += self._beam * np.minimum(10.0 * inverse, 10.0 / _NEAREST_M) ** 2
        np.copyto(out, np.float32(light.ambient), where=sky)
        if canvas.glow is not None:
            np.maximum(out, canvas.glow, out=out)
        return out

    def gain(self, t: float) -> float:
        """Return the brightening that auto exposure has reached at `t`."""
        imager = self.scene.imager
        delay = imager.adaptation_s * np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0])
        weight = np.exp(-delay / max(imager.adaptation_s, 1e-6)) * np.gradient(delay)
        target = np.array([self._target_gain(t - d) for d in delay])
        weight = weight if weight.sum() > 0 else np.ones(len(delay))
        return float(np.exp(np.sum(weight * np.log(target)) / weight.sum()))

    def _target_gain(self, t: float) -> float:
        light, x = self.scene.light, self.scene.ego.pose(t)[0]
        ahead = np.array(_METERED_M, np.float32)
        met = np.full(len(ahead), light.ambient, np.float32)
        if light.tunnel is not None:
            at = x + ahead
            met = np.where((at > light.tunnel[0]) & (at < light.tunnel[1]), self._in_tunnel(at), met)
        if light.lamp_spacing_m:
            met = met + _STREET_LAMP / 2
        met = met + light.headlights * np.minimum(10.0 / ahead, 10.0 / _NEAREST_M) ** 2
        return float(np.clip(1.0 / met.mean(), 1.0 / self.scene.imager.max_gain, self.scene.imager.max_gain))

    def _in_tunnel(self, x: F32) -> F32:
        light = self.scene.light
        assert light.tunnel is not None
        start, end = light.tunnel
        day = np.exp(-np.maximum(x - start, 0) / _DAYLIGHT_REACH_M) + np.exp(
            -np.maximum(end - x, 0) / _DAYLIGHT_REACH_M
        )
        return np.asarray(light.tunnel_light + light.ambient * 0.7 * day, np.float32)

    def _street_lamps(self, x: F32, y: F32) -> F32:
        """Light of the nearest lamp, from its height, over the left edge of the road."""
        spacing = np.float32(self.scene.light.lamp_spacing_m)
        along = x - np.float32(START_X)
        along -= spacing * np.rint(along / spacing)
        across = y - np.float32(self.scene.kerb_y - 0.8)
        square = np.float32(LAMP_HEIGHT_M**2)
        share = square / (square + along * along + across * across)
        return np.asarray(np.float32(_STREET_LAMP) * share * np.sqrt(share), np.float32)
