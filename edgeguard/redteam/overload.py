"""A thousand boxes where there are none: who must look at each of them is late.

After A. Shapira et al., "Phantom Sponges: Exploiting Non-Maximum Suppression to Attack Deep Object
Detectors", WACV 2023, whose perturbed pictures pass thousands of candidates; here on recorded detections, as
what such a network would hand on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeguard.redteam.base import Altered, AttackError
from edgeguard.redteam.scout import Scout
from edgeguard.types import Channel

BOXES = 1000
SIZE_PX = (8.0, 60.0)


class Overload:
    """Adds boxes at random places, copies of the drive's first detection in all but place and size."""

    kind = "overload"
    sensor = Channel.DETECTIONS

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)
        self._model: Any = None
        self._size = (0, 0)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"boxes": BOXES, "size_px": list(SIZE_PX)}

    def prepare(self, scout: Scout) -> None:
        self._rng = np.random.default_rng([scout.seed, 19])
        if scout.rig is None:
            raise AttackError(
                self.kind, "no camera_info in the bag, so no size of picture", "Give one with it"
            )
        self._size = scout.rig.camera.width, scout.rig.camera.height

    def alter(self, message: Any, scout: Scout) -> Altered:
        known = [m for m in (message, *scout.earlier) if m.detections]
        if self._model is None and known:
            self._model = known[0].detections[0]
        if self._model is None:
            return Altered(None, {"boxes_added": 0}, False)
        added = [self._box(message.header) for _ in range(BOXES)]
        new = dataclasses.replace(message, detections=[*message.detections, *added])
        return Altered(new, {"boxes_added": BOXES}, True)

    def _box(self, header: Any) -> Any:
        old = self._model.bbox
        x, y = (float(v) for v in self._rng.uniform(0, self._size))
        width, height = (float(v) for v in self._rng.uniform(*SIZE_PX, 2))
        if hasattr(old.center, "position"):
            middle = dataclasses.replace(
                old.center, position=dataclasses.replace(old.center.position, x=x, y=y)
            )
        else:
            middle = dataclasses.replace(old.center, x=x, y=y)
        bbox = dataclasses.replace(old, center=middle, size_x=width, size_y=height)
        return dataclasses.replace(self._model, header=header, bbox=bbox)
