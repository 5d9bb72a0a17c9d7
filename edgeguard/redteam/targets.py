"""Which thing an attack is aimed at."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edgeguard.redteam.scout import View, nearest
from edgeguard.types import F32, F64

_MISSES = 3
"""Pictures in a row on which an engine may miss what it follows."""


def staying(wanted: Sequence[F64], passing: Sequence[View], found: Callable[[View], F64 | F32]) -> F64 | None:
    """Return the first of these boxes whose thing stays in whole view; the first of all where none does.

    What leaves the picture is no lasting target: an attack that it outruns can be told from its leaving only
    for as long as it is there.

    Args:
        wanted: boxes on the first picture, the best target first.
        passing: the pictures.
        found: what the engine finds of such things on one of them, (N, 4) xyxy pixels.
    """
    return next((box for box in wanted if _stays(box, passing, found)), wanted[0] if wanted else None)


def _stays(box: F64, passing: Sequence[View], found: Callable[[View], F64 | F32]) -> bool:
    missed = 0
    for view in passing:
        now = nearest(box, found(view))
        missed = missed + 1 if now is None else 0
        box = box if now is None else now
        if missed > _MISSES or view.cuts(box):
            return False
    return True
