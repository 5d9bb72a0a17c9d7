"""What each print is to do, and how it may look."""

from __future__ import annotations

from dataclasses import dataclass

from edgeguard.redteam.gradient.objectives import Flip, Hide, Show
from edgeguard.redteam.gradient.optimise import Recipe
from edgeguard.redteam.gradient.printed import (
    PEOPLE,
    SIGNS,
    PatchFlip,
    PatchHide,
    PatchHideAdaptive,
    PatchHidePerson,
    PatchPhantom,
)
from edgeguard.redteam.gradient.printing import Spot
from edgeguard.redteam.scout import VEHICLES


@dataclass(frozen=True, slots=True)
class Prepared:
    """A recipe, and on what it is tried.

    Attributes:
        recipe: how the print is made.
        on: what carries it; nothing in particular for a print on a board of its own.
        scenes: where such things are, in the simulated world.
        least_px: height of a thing's box from which a print on it is worth the ink.
    """

    recipe: Recipe
    on: frozenset[str]
    scenes: list[str]
    least_px: float = 18.0


_IN_THE_WAY = VEHICLES | PEOPLE
"""Who hides a vehicle wants no person boxed in its place either: the victim would brake all the same."""
_STREETS = ["car_following", "oncoming", "tunnel", "night", "rain"]

RECIPES = {
    PatchHide.kind: Prepared(
        Recipe(Hide(_IN_THE_WAY), PatchHide.spot, size=(64, 40), smooth=0.02), VEHICLES, _STREETS
    ),
    # `patch_saliency` looks for colours that change from texel to texel, the rest for what comes at once.
    PatchHideAdaptive.kind: Prepared(
        Recipe(Hide(_IN_THE_WAY), PatchHideAdaptive.spot, size=(24, 15), smooth=0.5, grey=True),
        VEHICLES,
        _STREETS,
    ),
    PatchHidePerson.kind: Prepared(
        Recipe(Hide(PEOPLE), PatchHidePerson.spot, size=(40, 48), smooth=0.02),
        PEOPLE,
        ["crossing_person", "crowd"],
        least_px=40.0,
    ),
    PatchPhantom.kind: Prepared(
        Recipe(Show("car"), Spot(0.5, 0.5, 1.0, 1.0), size=(48, 40), smooth=0.02), frozenset(), _STREETS
    ),
    PatchFlip.kind: Prepared(
        Recipe(Flip(SIGNS, "car"), PatchFlip.spot, size=(48, 48), smooth=0.02),
        SIGNS,
        ["stop_junction"],
        least_px=20.0,
    ),
}
