"""What follows from one image alone, each computed on first use: before its frame is complete, or in it."""

from __future__ import annotations

from functools import cached_property

import cv2
import numpy as np

from edgeguard import edges
from edgeguard.types import F32, U8, Image

PIXEL_STEP = 4


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
    def half(self) -> U8:
        """(H/2, W/2, 3) uint8: the image, averaged over 2 x 2 pixels."""
        bgr = self.image.bgr
        h, w = bgr.shape[0] // 2, bgr.shape[1] // 2
        return np.asarray(cv2.resize(bgr[: 2 * h, : 2 * w], (w, h), interpolation=cv2.INTER_AREA), np.uint8)

    @cached_property
    def gray(self) -> U8:
        """(H/2, W/2) uint8: green of `half`, for what follows structure over frames."""
        return np.asarray(cv2.extractChannel(self.half, 1), np.uint8)

    @cached_property
    def gradient_across(self) -> F32:
        """(H/4, W/4) how fast brightness changes across `pixels`, over its mean."""
        return edges.gradient(self.pixels, down=False)

    @cached_property
    def gradient_down(self) -> F32:
        """(H/4, W/4) the same, down `pixels`."""
        return edges.gradient(self.pixels, down=True)
