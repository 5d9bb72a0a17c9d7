"""The camera repeats one image while its stamps go on.

A stuck frame grabber does this by accident, an attacker on the camera link on purpose: J. Petit, B.
Stottelaar, M. Feiri, F. Kargl, "Remote Attacks on Automated Vehicles Sensors: Experiments on Camera and
LiDAR", Black Hat Europe 2015, names the replayed camera; AUTOSAR and ISO 26262-5 Annex D name the frozen
one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from edgeguard.redteam.base import Altered
from edgeguard.redteam.scout import Scout
from edgeguard.types import Channel


class Freeze:
    """Repeats the last image before the window, byte for byte, under the headers that follow."""

    kind = "freeze"
    sensor = Channel.CAMERA

    def __init__(self) -> None:
        self._held: Any = None

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {}

    def prepare(self, scout: Scout) -> None:
        """Needs nothing."""

    def alter(self, message: Any, scout: Scout) -> Altered:
        if self._held is None:
            self._held = scout.earlier[-1] if scout.earlier else message
        return Altered(dataclasses.replace(self._held, header=message.header))
