"""The attacks by name, and the benign conditions that must not be taken for one."""

from __future__ import annotations

from collections.abc import Callable

from edgeguard.redteam.base import Attack, Pair
from edgeguard.redteam.blackout import Blackout
from edgeguard.redteam.blind import Blind
from edgeguard.redteam.class_flip import ClassFlip
from edgeguard.redteam.decalibrate import Decalibrate
from edgeguard.redteam.delay import Delay, LidarDelay
from edgeguard.redteam.drop import Drop
from edgeguard.redteam.freeze import Freeze
from edgeguard.redteam.gradient import GRADIENT
from edgeguard.redteam.hide import Hide
from edgeguard.redteam.hijack import Hijack
from edgeguard.redteam.lidar_ghost import LidarGhost
from edgeguard.redteam.lidar_remove import LidarRemove
from edgeguard.redteam.lidar_saturation import LidarSaturation
from edgeguard.redteam.lidar_shift import LidarShift
from edgeguard.redteam.overload import Overload
from edgeguard.redteam.pairs import Conjure, Vanish
from edgeguard.redteam.phantom import Phantom
from edgeguard.redteam.projection import Projection
from edgeguard.redteam.radar_ghost import RadarGhost
from edgeguard.redteam.replayed import Replayed
from edgeguard.redteam.sticker import Sticker
from edgeguard.redteam.stress.mounting import Desync, DropOut, Moved, Turned
from edgeguard.redteam.stress.picture import DirtyLens, Exposure, Fog, LowSun, Night, Rain, Vibration

_KINDS: tuple[type[Attack] | type[Pair], ...] = (
    Freeze, Replayed, Delay, Drop, Blind, Blackout, Phantom, Projection, Hide, Sticker, Hijack, Decalibrate,
    LidarRemove, LidarGhost, LidarShift, LidarSaturation, LidarDelay, RadarGhost, ClassFlip, Overload, Vanish,
    Conjure, *GRADIENT,
)  # fmt: skip

KINDS: dict[str, Callable[[], Attack | Pair]] = {a.kind: a for a in _KINDS}
"""What EdgeGuard is measured against."""

ADAPTIVE = frozenset({"patch_hide_adaptive"})
"""Those made with the monitor in mind: what they cost and what gets through is told apart from the others."""

_STRESS: tuple[type[Attack], ...] = (
    Rain, Fog, Night, LowSun, DirtyLens, Vibration, Exposure, Turned, Moved, Desync, DropOut,
)  # fmt: skip

STRESS: dict[str, Callable[[], Attack]] = {s.kind: s for s in _STRESS}
"""What must raise no alarm."""
