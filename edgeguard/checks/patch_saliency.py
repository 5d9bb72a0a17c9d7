"""`patch_saliency`: does a near object's hue change from pixel to pixel, as printed patches' does?

High-frequency energy of the colour differences R−G and B−G (Laplacian, in cells of 16 image pixels), at the
level that a tenth of a track's cells reach, against the same energy over the scene outside all tracks.
Brightness is left out on purpose: measured on real streets, plates, grilles, spokes and rims give cars more
luminance energy and local entropy than the scene around them, and a patch no more. Paint, clothes and metal
vary in hue slowly; patches optimised against networks do not.

Low weight: the score is bounded, so that no less than a second of it alarms, and only near tracks count. It
sees the mark of an optimiser that did not care for looks. A patch made to look natural, smoothed or in shades
of one colour bears none (APDE, arXiv 2508.00649, shows how far entropy alone carries): this check never
stands alone.

Unobservable: small, thin or far boxes, half hidden ones, a camera without colour, blur and darkness.
Benign look-alikes: billboards and stickers in many small colours, fairground lights, wet reflections of them.
Source: Jedi (Tarchoun et al., CVPR 2023) for the idea that patches are dense in information.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.picture import COLOUR_CELL
from edgeguard.scene import Scene
from edgeguard.types import Channel
from edgeguard.verdict import Cause, SubjectKind

_CELL_PX = 4 * COLOUR_CELL
_MAX_SURPRISE = 4.0
# Wholly inside a box: across its rim, hue changes as it does between any two things.
# Of fewer, a tenth is a single one, and a slim body is mostly rim: a bright vest before a wall.
_MIN_CELLS = 20


class PatchSaliencySettings(Settings):
    """Parameters of `patch_saliency`."""

    min_height_px: float = Field(
        80.0, gt=16, description="height of a box below which a patch cannot be told, px"
    )
    share: float = Field(
        0.10,
        gt=0,
        lt=1,
        description="share of a box that a patch must cover: smaller sees smaller ones, benign too",
    )
    min_colour: float = Field(
        1.0,
        ge=0,
        description="the scene's own colour energy below which the camera sees no colour, grey levels",
    )
    max_tracks: int = Field(16, ge=1, le=256, description="tracks looked at a frame, largest first")


class PatchSaliency:
    """See the module. Subjects are camera tracks."""

    name = "patch_saliency"
    needs = frozenset({Channel.CAMERA, Channel.DETECTIONS})
    sees = frozenset({"patch"})

    def __init__(self, settings: PatchSaliencySettings) -> None:
        self.settings = settings

    def reset(self) -> None:
        """Nothing is remembered: one picture tells."""

    def score(self, scene: Scene) -> list[Scores]:
        t, colours = scene.tracks, scene.colours
        if colours is None:
            return [Scores.unobservable(SubjectKind.TRACK, t.id)]
        surprise, energy, ratio = loops.patch_surprisal(
            scene, colours, COLOUR_CELL, _CELL_PX, _MIN_CELLS, _MAX_SURPRISE, self.settings
        )
        return [
            Scores(
                SubjectKind.TRACK,
                t.id,
                surprise,
                (Cause.CAMERA,) * len(t),
                {"colour_energy": energy, "over_scene": ratio},
            )
        ]

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        return f"hue changes from pixel to pixel {measured['over_scene']:.1f} times as much as in the scene"
