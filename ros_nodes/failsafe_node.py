"""The fail-safe process: light, locked in memory and ahead of others where the system permits."""

from __future__ import annotations

import gc
import importlib
import sys
from types import ModuleType
from typing import Any

from ros_nodes.precedence import lock_memory, run_in_real_time


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


def main() -> None:
    """Run the node until it is interrupted."""
    priority = run_in_real_time()
    defer("numpy", "yaml")
    from ros_nodes.failsafe_ros import FailSafeNode, spin
    from ros_nodes.run import run

    def ready(node: FailSafeNode) -> bool:
        # What is loaded by now stays: the collector need not look at it again.
        gc.freeze()
        node.get_logger().info(f"{priority}, {lock_memory()}")
        return True

    sys.exit(run(FailSafeNode, autostart=ready, spin=spin))


if __name__ == "__main__":
    main()
