# cython: language_level=3, wraparound=False, cdivision=True, initializedcheck=False
"""All compiled loops; one module, because what Cython adds to each takes longest to compile."""

cimport cython
import numpy as np
from libc.math cimport (
    INFINITY, NAN, ceil, erfc, exp, fabs, fabsf, floor, fmax, fmin, hypot, isfinite, isnan, log, log1p, pow, rint, sqrt,
)
from libc.stdlib cimport abs
from libc.string cimport memset

from edgeguard import objects

cdef extern from *:
    """
    /* Compiled for wider registers too, and chosen when loaded. No fused sums: both give the same numbers. */
    #if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
    #define EDGEGUARD_WIDE __attribute__((target_clones("avx2", "default")))
    #else
    #define EDGEGUARD_WIDE
    #endif
    """
    ctypedef void wide "EDGEGUARD_WIDE void"

# What is known of each class of road user, by class number.
cdef const long long[::1] GROUP = objects.GROUP
cdef const double[::1] HEIGHT = objects.HEIGHT, LENGTH = objects.LENGTH
cdef const double[::1] MAX_SPEED = objects.MAX_SPEED, MAX_ACCELERATION = objects.MAX_ACCELERATION
cdef const unsigned char[::1] RIGID = objects.RIGID.view(np.uint8), SOLID = objects.SOLID.view(np.uint8)

include "objects.pxi"
include "trackers.pxi"
include "tracks.pxi"
include "habits.pxi"
include "bonds.pxi"
include "agreement.pxi"
include "bodies.pxi"
include "ghosts.pxi"
include "trends.pxi"
include "motion.pxi"
include "classes.pxi"
include "points.pxi"
include "freespace.pxi"
include "pictures.pxi"
include "images.pxi"
include "rendering.pxi"
