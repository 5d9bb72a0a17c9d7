"""What follows from one image alone, each computed on first use: before its frame is complete, or in it."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from edgeguard import edges, veil
from edgeguard.compiled import loops
from edgeguard.types import F32, F64, U8, Image

PIXEL_STEP = 4
COLOUR_CELL = 4


class Picture:
    """The products of one image. Pure: computed early or late, they are the same.

    Attributes:
        image: the image.
    """

    def __init__(self, image: Image) -> None:
        self.image = image

    @cached_property
    def pixels(self) -> U8:
        """(H/4, W/4) uint8: every fourth pixel's green. Sampled, not averaged: sensor noise must survive."""
        return np.ascontiguousarray(self.image.bgr[::PIXEL_STEP, ::PIXEL_STEP, 1])

    @cached_property
    def airlight(self) -> F64:
        """(H/4,) of each row of `pixels`, the most that the air's light can be: see `edgeguard.veil`."""
        return veil.airlight(self.pixels)

    @cached_property
    def _halved(self) -> tuple[U8, NDArray[np.int16]]:
        bgr = self.image.bgr
        return loops.halved(bgr if bgr[:1].flags.c_contiguous else np.ascontiguousarray(bgr), COLOUR_CELL)

    @property
    def gray(self) -> U8:
        """(H/2, W/2) uint8: green, averaged over 2 x 2 pixels, for what follows structure over frames."""
        return self._halved[0]

    @property
    def colours(self) -> NDArray[np.int16]:
        """(2, R, C) int16: R−G and B−G, averaged over 4 x 4 pixels; so many rows and columns as make up whole
        cells of `COLOUR_CELL`."""
        return self._halved[1]

    @cached_property
    def gradient_across(self) -> F32:
        """(H/4, W/4) how fast brightness changes across `pixels`, over its mean."""
        return edges.gradient(self.pixels, down=False)

    @cached_property
    def gradient_down(self) -> F32:
        """(H/4, W/4) the same, down `pixels`."""
        return edges.gradient(self.pixels, down=True)
