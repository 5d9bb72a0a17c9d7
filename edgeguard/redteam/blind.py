"""The camera is dazzled: a strong light fills the picture and drives the sensor into saturation.

After J. Petit, B. Stottelaar, M. Feiri, F. Kargl, "Remote Attacks on Automated Vehicles Sensors", Black Hat
Europe 2015, and C. Yan, W. Xu, J. Liu, "Can You Trust Autonomous Vehicles: Contactless Attacks against
Sensors of Self-driving Vehicle", DEF CON 24, 2016: a laser or lamp aimed at the lens whites out all but the
rim.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeguard.redteam.base import Altered
from edgeguard.redteam.edit import with_pixels
from edgeguard.redteam.scout import Scout
from edgeguard.types import U8, Channel

GLARE = 3.2
"""Light at the middle of the glare, in units of full scale."""
SPREAD = 0.38
"""Standard deviation of the glare, in image widths."""


class Blind:
    """Adds the veiling glare of one lamp, flickering a little, before the sensor clips."""

    kind = "blind"
    sensor = Channel.CAMERA

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"glare": GLARE, "spread": SPREAD}

    def prepare(self, scout: Scout) -> None:
        self._rng = np.random.default_rng([scout.seed, 11])

    def alter(self, message: Any, scout: Scout) -> Altered:
        assert scout.image is not None
        bgr = self._dazzle(scout.image.bgr)
        before = len(scout.view.vehicles)
        seen = scout.view.with_image(bgr)
        record = {"vehicles_before": before, "vehicles_after": len(seen.vehicles)}
        return Altered(with_pixels(message, bgr), record, len(seen.vehicles) < before if before else None)

    def _dazzle(self, bgr: U8) -> U8:
        h, w = bgr.shape[:2]
        x, y = (0.5, 0.45) + self._rng.normal(0, 0.01, 2)
        d2 = ((np.arange(w) / w - x) ** 2)[None, :] + (((np.arange(h) - y * h) / w) ** 2)[:, None]
        veil = 255 * GLARE * self._rng.uniform(0.95, 1.05) * np.exp(-d2 / (2 * SPREAD**2))
        tint = np.array([0.97, 1.0, 1.0])
        out: U8 = np.clip(bgr + veil[..., None] * tint, 0, 255).astype(np.uint8)
        return out
