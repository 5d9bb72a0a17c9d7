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

    from tests.ros_nodes.live import node, refuses_nonsense, set_parameter

    kind = TwistStamped if stamped else Twist
    passed = listener.listen(kind, "/mavros/setpoint_velocity/cmd_vel")
    commands = listener.create_publisher(kind, "/cmd_vel", 10)
    command = kind()
    (command.twist if stamped else command).linear.x = 1.5
    topics = {**TOPICS, "input/cmd_vel": "/cmd_vel", "output/cmd_vel": "/mavros/setpoint_velocity/cmd_vel"}

    def speeds() -> list[float]:
        return [(m.twist if stamped else m).linear.x for m in passed[-3:]]

    with node("adapters.twist_gate_node", tmp_path, topics=topics, mode=mode, stamped=stamped) as process:
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
        (command.twist if stamped else command).angular.z = float("nan")
        listener.wait_for(lambda: "a velocity is not finite" in process.output)
        assert not [m for m in passed if (m.twist if stamped else m).angular.z]
        refuses_nonsense(listener, "twist_gate_node")
        told = set_parameter(listener, "twist_gate_node", "stamped", not stamped)
        assert not told.successful and "start the node with it" in told.reason
        if mode == "zero":
            voice.die()
            listener.wait_for(lambda: speeds() == [0.0] * 3)


def test_nav2_sees_an_obstacle_in_its_stop_polygon_and_an_empty_cloud_otherwise(
    listener: Listener, voice: Voice, tmp_path: Path
) -> None:
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import PointCloud2

    from tests.ros_nodes.live import node, refuses_nonsense, set_parameter

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
        refuses_nonsense(listener, "nav2_node")
        assert set_parameter(listener, "nav2_node", "points", 25).successful
        voice.die()
        listener.wait_for(lambda: seen[-1].width == 25)


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
    from tests.ros_nodes.live import node, refuses_nonsense

    with node("adapters.autoware_node", tmp_path, topics=TOPICS, clear=True) as process:
        missing = "/control/vehicle_cmd_gate/external_emergency_stop is not there"
        listener.wait_for(lambda: missing in process.output)
        gate = Gate(listener)
        listener.wait_for(lambda: gate.stopped)
        refuses_nonsense(listener, "autoware_node")
        voice.stop = False
        listener.wait_for(lambda: "refused to clear: Emergency heartbeat" in process.output)
        assert gate.stopped
        gate.refuses = False
        listener.wait_for(lambda: not gate.stopped)
        voice.die()
        listener.wait_for(lambda: gate.stopped)


def test_who_is_missing_is_named(tmp_path: Path, listener: Listener) -> None:
    from tests.ros_nodes.live import node

    with node("adapters.twist_gate_node", tmp_path, topics=TOPICS) as process:
        listener.wait_for(lambda: "no word of the fail-safe on /fail_safe (0 publishers" in process.output)
        listener.wait_for(lambda: "nobody listens to /output/cmd_vel" in process.output)


@pytest.mark.parametrize(
    "name, parameters, told",
    [
        ("twist_gate_node", {"mode": "fast"}, "mode = 'fast': Input should be 'zero' or 'withhold'"),
        ("twist_gate_node", {"mod": "zero"}, "mod: unknown key; did you mean mode?"),
        ("nav2_node", {"position_m": [0.3, 0.0]}, "position_m.2"),
        ("nav2_node", {"position_m": [0.3, 0.0, 1e300]}, "less than or equal to 100"),
        ("nav2_node", {"points": 0}, "greater than or equal to 1"),
        ("autoware_node", {"clear": 7}, "clear = 7"),
    ],
)
def test_a_parameter_that_cannot_be_is_one_clear_error(
    name: str,
    parameters: dict[str, object],
    told: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import importlib

    import rclpy

    from ros_nodes.run import run

    module = importlib.import_module(f"ros_nodes.adapters.{name}")
    make = next(v for k, v in vars(module).items() if k.endswith("Node") and v.__module__ == module.__name__)
    given = [f"{k}:={v}" for k, v in parameters.items()]
    monkeypatch.setattr("sys.argv", [name, "--ros-args", *(a for g in given for a in ("-p", g))])
    assert run(make) == 2
    assert not rclpy.ok()
    error = capfd.readouterr().err
    assert told in error and error.startswith("edgeguard: ") and "Traceback" not in error
