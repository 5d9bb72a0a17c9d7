"""What an attack is: it alters what one sensor says during a window, and says what it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from edgeguard.errors import EdgeGuardError
from edgeguard.redteam.scout import Scout
from edgeguard.redteam.targets import staying
from edgeguard.types import Channel


class AttackError(EdgeGuardError):
    """An attack that cannot be made on this recording."""

    def __init__(self, kind: str, problem: str, remedy: str) -> None:
        super().__init__(f"attack {kind}: {problem}. {remedy}")


@dataclass(frozen=True, slots=True)
class Altered:
    """What became of one message.

    Attributes:
        message: the new message, of the same type; None leaves the old one as it is.
        record: what was done where, for the annotation: `box` (xyxy, pixels), `center` (x, y, z, metres, in
            the camera's optical frame) and the attack's own measures.
        fooled: whether the attack had its effect on this frame; None where that was not asked.
        lost: the message does not arrive at all.
    """

    message: Any
    record: Mapping[str, Any] = field(default_factory=dict)
    fooled: bool | None = None
    lost: bool = False


class Attack(Protocol):
    """One attack; it lives for one recording."""

    kind: str
    sensor: Channel
    """The sensor that it alters; it sees this sensor's messages of the window only, in order."""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What the attack was told or chose, for the annotation."""
        ...

    def prepare(self, scout: Scout) -> None:
        """Look at the drive before the first message is altered.

        Raises:
            AttackError: the attack cannot be made on this drive.
        """
        ...

    def alter(self, message: Any, scout: Scout) -> Altered:
        """Return what becomes of a message of `sensor`; `scout` has just seen it."""
        ...


class Pair(Protocol):
    """Two attacks at once, each on a sensor of its own.

    An effect on a frame of the first sensor is counted where both had theirs last.
    """

    kind: str
    parts: tuple[Attack, Attack]

    def prepare(self, scout: Scout) -> None:
        """Prepare both, so that they lie about the same thing."""
        ...


def parts(attack: Attack | Pair) -> tuple[Attack, ...]:
    """Return an attack's parts: itself, or those of a pair."""
    return attack.parts if hasattr(attack, "parts") else (attack,)


def require_aim(kind: str, scout: Scout) -> None:
    """Refuse a drive on which nothing can be aimed at in the LiDAR's points.

    Raises:
        AttackError: the way from LiDAR to camera is unknown.
    """
    if not any(len(v.xyz) for v in scout.ahead):
        raise AttackError(
            kind,
            "the way from LiDAR to camera is unknown, so nothing can be aimed",
            "Give a bag with sensor_msgs/CameraInfo and /tf_static between both sensors",
        )


def require_vehicle(kind: str, scout: Scout) -> Any:
    """Return the box (4,) of the vehicle that matters at the attack's start: rather one that stays in view.

    Raises:
        AttackError: the engine finds none.
    """
    box = staying(scout.ahead[0].vehicles_that_matter(), scout.passing, lambda view: view.vehicles.xyxy)
    if box is None:
        raise AttackError(
            kind,
            "the engine finds no vehicle in whole view at its start",
            "Give another --start or --engine",
        )
    return box
