"""The fail-safe process: light, locked in memory and ahead of others where the system permits."""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from types import ModuleType
from typing import Any

PRIORITY = 20
"""SCHED_FIFO priority: above everything ordinary, below the kernel's own interrupt threads (50)."""

_MCL_CURRENT, _MCL_FUTURE, _MCL_ONFAULT = 1, 2, 4


class _Deferred(ModuleType):
    """Stands in for a module until an attribute of it is asked for.

    `importlib.util.LazyLoader` would do, but every `import` statement reads `__spec__`, which makes it load.
    """

    def __getattr__(self, name: str) -> Any:
        # Whoever looks through all modules (`inspect`, for a log line's caller) asks for `__file__`.
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def defer(*names: str) -> None:
    """Have modules loaded on first use.

    Importing `rclpy` imports NumPy, for a field that is only used in introspecting services, and YAML, for
    parsing numbers typed by people: together half of this process's time to start.
    """
    for name in names:
        sys.modules.setdefault(name, _Deferred(name))


def take_precedence() -> str:
    """Ask for real-time scheduling, which threads started later inherit; return what came of it."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(PRIORITY))
    except OSError as e:
        return f"normal priority (SCHED_FIFO refused: {e.strerror}; grant rtprio in limits.conf)"
    return f"SCHED_FIFO {PRIORITY}"


def lock_memory() -> str:
    """Keep the process's memory from being paged out; return what came of it."""
    libc = ctypes.CDLL(None, use_errno=True)
    # Pages are locked once touched: locking whole thread stacks and shared segments took 400 MB.
    # Where a limit is set the kernel refuses at once, so that no later allocation can fail.
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT) != 0:
        error = os.strerror(ctypes.get_errno())
        return f"memory not locked ({error}; grant memlock unlimited in limits.conf)"
    return "memory locked"


def main() -> None:
    """Run the node until it is interrupted."""
    priority = take_precedence()
    defer("numpy", "yaml")
    from ros_nodes.failsafe_ros import FailSafeNode, spin
    from ros_nodes.run import run

    def ready(node: FailSafeNode) -> bool:
        node.get_logger().info(f"{priority}, {lock_memory()}")
        return True

    sys.exit(run(FailSafeNode, autostart=ready, spin=spin))


if __name__ == "__main__":
    main()
