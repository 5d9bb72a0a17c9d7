"""Starting and stopping a node's process."""

from __future__ import annotations

import sys
from collections.abc import Callable

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from edgeguard.errors import EdgeGuardError


def run(
    make: Callable[[], Node],
    *,
    autostart: Callable[[Node], bool] | None = None,
    spin: Callable[[Node], None] = rclpy.spin,
) -> int:
    """Make a node and spin it until it is interrupted; return the process's exit code.

    A user's error is one message on stderr and exit code 2.

    Args:
        make: makes the node.
        autostart: readies the node; false says that it could not, and why stands in the log.
        spin: serves the node until its context shuts down.
    """
    rclpy.init()
    node = None
    try:
        node = make()
        if autostart is not None and not autostart(node):
            return 2
        spin(node)
    except EdgeGuardError as e:
        print(f"edgeguard: {e}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except ValueError as e:
        if "PARAMETER_NOT_SET" not in str(e):
            raise
        remedy = 'leave the key out, or write [""]'
        print(f"edgeguard: a parameter is given without a value, or as []: {remedy}", file=sys.stderr)
        return 2
    except Exception:
        # A signal may shut the context down in the middle of a callback: its error is the end, not a fault.
        if rclpy.ok():
            raise
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
