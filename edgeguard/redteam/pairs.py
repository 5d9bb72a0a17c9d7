"""Two sensors are made to tell the same lie, so that neither gives the other away.

After Y. Cao et al., "Invisible for both Camera and LiDAR: Security of Multi-Sensor Fusion based Perception in
Autonomous Driving Under Physical-World Attacks", IEEE S&P 2021: agreement is no proof where one adversary
holds both.
"""

from __future__ import annotations

from edgeguard.redteam.base import Attack, AttackError
from edgeguard.redteam.hide import Hide
from edgeguard.redteam.lidar_ghost import LidarGhost
from edgeguard.redteam.lidar_remove import LidarRemove
from edgeguard.redteam.phantom import Phantom
from edgeguard.redteam.scout import Scout


class Vanish:
    """The nearest vehicle is painted out of the picture and its points are taken out of the sweep."""

    kind = "vanish"

    def __init__(self) -> None:
        self.parts: tuple[Attack, Attack] = Hide(), LidarRemove()

    def prepare(self, scout: Scout) -> None:
        """Both pick the nearest vehicle."""
        for part in self.parts:
            part.prepare(scout)


class Conjure:
    """A vehicle's picture stands on the road, and a vehicle of points in the same place."""

    kind = "conjure"

    def __init__(self) -> None:
        self._phantom, self._ghost = Phantom(), LidarGhost()
        self.parts: tuple[Attack, Attack] = self._phantom, self._ghost

    def prepare(self, scout: Scout) -> None:
        """Look for the picture's place, and stand the points there.

        Raises:
            AttackError: as its parts.
        """
        self._phantom.prepare(scout)
        self._ghost.prepare(scout)
        if self._phantom.place is None:
            raise AttackError(self.kind, "no free road in view during the window", "Give another --start")
        self._ghost.stand(self._phantom.place)
