"""One object of the recorded detections is given another class, at the same place and as surely.

The end of the attacks that change what a thing is taken for (K. Eykholt et al., "Robust Physical-World
Attacks on Deep Learning Visual Classification", CVPR 2018), on what reaches the monitor: for recordings that
hold detections.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeguard import messages
from edgeguard.redteam.base import Altered
from edgeguard.redteam.scout import VEHICLES, Scout, iou
from edgeguard.types import F64, Channel, Detections

FLIPS = {"person": "car"}
OTHERWISE = "person"


class ClassFlip:
    """Calls the largest vehicle a person (or, without one, the largest person a car)."""

    kind = "class_flip"
    sensor = Channel.DETECTIONS

    def __init__(self) -> None:
        self._box: F64 | None = None

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"flips": {"person": "car", "otherwise": OTHERWISE}}

    def prepare(self, scout: Scout) -> None:
        """Needs nothing: the target is picked on the first message."""

    def alter(self, message: Any, scout: Scout) -> Altered:
        found = messages.detections(message)
        row = self._target(found)
        if row is None:
            return Altered(None, {}, False)
        self._box = found.xyxy[row].astype(np.float64)
        new = copy.deepcopy(message)
        name = FLIPS.get(found.labels[row], OTHERWISE)
        for result in new.detections[row].results:
            result.hypothesis.class_id = name
        record = {"box": self._box, "was": found.labels[row], "is": name}
        return Altered(new, record, True)

    def _target(self, found: Detections) -> int | None:
        if not len(found):
            return None
        xyxy = found.xyxy.astype(np.float64)
        if self._box is not None:
            overlap = iou(self._box, xyxy)
            return int(overlap.argmax()) if overlap.max() > 0.3 else None
        area = (xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1])
        rank = np.array([name in VEHICLES for name in found.labels]) * 1e9 + area
        return int(rank.argmax())
