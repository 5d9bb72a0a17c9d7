"""Each adapter against messages of its peer's type; the fail-safe is a publisher of its very topic."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgeguard import messages

if TYPE_CHECKING:
    from tests.ros_nodes.live import Listener


class Voice:
    """A fail-safe's topic, as the node publishes it: at 20 Hz, asserting that it is alive."""

    def __init__(self, listener: Listener) -> None:
        from std_msgs.msg import Bool

        from ros_nodes import qos

        self._listener = listener
        self._publisher = listener.create_publisher(Bool, "/fail_safe", qos.FAIL_SAFE)
        self.stop = True
        self._timer = listener.create_timer(0.03, lambda: self._publisher.publish(Bool(data=self.stop)))
        listener.executor.wake()

    def die(self) -> None:
        self._listener.destroy_timer(self._timer)


@pytest.fixture
def voice(listener: Listener) -> Iterator[Voice]:
    yield Voice(listener)


TOPICS = {"input/fail_safe": "/fail_safe"}


@pytest.mark.parametrize("mode, stamped", [("zero", False), ("zero", True), ("withhold", True)])
def test_commands_pass_only_while_the_fail_safe_allows(
    mode: str, stamped: bool, listener: Listener, voice: Voice, tmp_path: Path
) -> None:
    from geometry_msgs.msg import Twist, TwistStamped

    from tests.ros_nodes.live import node

    kind = TwistStamped if stamped else Twist
    passed = listener.listen(kind, "/mavros/setpoint_velocity/cmd_vel")
    commands = listener.create_publisher(kind, "/cmd_vel", 10)
    command = kind()
    (command.twist if stamped else command).linear.x = 1.5
    topics = {**TOPICS, "input/cmd_vel": "/cmd_vel", "output/cmd_vel": "/mavros/setpoint_velocity/cmd_vel"}

    def speeds() -> list[float]:
        return [(m.twist if stamped else m).linear.x for m in passed[-3:]]

    with node("adapters.twist_gate_node", tmp_path, topics=topics, mode=mode, stamped=stamped):
        listener.wait_for(commands.get_subscription_count)
        listener.create_timer(0.05, lambda: commands.publish(command))
        if mode == "zero":
            listener.wait_for(lambda: speeds() == [0.0] * 3)
        voice.stop = False
        listener.wait_for(lambda: speeds() == [1.5] * 3)
        voice.stop = True
        if mode == "zero":
            listener.wait_for(lambda: speeds() == [0.0] * 3)
            assert not stamped or passed[-1].header.frame_id == "base_link"
        else:
            stopped_at: list[int] = []
            stop = listener.listen(kind, "/cmd_vel", then=lambda _: stopped_at.append(len(passed)))
            # Withheld: ten commands on, nothing has passed.
            listener.wait_for(lambda: len(stopped_at) > 15 and stopped_at[-1] == stopped_at[-10])
            assert stop
        voice.stop = False
        listener.wait_for(lambda: speeds() == [1.5] * 3)
        if mode == "zero":
            voice.die()
            listener.wait_for(lambda: speeds() == [0.0] * 3)


def test_nav2_sees_an_obstacle_in_its_stop_polygon_and_an_empty_cloud_otherwise(
    listener: Listener, voice: Voice, tmp_path: Path
) -> None:
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import PointCloud2

    from tests.ros_nodes.live import node

    seen = listener.listen(PointCloud2, "/edgeguard/points", qos_profile_sensor_data)
    topics = {**TOPICS, "output/points": "/edgeguard/points"}
    with node("adapters.nav2_node", tmp_path, topics=topics, position_m=[0.4, 0.0, 0.2]):
        listener.wait_for(lambda: seen and seen[-1].width)
        cloud = messages.point_cloud(seen[-1])
        # Its defaults: four points are enough, heights of 0.05 to 0.5 m count.
        assert len(cloud) >= 4 and cloud.frame_id == "base_link"
        assert cloud.xyz[0].tolist() == pytest.approx([0.4, 0.0, 0.2])
        voice.stop = False
        listener.wait_for(lambda: seen[-1].width == 0)
        voice.die()
        listener.wait_for(lambda: seen[-1].width)


class Gate:
    """Autoware's vehicle command gate, as far as its external emergency stop goes."""

    def __init__(self, listener: Listener) -> None:
        from std_srvs.srv import Trigger

        self.stopped = False
        self.refuses = True
        for name in ("external_emergency_stop", "clear_external_emergency_stop"):
            stop = not name.startswith("clear")

            def answer(_, response, stop=stop):
                response.success = stop or not self.refuses
                response.message = "" if response.success else "Emergency heartbeat is timed out."
                if response.success:
                    self.stopped = stop
                return response

            listener.create_service(Trigger, f"/control/vehicle_cmd_gate/{name}", answer)
        listener.executor.wake()


def test_autowares_gate_is_asked_until_it_has_said_yes(
    listener: Listener, voice: Voice, tmp_path: Path
) -> None:
    from tests.ros_nodes.live import node

    gate = Gate(listener)
    with node("adapters.autoware_node", tmp_path, topics=TOPICS, clear=True) as process:
        listener.wait_for(lambda: gate.stopped)
        voice.stop = False
        listener.wait_for(lambda: "refused to clear: Emergency heartbeat" in process.output)
        assert gate.stopped
        gate.refuses = False
        listener.wait_for(lambda: not gate.stopped)
        voice.die()
        listener.wait_for(lambda: gate.stopped)
