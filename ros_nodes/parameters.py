"""Settings as ROS parameters: declared with their description, validated before they are applied.

Works on plain values, so that the fail-safe process can use it without pydantic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rcl_interfaces.msg import ParameterDescriptor, SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter

from edgeguard.errors import EdgeGuardError

NODE_OPTIONS = {"allow_undeclared_parameters": True, "automatically_declare_parameters_from_overrides": True}
"""How a node must be made for `SettingsParameters`: only then are the keys it was given known to it."""

_ROS_OWN = ("use_sim_time", "qos_overrides", "start_type_description_service")

Values = Mapping[str, Any]
"""Dotted names to values."""


class SettingsParameters:
    """The parameters of a node.

    Args:
        node: made with `NODE_OPTIONS`.
        accept: takes dotted names and values that differ from now and returns all values as they would
            become; raises `EdgeGuardError` where one is unknown or not valid. Must not change anything.
        apply: called with the values that changed, after ROS has taken them.
        describe: text per name.

    Raises:
        EdgeGuardError: a value given at start is not valid.
    """

    def __init__(
        self,
        node: Node,
        *,
        accept: Callable[[Values], Values],
        apply: Callable[[Values], None],
        describe: Mapping[str, str],
    ) -> None:
        self._node = node
        self._accept = accept
        self._apply = apply
        given = {
            name: _from_ros(parameter.value)
            for name, parameter in node.get_parameters_by_prefix("").items()
            if name.split(".")[0] not in _ROS_OWN
        }
        values = accept(given)
        for name in given:
            node.undeclare_parameter(name)
        for name, value in values.items():
            # Dynamic, so that `1` is as good as `1.0`; the settings know the type.
            descriptor = ParameterDescriptor(description=describe.get(name, ""), dynamic_typing=True)
            node.declare_parameter(name, _to_ros(value), descriptor, ignore_override=True)
        apply(given)
        node.add_on_set_parameters_callback(self._validate)
        self._applies_at_once = not hasattr(node, "add_post_set_parameters_callback")
        if not self._applies_at_once:
            node.add_post_set_parameters_callback(self._take)

    def _ours(self, parameters: list[Parameter[Any]]) -> dict[str, Any]:
        return {p.name: _from_ros(p.value) for p in parameters if p.name.split(".")[0] not in _ROS_OWN}

    def _validate(self, parameters: list[Parameter[Any]]) -> SetParametersResult:
        changes = self._ours(parameters)
        try:
            if changes:
                self._accept(changes)
        except EdgeGuardError as e:
            return SetParametersResult(successful=False, reason=str(e))
        if self._applies_at_once:
            # Humble calls nobody afterwards; what this callback has accepted it takes.
            self._take(parameters)
        return SetParametersResult(successful=True)

    def _take(self, parameters: list[Parameter[Any]]) -> None:
        if changes := self._ours(parameters):
            self._apply(changes)


def _to_ros(value: Any) -> Any:
    # An empty list has no type, and ROS 2 takes no parameter without one.
    return [""] if isinstance(value, (list, tuple)) and not value else value


def _from_ros(value: Any) -> Any:
    return [] if isinstance(value, (list, tuple)) and list(value) == [""] else value
