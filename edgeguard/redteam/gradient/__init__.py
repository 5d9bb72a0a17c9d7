"""Attacks that descend the engine's gradient: prints, noise over the whole picture, a back door's trigger.

Prints that ship are laid on with no torch; what descends needs it (`pip install edgeguard[redteam]`).
"""

from edgeguard.redteam.gradient.noise import Pgd, Universal
from edgeguard.redteam.gradient.printed import (
    PatchFlip,
    PatchHide,
    PatchHideAdaptive,
    PatchHidePerson,
    PatchPhantom,
    Trigger,
)

GRADIENT = (
    PatchHide, PatchHidePerson, PatchPhantom, PatchFlip, PatchHideAdaptive, Trigger, Pgd, Universal,
)  # fmt: skip

__all__ = ["GRADIENT"]
