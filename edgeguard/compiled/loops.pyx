# cython: language_level=3, wraparound=False, cdivision=True, initializedcheck=False
"""All compiled loops; one module, because what Cython adds to each takes longest to compile."""

cimport cython
import numpy as np
from libc.math cimport INFINITY, NAN, ceil, erfc, fabs, floor, hypot, isfinite, log, log1p, pow, sqrt
from libc.stdlib cimport abs

include "objects.pxi"
include "points.pxi"
include "images.pxi"
