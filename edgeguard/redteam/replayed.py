"""The camera shows the last seconds once more while its stamps go on.

A loop spliced into the camera link: J. Petit, B. Stottelaar, M. Feiri, F. Kargl, "Remote Attacks on Automated
Vehicles Sensors: Experiments on Camera and LiDAR", Black Hat Europe 2015, name the replayed camera. Unlike a
frozen picture it moves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgeguard.redteam.base import Altered, AttackError
from edgeguard.redteam.scout import Scout
from edgeguard.types import Channel


class Replayed:
    """Plays the seconds before the window over and over, under the headers that follow."""

    kind = "replay"
    sensor = Channel.CAMERA

    def __init__(self) -> None:
        self._loop: list[Any] = []
        self._next = 0

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {}

    def prepare(self, scout: Scout) -> None:
        """Needs nothing."""

    def alter(self, message: Any, scout: Scout) -> Altered:
        if not self._loop:
            self._loop = list(scout.earlier)
            if len(self._loop) < 2:
                raise AttackError(
                    self.kind, "there are no two messages before it to replay", "Give a later --start"
                )
        old = self._loop[self._next % len(self._loop)]
        self._next += 1
        return Altered(dataclasses.replace(old, header=message.header))
