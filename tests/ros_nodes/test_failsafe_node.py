"""The fail-safe node as other nodes see it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgeguard.verdict import Level, Verdict

if TYPE_CHECKING:
    from tests.ros_nodes.live import Listener


# Wide, so that a busy machine trips nothing that a test has not asked for.
SETTINGS = {
    "clear_after_s": 0.3,
    "verdict_timeout_ms": 800,
    "latency_budget_ms": 800,
    "max_tick_gap_ms": 3000,
}


class Bench:
    """A fail-safe node, and a monitor's voice."""

    def __init__(self, listener: Listener) -> None:
        from diagnostic_msgs.msg import DiagnosticArray
        from std_msgs.msg import Bool, String

        from ros_nodes import qos

        self.listener = listener
        self.stops = listener.listen(Bool, "/fail_safe", qos.FAIL_SAFE)
        self.levels = listener.listen(String, "/level", qos.LEVEL)
        self.told = listener.listen(DiagnosticArray, "/diagnostics")
        self.voice = listener.create_publisher(DiagnosticArray, "/verdict", qos.VERDICT)
        listener.wait_for(lambda: self.stops and self.voice.get_subscription_count())
        self.level = Level.NOMINAL
        self.spoil = False
        self._timer = None

    def speak(self) -> None:
        """Give verdicts at 20 Hz from now on."""
        self._timer = self.listener.create_timer(0.05, self.say)

    def hush(self) -> None:
        self.listener.destroy_timer(self._timer)

    def say(self) -> None:
        from ros_nodes.verdict_msg import to_message

        verdict = Verdict(self.listener.get_clock().now().nanoseconds - 5_000_000, self.level)
        data = to_message(verdict, source="/monitor_node", frame_id="camera", age_ms=5.0, inputs={})
        self.voice.publish(data.replace(b'{"schema"', b"nonsense!") if self.spoil else data)

    def expect(self, stop: bool, reason: str) -> None:
        self.stops.clear()
        self.listener.wait_for(lambda: self.stops and self.stops[-1].data is stop)
        self.listener.wait_for(lambda: self.told and reason in self.told[-1].status[0].message)


@pytest.fixture
def bench(listener: Listener, tmp_path: Path) -> Iterator[Bench]:
    from tests.ros_nodes.live import node

    with node("failsafe_node", tmp_path, **SETTINGS):
        yield Bench(listener)


def test_holds_at_start_follows_the_verdicts_and_trips_on_silence(bench: Bench) -> None:
    assert bench.stops[0].data
    bench.speak()
    bench.expect(False, "healthy")
    bench.level = Level.CAUTION
    bench.listener.wait_for(lambda: bench.levels[-1].data == "CAUTION")
    bench.level = Level.FAIL_SAFE
    bench.expect(True, "verdict")
    bench.level = Level.NOMINAL
    bench.expect(False, "recovered")
    bench.spoil = True
    bench.expect(True, "malformed")
    bench.spoil = False
    bench.expect(False, "recovered")
    # Nonsense that does not say whose it is must not be waited for for ever.
    bench.voice.publish(b"\x00\x01\x00\x00" + b"\xff" * 60)
    bench.expect(True, "malformed")
    bench.expect(False, "recovered")
    bench.hush()
    bench.expect(True, "silence")


def test_a_latched_stop_outlives_the_process_until_an_operator_clears_it(
    listener: Listener, tmp_path: Path
) -> None:
    from std_srvs.srv import Trigger

    from tests.ros_nodes.live import node

    parameters = {**SETTINGS, "latch": True, "state_file": tmp_path / "state.json"}
    with node("failsafe_node", tmp_path, **parameters) as process:
        bench = Bench(listener)
        bench.speak()
        bench.expect(False, "healthy")
        bench.level = Level.FAIL_SAFE
        bench.expect(True, "verdict")
        refused = listener.call(Trigger, "/failsafe_node/clear", Trigger.Request())
        assert not refused.success and "the cause lasts" in refused.message
        process.kill()
    bench.level = Level.NOMINAL
    bench.told.clear()
    with node("failsafe_node", tmp_path, **parameters):
        clearable = "clearable"
        listener.wait_for(
            lambda: (
                bench.told and {v.key: v.value for v in bench.told[-1].status[0].values}[clearable] == "True"
            )
        )
        assert bench.stops[-1].data
        granted = listener.call(Trigger, "/failsafe_node/clear", Trigger.Request())
        assert granted.success, granted.message
        bench.expect(False, "cleared")


def test_disabled_it_stops_nothing_and_says_so(bench: Bench) -> None:
    from std_srvs.srv import SetBool

    answer = bench.listener.call(SetBool, "/failsafe_node/enable", SetBool.Request(data=False))
    assert answer.success
    bench.expect(False, "disabled by an operator")
    bench.listener.call(SetBool, "/failsafe_node/enable", SetBool.Request(data=True))
    bench.expect(True, "startup")


def test_a_bad_parameter_is_refused_with_its_bound_and_the_old_one_stays(bench: Bench) -> None:
    from rcl_interfaces.srv import GetParameters

    from tests.ros_nodes.live import set_parameter

    def change(name: str, to: object) -> Any:
        return set_parameter(bench.listener, "failsafe_node", name, to)

    refused = change("verdict_timeout_ms", -1.0)
    assert not refused.successful and "expected 10 to 10000" in refused.reason
    assert "did you mean" in change("verdict_timeout", 100.0).reason
    assert change("verdict_timeout_ms", 400).successful
    request = GetParameters.Request(names=["verdict_timeout_ms"])
    (value,) = bench.listener.call(GetParameters, "/failsafe_node/get_parameters", request).values
    assert value.integer_value == 400


def test_its_death_is_told_to_a_subscriber_that_asks_for_liveliness(
    listener: Listener, tmp_path: Path
) -> None:
    import threading

    from rclpy.event_handler import SubscriptionEventCallbacks
    from std_msgs.msg import Bool

    from ros_nodes import qos
    from tests.ros_nodes.live import node

    alive, dead = threading.Event(), threading.Event()

    def changed(info) -> None:
        (alive if info.alive_count else dead).set()

    events = SubscriptionEventCallbacks(liveliness=changed)
    with node("failsafe_node", tmp_path) as process:
        listener.create_subscription(
            Bool, "/fail_safe", lambda _: None, qos.FAIL_SAFE, event_callbacks=events
        )
        listener.executor.wake()
        assert alive.wait(20)
        dead.clear()
        process.kill()
        assert dead.wait(5)


def test_a_mistake_in_the_parameters_is_one_message_and_exit_code_2(tmp_path: Path) -> None:
    from tests.ros_nodes.live import node

    with node("failsafe_node", tmp_path, clear_after=3) as process:
        assert process.popen.wait(20) == 2
        assert "clear_after: unknown key; did you mean clear_after_s?" in process.output
        assert "Traceback" not in process.output


def test_loads_nothing_heavy_not_even_what_rclpy_would() -> None:
    code = (
        "import sys; from ros_nodes.failsafe_node import defer; defer('numpy', 'yaml');"
        "import ros_nodes.failsafe_ros, inspect; inspect.getmodule(inspect.currentframe());"
        "heavy = {'numpy._core', 'numpy.core', 'yaml.loader', 'cv2', 'scipy', 'pydantic', 'onnxruntime',"
        " 'edgeguard.types', 'edgeguard.config'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules);"
        "import numpy.linalg; assert numpy.zeros(2).sum() == 0"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_a_monitor_that_stops_breathing_trips_before_its_silence_is_complete(
    listener: Listener, tmp_path: Path
) -> None:
    from tests.ros_nodes.live import node

    patient = {**SETTINGS, "verdict_timeout_ms": 10000, "latency_budget_ms": 10000}
    with node("failsafe_node", tmp_path, **patient):
        bench = Bench(listener)
        bench.speak()
        bench.expect(False, "healthy")
        bench.hush()
        bench.expect(True, "its process is gone or stopped")
