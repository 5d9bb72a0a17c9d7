"""Settings as ROS parameters, on every ROS 2: Humble tells nobody after a change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from edgeguard.config import Settings, flatten, updated


class Knobs(Settings):
    """Two knobs."""

    gain: float = 1.0
    name: str = "a"


@pytest.fixture
def context() -> Iterator[Any]:
    rclpy = pytest.importorskip("rclpy")
    made = rclpy.Context()
    made.init()
    yield made
    made.shutdown()


@pytest.mark.parametrize("humble", [False, True])
def test_a_change_is_validated_and_then_applied(context: Any, humble: bool) -> None:
    from rclpy.node import Node
    from rclpy.parameter import Parameter

    from ros_nodes.parameters import NODE_OPTIONS, SettingsParameters

    class OfItsTime(Node):
        def __getattribute__(self, name: str) -> Any:
            if humble and name == "add_post_set_parameters_callback":
                raise AttributeError(name)
            return super().__getattribute__(name)

    node = OfItsTime("knobs", context=context, **NODE_OPTIONS)
    applied: list[Any] = []
    settings = Knobs()
    SettingsParameters(
        node,
        accept=lambda changes: flatten(updated(settings, changes, "knobs")),
        apply=applied.append,
        describe={},
    )
    applied.clear()
    assert not node.set_parameters([Parameter("gain", value="much")])[0].successful
    assert applied == [] and node.get_parameter("gain").value == 1.0
    assert node.set_parameters([Parameter("gain", value=2.0)])[0].successful
    assert applied == [{"gain": 2.0}]
    node.destroy_node()


def test_an_empty_list_survives_ros_which_knows_none(context: Any) -> None:
    from rclpy.node import Node
    from rclpy.parameter import Parameter

    from ros_nodes.parameters import NODE_OPTIONS, SettingsParameters

    class Lists(Settings):
        names: tuple[str, ...] = ()

    node = Node("lists", context=context, **NODE_OPTIONS)
    applied: list[Any] = []
    SettingsParameters(
        node,
        accept=lambda changes: flatten(updated(Lists(), changes, "lists")),
        apply=applied.append,
        describe={},
    )
    assert node.get_parameter("names").value == [""]
    node.set_parameters([Parameter("names", value=["a"])])
    node.set_parameters([Parameter("names", value=[""])])
    assert applied[1:] == [{"names": ["a"]}, {"names": []}]
    node.destroy_node()
