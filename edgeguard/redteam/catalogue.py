"""The attacks that EdgeGuard is measured against, by what reaches the monitor."""

from __future__ import annotations

from dataclasses import dataclass

from edgeguard.types import Channel

_CAMERA = frozenset({Channel.CAMERA, Channel.DETECTIONS})
_LIDAR = frozenset({Channel.LIDAR, Channel.LIDAR_DETECTIONS})
_RADAR = frozenset({Channel.RADAR})


@dataclass(frozen=True, slots=True)
class Threat:
    """One attack.

    Attributes:
        name: as checks declare it in `sees`.
        what: what it does, for people.
        on: it exists where any of these streams is fitted.
        made_by: kinds of `redteam.registry` and `redteam.objects` that make it, for measuring.
    """

    name: str
    what: str
    on: frozenset[Channel]
    made_by: tuple[str, ...] = ()


CATALOGUE = (
    Threat(
        "hide",
        "an object the camera held is made invisible to it",
        _CAMERA,
        ("hide", "sticker", "pgd", "universal", "camera_drop"),
    ),
    Threat("phantom", "the camera sees an object that is not there", _CAMERA, ("phantom", "camera_ghost")),
    Threat(
        "class_flip", "an object is taken for one of another class", _CAMERA, ("class_flip", "patch_flip")
    ),
    Threat("box_drift", "a box is dragged off its object", _CAMERA, ("hijack", "box_drift")),
    Threat(
        "poster",
        "a picture or screen of an object stands in the road",
        _CAMERA,
        ("projection", "patch_phantom"),
    ),
    Threat("overload", "boxes by the thousand", _CAMERA, ("overload",)),
    Threat(
        "patch",
        "a printed adversarial patch on an object",
        _CAMERA,
        ("patch_hide", "patch_hide_person", "patch_hide_adaptive", "trigger"),
    ),
    Threat("freeze", "the camera repeats old pictures", frozenset({Channel.CAMERA}), ("freeze", "replay")),
    Threat("blind", "the camera is dazzled or covered", frozenset({Channel.CAMERA}), ("blind", "blackout")),
    Threat("lidar_ghost", "LiDAR sees an object that is not there", _LIDAR, ("lidar_ghost",)),
    Threat(
        "lidar_remove",
        "an object is taken out of LiDAR's view, or moved in it",
        _LIDAR,
        ("lidar_remove", "lidar_shift", "lidar_saturation", "lidar_drop"),
    ),
    Threat(
        "radar_ghost", "radar sees an object that is not there, or at another speed", _RADAR, ("radar_ghost",)
    ),
    Threat("silence", "a stream stops or loses messages", _CAMERA | _LIDAR | _RADAR, ("drop",)),
    Threat("clock", "stamps stall, jump, run back or lie in the future", _CAMERA | _LIDAR | _RADAR),
    Threat("delay", "a sensor is delayed under forged stamps", _CAMERA | _LIDAR, ("delay", "lidar_delay")),
    Threat("decalibration", "a sensor is moved against the other", _CAMERA | _LIDAR, ("decalibrate",)),
    Threat(
        "vanish_to_all",
        "one object is taken from camera and LiDAR at once, its shadow left in the sweep",
        _CAMERA | _LIDAR,
        ("vanish",),
    ),
    Threat(
        "erase",
        "one object is made invisible to camera and LiDAR at once, and the road behind it is forged",
        _CAMERA | _LIDAR,
    ),
    Threat(
        "conjure_to_all",
        "camera and LiDAR are shown the same object where there is none",
        _CAMERA | _LIDAR,
        ("conjure",),
    ),
)


def threat_of(kind: str) -> Threat | None:
    """Return the threat that a kind of attack makes; None for one that is not in the catalogue."""
    return next((t for t in CATALOGUE if kind in t.made_by), None)
