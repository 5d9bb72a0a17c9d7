"""What a transition that fails leaves behind: a node that is silent, which stops the vehicle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def make() -> Iterator[Any]:
    """Make a managed node of which one step raises."""
    import rclpy

    from ros_nodes.managed import ManagedNode

    class Breaking(ManagedNode):
        def __init__(self, breaks: str, error: Exception) -> None:
            super().__init__("breaking")
            self.breaks, self.error, self.steps = breaks, error, []

        def _step(self, name: str) -> None:
            self.steps.append(name)
            if name == self.breaks and self.steps.count(name) == 1:
                raise self.error

        def configure(self) -> None:
            self._step("configure")

        def activate(self) -> None:
            self._step("activate")

        def deactivate(self) -> None:
            self._step("deactivate")

        def cleanup(self) -> None:
            self._step("cleanup")

    made: list[Any] = []

    def build(breaks: str, error: Exception) -> Any:
        rclpy.init()
        made.append(Breaking(breaks, error))
        return made[-1]

    yield build
    for node in made:
        node.destroy_node()
    rclpy.try_shutdown()


@pytest.mark.parametrize("step", ["configure", "activate"])
def test_a_step_that_fails_leaves_the_node_silent(step: str, make: Any) -> None:
    from edgeguard.errors import EdgeGuardError

    node = make(step, EdgeGuardError("the engine is not there"))
    assert not node.autostart()
    assert not node.active


@pytest.mark.parametrize("step", ["configure", "activate", "deactivate"])
def test_an_error_transition_silences_the_node_and_frees_it(step: str, make: Any) -> None:
    node = make(step, RuntimeError("of its own"))
    started = node.autostart()
    if step == "deactivate":
        assert started and node.active
        node.trigger_deactivate()
    assert not node.active
    assert node.steps[-1] == "cleanup"
