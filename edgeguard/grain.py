"""Whether a picture shows shapes at all, or only the noise that gain makes of the dark."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeguard.types import F64, U8, Image

# Nats below which a look at the picture is not worth its time.
_ACCUSES = 2.0
# A shape is told from noise from five times its standard deviation on (A. Rose, J. Opt. Soc. Am. 38, 1948).
_ROSE = 5.0
_LAPLACIANS = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


def noise(grey: U8) -> float:
    """Return the standard deviation of a picture's noise, grey levels; NaN for less than 3 x 3 pixels.

    Straight edges and ramps do not count, texture does: it is an upper bound.
    Source: J. Immerkær, Fast Noise Variance Estimation (Computer Vision and Image Understanding, 1996).
    """
    if min(grey.shape) < 3:
        return math.nan
    bent = cv2.filter2D(grey, cv2.CV_16S, _LAPLACIANS)[1:-1, 1:-1]
    return math.sqrt(math.pi / 2.0) / 6.0 * cv2.norm(bent, cv2.NORM_L1) / bent.size


def withdraw(surprise: F64, image: Image | None, xyxy: F64) -> None:
    """Make NaN what (N,) surprisals, nats, hold against boxes that the picture does not show."""
    accused = np.flatnonzero(surprise > _ACCUSES)
    if len(accused):
        surprise[accused[~shows(image, xyxy[accused])]] = np.nan


def shows(image: Image | None, xyxy: F64) -> NDArray[np.bool_]:
    """Return (N,) whether boxes hold more light than noise; what a network sees in the others is no claim.

    False only where the whole picture is as dark: a place in a bright picture has no noise of its own, so
    that nobody can paint one to hide there what the camera is made to see. True without a picture.
    """
    out = np.ones(len(xyxy), bool)
    if image is None:
        return out
    for i, (x0, y0, x1, y1) in enumerate(np.maximum(xyxy, 0.0).astype(int).tolist()):
        out[i] = not _is_lost(image.bgr[y0 : y1 + 1, x0 : x1 + 1])
    if not out.all() and not _is_lost(image.bgr):
        out[:] = True
    return out


def _is_lost(bgr: U8) -> bool:
    # Green has the least noise of the three.
    grey = np.ascontiguousarray(bgr[..., 1])
    return bool(grey.size) and cv2.mean(grey)[0] < _ROSE * noise(grey)
