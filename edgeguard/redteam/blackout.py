"""The camera is covered: a cap, a spray or a bag over the lens leaves the sensor's noise.

The lens covered on purpose is among the camera attacks of J. Petit, B. Stottelaar, M. Feiri, F. Kargl,
"Remote Attacks on Automated Vehicles Sensors", Black Hat Europe 2015, and the blocked lens among the faults
of ISO 21448 (SOTIF).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeguard.redteam.base import Altered
from edgeguard.redteam.edit import with_pixels
from edgeguard.redteam.scout import Scout
from edgeguard.types import Channel

LEFT = 0.02
"""Share of the light that still comes in."""
NOISE = 2.0
"""Standard deviation of the sensor's noise, grey values."""


class Blackout:
    """Leaves a trace of light and the sensor's noise."""

    kind = "blackout"
    sensor = Channel.CAMERA

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"light_left": LEFT, "noise_sigma": NOISE}

    def prepare(self, scout: Scout) -> None:
        self._rng = np.random.default_rng([scout.seed, 14])

    def alter(self, message: Any, scout: Scout) -> Altered:
        view = scout.view
        assert view.image is not None
        dark = view.image.bgr * LEFT + 4.0 + self._rng.normal(0, NOISE, view.image.bgr.shape)
        bgr = np.clip(dark, 0, 255).astype(np.uint8)
        before, after = len(view.vehicles), len(view.with_image(bgr).vehicles)
        record = {"vehicles_before": before, "vehicles_after": after}
        return Altered(with_pixels(message, bgr), record, after < before if before else None)
