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
    Threat("hide", "an object the camera held is made invisible to it", _CAMERA, ("hide", "camera_drop")),
    Threat("phantom", "the camera sees an object that is not there", _CAMERA, ("phantom", "camera_ghost")),
    Threat("class_flip", "an object is taken for one of another class", _CAMERA, ("class_flip",)),
    Threat("box_drift", "a box is dragged off its object", _CAMERA, ("box_drift",)),
    Threat("poster", "a picture or screen of an object stands in the road", _CAMERA),
    Threat("patch", "a printed adversarial patch on an object", _CAMERA),
    Threat("freeze", "the camera repeats an old picture", frozenset({Channel.CAMERA}), ("freeze",)),
    Threat("blind", "the camera is dazzled or covered", frozenset({Channel.CAMERA}), ("blind",)),
    Threat("lidar_ghost", "LiDAR sees an object that is not there", _LIDAR, ("lidar_ghost",)),
    Threat("lidar_remove", "an object is taken out of LiDAR's view", _LIDAR, ("lidar_remove", "lidar_drop")),
    Threat("radar_ghost", "radar sees an object that is not there, or at another speed", _RADAR),
    Threat("silence", "a stream stops", _CAMERA | _LIDAR | _RADAR),
    Threat("clock", "stamps stall, jump, run back or lie in the future", _CAMERA | _LIDAR | _RADAR),
    Threat("delay", "a sensor is delayed under forged stamps", _CAMERA | _LIDAR),
    Threat("decalibration", "a sensor is moved against the other", _CAMERA | _LIDAR),
    Threat("vanish_to_all", "one object is made invisible to camera and LiDAR at once", _CAMERA | _LIDAR),
)
