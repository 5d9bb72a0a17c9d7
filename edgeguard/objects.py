"""What is known of the things on a road: how large they are and how they can move.

Sizes are means and log-standard deviations of everyday road users (KITTI's and nuScenes' statistics agree
within the spreads given); speeds and accelerations are what the class can do, not what it usually does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edgeguard.types import F64, I64


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """One class of road user or sign.

    Attributes:
        name: canonical name.
        group: classes that detectors confuse in good faith share a group.
        height, width, length: metres.
        size_sigma: standard deviation of ln(height) within the class.
        max_speed: m/s.
        max_acceleration: m/s², braking included.
        solid: whether a LiDAR sees a body of this class reliably (a sign's thin plate it does not).
    """

    name: str
    group: str
    height: float
    width: float
    length: float
    size_sigma: float
    max_speed: float
    max_acceleration: float
    solid: bool = True


CLASSES = (
    ObjectClass("car", "vehicle", 1.55, 1.70, 4.2, 0.12, 60.0, 10.0),
    ObjectClass("van", "vehicle", 2.10, 1.90, 5.0, 0.15, 50.0, 10.0),
    ObjectClass("truck", "vehicle", 3.10, 2.50, 8.0, 0.30, 40.0, 8.0),
    ObjectClass("bus", "vehicle", 3.20, 2.60, 11.0, 0.15, 40.0, 8.0),
    ObjectClass("train", "vehicle", 3.60, 2.70, 20.0, 0.20, 40.0, 5.0),
    ObjectClass("motorcycle", "cycle", 1.45, 0.80, 2.1, 0.20, 60.0, 10.0),
    ObjectClass("bicycle", "cycle", 1.40, 0.60, 1.8, 0.25, 20.0, 6.0),
    ObjectClass("person", "person", 1.70, 0.60, 0.6, 0.15, 9.0, 8.0),
    ObjectClass("stop sign", "sign", 0.75, 0.75, 0.05, 0.15, 0.0, 0.0, solid=False),
    ObjectClass("traffic light", "sign", 0.90, 0.35, 0.35, 0.35, 0.0, 0.0, solid=False),
)

_ALIASES = {
    "pedestrian": "person",
    "people": "person",
    "person_sitting": "person",
    "cyclist": "bicycle",
    "bike": "bicycle",
    "rider": "bicycle",
    "motorbike": "motorcycle",
    "vehicle": "car",
    "tram": "train",
    "lorry": "truck",
    "trailer": "truck",
    "stop_sign": "stop sign",
    "traffic_light": "traffic light",
}

INDEX = {c.name: i for i, c in enumerate(CLASSES)}
NAMES = tuple(c.name for c in CLASSES)
GROUPS = tuple(dict.fromkeys(c.group for c in CLASSES))

# The same table as columns, indexed by class number.
GROUP = np.array([GROUPS.index(c.group) for c in CLASSES], np.int64)
HEIGHT: F64 = np.array([c.height for c in CLASSES])
WIDTH: F64 = np.array([c.width for c in CLASSES])
LENGTH: F64 = np.array([c.length for c in CLASSES])
SIZE_SIGMA: F64 = np.array([c.size_sigma for c in CLASSES])
MAX_SPEED: F64 = np.array([c.max_speed for c in CLASSES])
MAX_ACCELERATION: F64 = np.array([c.max_acceleration for c in CLASSES])
SOLID = np.array([c.solid for c in CLASSES])
RIGID = np.array([c.group == "vehicle" for c in CLASSES])


def class_number(name: str) -> int:
    """Return the number of a detector's class name, or -1 for a thing that EdgeGuard does not watch."""
    name = name.strip().lower()
    return INDEX.get(_ALIASES.get(name, name), -1)


@lru_cache(maxsize=64)
def class_numbers(names: tuple[str, ...]) -> I64:
    """Return the `class_number` of each of a detector's class names."""
    return np.array([class_number(n) for n in names], np.int64)
