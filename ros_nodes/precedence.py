"""What a process asks of the system so that it is on time; each says in words what came of it."""

from __future__ import annotations

import ctypes
import os

PRIORITY = 20
"""SCHED_FIFO priority: above everything ordinary, below the kernel's own interrupt threads (50)."""

NICENESS = -10
"""Ten times the share of an ordinary process, and never more than that: the rest must live as well."""

KEPT_BYTES = 256 * 2**20
"""Free memory that a process does not give back: a few images and sweeps, and what is made of them."""

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_MMAP_THRESHOLD_MAX = 32 * 2**20
_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


def run_in_real_time() -> str:
    """Ask for real-time scheduling, which threads started later inherit."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError as e:
        return f"normal priority (SCHED_FIFO refused: {e.strerror}; grant rtprio in limits.conf)"
    return f"SCHED_FIFO {PRIORITY}"


def run_preferred() -> str:
    """Ask for a larger share of the processor where it is short, which threads started later inherit."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    except OSError as e:
        return f"normal priority (niceness {NICENESS} refused: {e.strerror}; grant nice in limits.conf)"
    return f"niceness {NICENESS}"


def lock_memory() -> str:
    """Keep the process's memory from being paged out."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Pages are locked once touched: locking whole thread stacks and shared segments took 400 MB.
    # Where a limit is set the kernel refuses at once, so that no later allocation can fail.
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        error = os.strerror(ctypes.get_errno())
        return f"memory not locked ({error}; grant memlock unlimited in limits.conf)"
    return "memory locked"


def keep_heap() -> None:
    """Have large buffers come from memory that the process has already.

    A sweep or an image is a buffer of megabytes, several times over on its way through a node. Given back to
    the system after each and asked for again, its pages are cleared and mapped anew for every frame.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # Not glibc; then that is how its allocator is.
        return
    mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_MAX)
    mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
    mallopt(_M_TOP_PAD, _MMAP_THRESHOLD_MAX)
