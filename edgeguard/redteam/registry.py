"""The attacks by name."""

from __future__ import annotations

from edgeguard.redteam.base import Attack
from edgeguard.redteam.blind import Blind
from edgeguard.redteam.freeze import Freeze
from edgeguard.redteam.hide import Hide
from edgeguard.redteam.lidar_ghost import LidarGhost
from edgeguard.redteam.lidar_remove import LidarRemove
from edgeguard.redteam.phantom import Phantom

KINDS: dict[str, type[Attack]] = {a.kind: a for a in (Freeze, Blind, Phantom, Hide, LidarRemove, LidarGhost)}
