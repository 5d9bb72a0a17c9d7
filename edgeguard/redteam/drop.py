"""Most of the camera's messages get lost.

What a flooded link or a jammed serialiser does; ISO 26262-5 Annex D names the loss of communication. Lost at
random, so that what remains still looks alive.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeguard.redteam.base import Altered
from edgeguard.redteam.scout import Scout
from edgeguard.types import Channel

SHARE = 0.8


class Drop:
    """Loses a share of the messages, each at random."""

    kind = "drop"
    sensor = Channel.CAMERA

    def __init__(self) -> None:
        self._rng = np.random.default_rng(0)

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"share": SHARE}

    def prepare(self, scout: Scout) -> None:
        self._rng = np.random.default_rng([scout.seed, 15])

    def alter(self, message: Any, scout: Scout) -> Altered:
        lost = bool(self._rng.random() < SHARE)
        return Altered(None, {"lost": lost}, lost=lost)
