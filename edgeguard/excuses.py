"""What explains that one sensor does not see what the other does, and so takes from how strange that is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeguard import objects
from edgeguard.arrays import clamp
from edgeguard.compiled import loops
from edgeguard.pairing import SURE_OVERLAP
from edgeguard.scene import Scene, covered_share
from edgeguard.types import F64, I64

_RIGID = np.array([c.group == "vehicle" for c in objects.CLASSES])
_BODY = 0.6
_LEAVING_S = 0.3
# Share of the last seconds from which a pair's lapses are nothing new.
_FLICKER = 0.15
# Of two people side by side, one box often stands for both, and the more there are, the more go without.
_GROUP_M = 2.0
_GROUPED = 0.8
_CROWDED = 0.6


def hidden(scene: Scene, box: F64) -> F64:
    """Return (M,) the share of each LiDAR object's box that nearer objects or camera tracks cover."""
    seen = scene.objects
    assert seen is not None
    # What is likelier not there hides nothing.
    body = seen.matched & (seen.probability >= _BODY)
    by_object = loops.covered_by_nearer(box, seen.center[:, 2], body.view(np.uint8), 1.0)
    return np.maximum(by_object, covered_share(box, scene.occluders))


def in_view(hidden: F64, usual: F64, held: NDArray[np.bool_], max_hidden: float) -> F64:
    """Return (N,) whether a subject is as much in view as when both held it, 0 to 1.

    Args:
        hidden: (N,) hidden share now.
        usual: (N,) while both held it.
        held: (N,) whether they did.
        max_hidden: share above which nothing can be told of what they did not.
    """
    return loops.clear_view(hidden, usual, held.view(np.uint8), max_hidden)


def stays(scene: Scene, box: F64, width: float) -> NDArray[np.bool_]:
    """Return (M,) whether an object is still in view in a moment: the camera lets go of what rushes out."""
    seen, rig = scene.objects, scene.rig
    assert seen is not None
    if rig is None:
        return np.ones(len(seen), bool)
    x, z = seen.center[:, 0], np.maximum(seen.center[:, 2], 1.0)
    ahead_px = rig.camera.focal * (seen.velocity[:, 0] - seen.velocity[:, 1] * x / z) / z * _LEAVING_S
    still: NDArray[np.bool_] = (box[:, 0] + ahead_px >= 0) & (box[:, 2] + ahead_px <= width)
    return still


def beside(scene: Scene) -> I64:
    """Return (M,) how many people stand beside each LiDAR object that is a person."""
    seen = scene.objects
    assert seen is not None
    person = (seen.label >= 0) & ~_RIGID[seen.label] & (seen.probability >= 0.5)
    return loops.neighbours(seen.center, person.view(np.uint8), _GROUP_M)


def alone(beside: I64) -> F64:
    """Return (M,) how surely each of a group has a box of its own, 0 to 1."""
    share: F64 = np.maximum(_GROUPED**beside, _CROWDED)
    return share


def steady(lapses: F64) -> F64:
    """Return (N,) how little of a subject's disagreement its lapses before explain, 0 to 1."""
    share: F64 = clamp(1.0 - lapses / _FLICKER, 0.0, 1.0)
    return share


def believed(score: F64) -> F64:
    """Return (N,) how surely the camera had held what it scored so, 0 to 1."""
    share: F64 = clamp((score - 0.25) / 0.35, 0.0, 1.0)
    return share


def short(overlap: F64, usual: F64) -> F64:
    """Return (N,) how surely an overlap is not the pair's usual one, 0 to 1."""
    share: F64 = clamp((0.55 - overlap / np.maximum(usual, SURE_OVERLAP)) / 0.25, 0.0, 1.0)
    return share
