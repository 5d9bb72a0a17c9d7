"""The monitor node as operators see it: its lifecycle and its parameters while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.ros_nodes.live import Listener, Process


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Process]:
    from tests.ros_nodes.live import node

    with node("monitor_node", tmp_path) as process:
        yield process


def change_state(listener: Listener, transition: int) -> bool:
    from lifecycle_msgs.srv import ChangeState

    request = ChangeState.Request()
    request.transition.id = transition
    return listener.call(ChangeState, "/monitor_node/change_state", request).success


def test_a_camera_that_never_comes_is_named_by_timer(listener: Listener, monitor: Process) -> None:
    from diagnostic_msgs.msg import DiagnosticArray

    from edgeguard.verdict import Level
    from ros_nodes.verdict_msg import from_message

    heard = listener.listen(DiagnosticArray, "/verdict")

    def silent() -> bool:
        verdicts = [from_message(m) for m in heard[-3:]]
        return any(v.level is Level.FAIL_SAFE and not v.has_image for v in verdicts)

    listener.wait_for(silent)


def test_every_threshold_is_a_parameter_that_can_be_changed_while_running(
    listener: Listener, monitor: Process
) -> None:
    from rcl_interfaces.srv import DescribeParameters, GetParameters, ListParameters

    from edgeguard.config import flatten
    from edgeguard.monitor import MonitorSettings
    from tests.ros_nodes.live import set_parameter

    names = listener.call(ListParameters, "/monitor_node/list_parameters", ListParameters.Request())
    assert set(flatten(MonitorSettings())) <= set(names.result.names)

    def change(name: str, to: object) -> Any:
        return set_parameter(listener, "monitor_node", name, to)

    def get(name: str) -> Any:
        request = GetParameters.Request(names=[name])
        return listener.call(GetParameters, "/monitor_node/get_parameters", request).values[0]

    knob = "evidence.false_alarms_per_hour"
    before = get(knob).double_value
    refused = change(knob, -1.0)
    assert not refused.successful and knob in refused.reason and "greater than" in refused.reason
    assert get(knob).double_value == before
    assert not change("evidence.false_alarm_per_hour", 2.0).successful
    assert change(knob, 2.0).successful
    assert get(knob).double_value == 2.0
    assert "read on configure" in change("inputs.transport", "compressed").reason
    request = DescribeParameters.Request(names=["assembler.wait_ms"])
    (described,) = listener.call(DescribeParameters, "/monitor_node/describe_parameters", request).descriptors
    assert "ms" in described.description


def test_deactivated_it_is_silent_and_cleaned_up_it_takes_other_inputs(
    listener: Listener, monitor: Process
) -> None:
    from diagnostic_msgs.msg import DiagnosticArray
    from lifecycle_msgs.msg import Transition

    from tests.ros_nodes.live import set_parameter

    heard = listener.listen(DiagnosticArray, "/verdict")
    listener.wait_for(lambda: heard)
    assert change_state(listener, Transition.TRANSITION_DEACTIVATE)
    assert change_state(listener, Transition.TRANSITION_CLEANUP)
    assert set_parameter(listener, "monitor_node", "inputs.transport", "compressed").successful
    assert change_state(listener, Transition.TRANSITION_CONFIGURE)
    assert change_state(listener, Transition.TRANSITION_ACTIVATE)
    heard.clear()
    listener.wait_for(lambda: heard)


def test_a_message_that_is_nonsense_is_dropped_and_logged(listener: Listener, monitor: Process) -> None:
    from diagnostic_msgs.msg import DiagnosticArray
    from sensor_msgs.msg import Image, PointCloud2

    from ros_nodes import qos

    heard = listener.listen(DiagnosticArray, "/verdict")
    images = listener.create_publisher(Image, "/camera/image", qos.NEWEST_IMAGE)
    points = listener.create_publisher(PointCloud2, "/lidar/points", qos.SENSOR)
    listener.wait_for(lambda: heard and images.get_subscription_count() and points.get_subscription_count())

    def nonsense_is_logged() -> bool:
        images.publish(Image(width=640, height=480, encoding="bgr8", step=1920))
        points.publish(PointCloud2(width=1000, height=1, point_step=16, row_step=16000))
        return all(f"{topic}: dropped" in monitor.output for topic in ("input/image", "input/points"))

    listener.wait_for(nonsense_is_logged)
    heard.clear()
    listener.wait_for(lambda: heard)
