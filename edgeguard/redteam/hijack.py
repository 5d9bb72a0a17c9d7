"""The picture of the nearest vehicle is eased off its place, and the tracker's box goes with it.

After Y. Jia et al., "Fooling Detection Alone is Not Enough: Adversarial Attack against Multiple Object
Tracking", ICLR 2020: detections that move a little on every frame drag a track away from its object. Here on
pixels: the vehicle is cut out, its place painted over, and the cut pasted ever farther aside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeguard.redteam.base import Altered, require_vehicle
from edgeguard.redteam.edit import with_pixels
from edgeguard.redteam.hide import MARGINS, paint
from edgeguard.redteam.phantom import cut, paste
from edgeguard.redteam.scout import Scout, follow, iou
from edgeguard.types import F64, Channel

SPEED = 1.0
"""Box widths a second."""
FARTHEST = 1.6
"""Box widths at most."""
EASED = 0.5
"""Box widths from which the track is no longer on its object."""


class Hijack:
    """Slides the vehicle's picture sideways, towards the middle of the image."""

    kind = "hijack"
    sensor = Channel.CAMERA

    def __init__(self) -> None:
        self._box: F64 = np.zeros(4)
        self._side = 1.0
        self._rng = np.random.default_rng(0)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"widths_per_s": SPEED, "farthest_widths": FARTHEST, "side": self._side}

    def prepare(self, scout: Scout) -> None:
        self._rng = np.random.default_rng([scout.seed, 17])
        self._box = require_vehicle(self.kind, scout)
        image = scout.ahead[0].image
        assert image is not None
        # Where there is more room.
        self._side = 1.0 if self._box[0] + self._box[2] < image.size[0] else -1.0

    def alter(self, message: Any, scout: Scout) -> Altered:
        view = scout.view
        assert view.image is not None
        now = follow(self._box, view)
        self._box = self._box if now is None else now
        eased = min(SPEED * scout.elapsed_s, FARTHEST)
        aside = self._side * eased * (self._box[2] - self._box[0])
        target = self._box + (aside, 0.0, aside, 0.0)
        sprite = cut(view.image.bgr, self._box)
        bgr = paste(paint(view.image.bgr, self._box, MARGINS[0], self._rng), sprite, target)
        seen = view.with_image(bgr)
        # A box on the vehicle's true place overlaps the target less than this from EASED on.
        held = len(seen.vehicles) and float(iou(target, seen.vehicles.xyxy).max()) > 0.4
        record = {"box": target, "true_box": self._box, "eased_widths": round(eased, 3)}
        return Altered(with_pixels(message, bgr), record, bool(held and eased >= EASED))
