"""What a picture is worth as evidence: whether it shows shapes, or what gain makes of the dark."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeguard.arrays import clamp
from edgeguard.compiled import loops
from edgeguard.tracking.camera import Tracks
from edgeguard.types import F64, U8, Image

# Nats below which a look at the picture is not worth its time.
_ACCUSES = 2.0
# A shape is told from noise from five times its standard deviation on (A. Rose, J. Opt. Soc. Am. 38, 1948).
_ROSE = 5.0
_LAPLACIANS = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
# Exposure aims at middle grey, 18 % of the light. Where half of a picture is three and four stops under it,
# gain and shutter are at their end: grey values of that, encoded with 1/2.2.
_DIM, _DARK = 118.0 * 2.0 ** (-3 / 2.2), 118.0 * 2.0 ** (-4 / 2.2)
# Root-mean-square contrast, std over mean (E. Peli, J. Opt. Soc. Am. A 7, 1990): a thing's, a bare surface's.
_CLEAR, _FAINT = 0.5, 0.25
# Confidences at which a network's boxes are claims not at all, and wholly: in the dark, where of the small
# network's from 0.6 to 0.7 one in five holds nothing, from 0.8 to 0.9 one in 14, over 0.9 one in 80 (drives
# night-900 to 902, on which nothing is scored); and of what is faint besides.
BY_NIGHT, _ON_NOTHING = (0.6, 0.9), (0.9, 0.99)


def noise(grey: U8) -> float:
    """Return the standard deviation of a picture's noise, grey levels; NaN for less than 3 x 3 pixels.

    Straight edges and ramps do not count, texture does: it is an upper bound.
    Source: J. Immerkær, Fast Noise Variance Estimation (Computer Vision and Image Understanding, 1996).
    """
    if min(grey.shape) < 3:
        return math.nan
    bent = cv2.filter2D(grey, cv2.CV_16S, _LAPLACIANS)[1:-1, 1:-1]
    return math.sqrt(math.pi / 2.0) / 6.0 * cv2.norm(bent, cv2.NORM_L1) / bent.size


def withdraw(
    surprise: F64, image: Image | None, tracks: Tracks, surer: tuple[float, float] = BY_NIGHT
) -> None:
    """Take from (N,) surprisals, nats, what they hold against boxes that the picture may not show.

    NaN where it shows nothing; less where it is too dark for a box of that confidence to be believed: see
    `believed` for `surer`.
    """
    accused = np.flatnonzero(surprise > _ACCUSES)
    if len(accused):
        xyxy, confidence = tracks.xyxy[accused], tracks.confidence[accused]
        surprise[accused] *= believed(image, xyxy, confidence, surer)
        surprise[accused[~shows(image, xyxy)]] = np.nan


def shows(image: Image | None, xyxy: F64) -> NDArray[np.bool_]:
    """Return (N,) whether boxes hold more light than noise; what a network sees in the others is no claim.

    False only where the whole picture is as dark: a place in a bright picture has no noise of its own, so
    that nobody can paint one to hide there what the camera is made to see. True without a picture.
    """
    out = np.ones(len(xyxy), bool)
    if image is None:
        return out
    for i, box in enumerate(xyxy):
        out[i] = not _is_lost(_inside(image, box))
    if not out.all() and not _is_lost(image.bgr):
        out[:] = True
    return out


def believed(image: Image | None, xyxy: F64, confidence: F64, surer: tuple[float, float] = BY_NIGHT) -> F64:
    """Return (N,) from 0 to 1 how far boxes of some confidence are claims; 1 by day and without a picture.

    Networks learn by day. In the dark their confidence says less, and least of what has no contrast.

    Args:
        image: what they are boxes on.
        xyxy: (N, 4) the boxes.
        confidence: (N,) theirs.
        surer: confidences at which a box on what has contrast is no claim in the dark, and wholly one.
    """
    if image is None:
        return np.ones(len(xyxy))
    dark = (_DIM - loops.middle_grey(image.bgr[::4, ::4, 1])) / (_DIM - _DARK)
    if dark <= 0.0:
        return np.ones(len(xyxy))
    contrast = np.array([_contrast(_inside(image, box)) for box in xyxy])
    faint = clamp((_CLEAR - contrast) / (_CLEAR - _FAINT), 0.0, 1.0)
    none, full = (np.asarray(a + faint * (b - a)) for a, b in zip(surer, _ON_NOTHING))
    sure = clamp((confidence - none) / (full - none), 0.0, 1.0)
    out: F64 = 1.0 - min(dark, 1.0) * (1.0 - sure)
    return out


def _inside(image: Image, box: F64) -> U8:
    x0, y0, x1, y1 = np.maximum(box, 0.0).astype(int).tolist()
    return image.bgr[y0 : y1 + 1, x0 : x1 + 1]


def _contrast(bgr: U8) -> float:
    mean, std = cv2.meanStdDev(bgr) if bgr.size else (np.ones((3, 1)), np.ones((3, 1)))
    # Green has the least noise of the three.
    return float(std[1, 0] / max(mean[1, 0], 1.0))


def _is_lost(bgr: U8) -> bool:
    grey = np.ascontiguousarray(bgr[..., 1])
    return bool(grey.size) and cv2.mean(grey)[0] < _ROSE * noise(grey)
