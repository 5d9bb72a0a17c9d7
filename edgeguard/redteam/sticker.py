"""Opaque stickers on the nearest vehicle, placed where the engine minds them most.

After K. Eykholt et al., "Robust Physical-World Attacks on Deep Learning Visual Classification", CVPR 2018
(black and white stickers at places found by optimisation), with no gradient: the places are found by asking
the engine, greedily, one sticker after the other, as for an attacker with the device in hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edgeguard.redteam.base import Altered, AttackError, require_vehicle
from edgeguard.redteam.edit import with_pixels
from edgeguard.redteam.hide import still_there
from edgeguard.redteam.scout import Scout, View, follow, iou
from edgeguard.types import F64, U8, Channel

COLUMNS, ROWS = 6, 4
"""Places for stickers over the vehicle's box."""
MOST = 12
"""Stickers at most: half of the box; what is covered more is hidden, not stuck on."""
GREYS = (24.0, 216.0)


class Sticker:
    """Sticks the same stickers at the same places of the vehicle on every frame."""

    kind = "sticker"
    sensor = Channel.CAMERA

    def __init__(self) -> None:
        self._box: F64 = np.zeros(4)
        self._cells: list[int] = []

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"stickers": self._cells, "grid": [COLUMNS, ROWS]}

    def prepare(self, scout: Scout) -> None:
        self._box = require_vehicle(self.kind, scout)
        views: list[tuple[View, F64]] = []
        box: F64 | None = self._box
        for view in scout.ahead:
            box = follow(box, view) if box is not None else None
            if box is not None:
                views.append((view, box))
        if not views:
            raise AttackError(self.kind, "the engine does not hold the vehicle", "Give another --start")
        while len(self._cells) < MOST and _held(views, self._cells):
            free = [c for c in range(COLUMNS * ROWS) if c not in self._cells]
            self._cells.append(min(free, key=lambda c: _score(views, [*self._cells, c])))

    def alter(self, message: Any, scout: Scout) -> Altered:
        view = scout.view
        assert view.image is not None
        now = follow(self._box, view)
        self._box = self._box if now is None else now
        bgr = _stuck(view.image.bgr, self._box, self._cells)
        fooled = now is not None and not still_there(self._box, view.with_image(bgr))
        return Altered(with_pixels(message, bgr), {"box": self._box, "seen_before": now is not None}, fooled)


def _score(views: Sequence[tuple[View, F64]], cells: Sequence[int]) -> float:
    """Return how sure the engine still is of the vehicle with stickers on these cells, over all views."""
    total = 0.0
    for view, box in views:
        assert view.image is not None
        seen = view.with_image(_stuck(view.image.bgr, box, cells)).detections
        overlap = iou(box, seen.xyxy)
        total += float((seen.score * overlap).max(initial=0.0))
    return total


def _held(views: Sequence[tuple[View, F64]], cells: Sequence[int]) -> bool:
    """Whether the engine still sees the vehicle in any of the views."""
    for view, box in views:
        assert view.image is not None
        if still_there(box, view.with_image(_stuck(view.image.bgr, box, cells))):
            return True
    return False


def _stuck(bgr: U8, box: F64, cells: Sequence[int]) -> U8:
    out = bgr.copy()
    width, height = (box[2] - box[0]) / COLUMNS, (box[3] - box[1]) / ROWS
    for cell in cells:
        row, column = divmod(cell, COLUMNS)
        x, y = box[0] + column * width, box[1] + row * height
        x0, y0 = max(round(float(x)), 0), max(round(float(y)), 0)
        out[y0 : round(float(y + height)), x0 : round(float(x + width))] = int(GREYS[(row + column) % 2])
    return out
