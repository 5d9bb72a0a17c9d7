"""Real processes over real DDS for the tests: nodes, the player, and a listener that waits for events."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import rclpy
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters, ListParameters, SetParameters
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile

ROOT = Path(__file__).resolve().parents[2]
TOPICS = {
    "input/image": "/camera/image",
    "input/camera_info": "/camera/camera_info",
    "input/points": "/lidar/points",
    "input/detections": "/camera/detections",
    "input/lidar_detections": "/lidar/detections",
    "input/radar": "/radar/points",
    "input/odometry": "/odometry",
    "input/verdict": "/verdict",
    "input/snapshot": "/snapshot",
    "input/fail_safe": "/fail_safe",
    "output/verdict": "/verdict",
    "output/snapshot": "/snapshot",
    "output/fail_safe": "/fail_safe",
    "output/level": "/level",
    "output/detections": "/camera/detections",
}


class Process:
    """A child process that is gone when the block ends; its output is kept for the failure report."""

    def __init__(self, *arguments: str, log: Path) -> None:
        self._log = log.open("w+", encoding="utf-8")
        self.popen = subprocess.Popen(
            [sys.executable, *arguments], stdout=self._log, stderr=subprocess.STDOUT, cwd=ROOT, text=True
        )

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.send_signal(signal.SIGINT)
            try:
                self.popen.wait(10)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        print(f"--- {' '.join(map(str, self.popen.args))}\n{self.output}")
        self._log.close()

    @property
    def output(self) -> str:
        return Path(self._log.name).read_text(encoding="utf-8")

    @property
    def rss_mb(self) -> float:
        """Memory in use, MB."""
        pages = int(Path(f"/proc/{self.popen.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def kill(self) -> None:
        os.kill(self.popen.pid, signal.SIGKILL)
        self.popen.wait(10)


def node(
    name: str,
    log: Path,
    *,
    namespace: str = "/",
    topics: Mapping[str, str] = MappingProxyType({}),
    program: tuple[str, ...] = (),
    files: tuple[Path, ...] = (),
    **parameters: object,
) -> Process:
    """Start one of our nodes with the tests' topics, or others; `program` in place of its own main."""
    arguments = [*(program or ("-m", f"ros_nodes.{name}")), "--ros-args", "-r", f"__ns:={namespace}"]
    for topic, to in {**TOPICS, **topics}.items():
        arguments += ["-r", f"{topic}:={to}"]
    for file in files:
        arguments += ["--params-file", str(file)]
    for key, value in parameters.items():
        arguments += ["-p", f"{key.replace('__', '.')}:={_yaml(value)}"]
    return Process(*arguments, log=log / f"{namespace.strip('/')}{name}.log")


def player(bag: Path, log: Path, *options: str) -> Process:
    """Start playing a recording."""
    return Process("-m", "tests.ros_nodes.play", str(bag), *options, log=log / "player.log")


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, list) else str(value)


class Listener(Node):
    """Records what is published, and lets a test wait for it."""

    def __init__(self) -> None:
        self._context = rclpy.Context()
        self._context.init()
        super().__init__("listener", context=self._context)
        self._changed = threading.Condition()
        self.matched: dict[str, int] = {}
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self)
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except Exception:
            # Closing takes the context from under a callback.
            if self._context.ok():
                raise

    def listen(
        self,
        kind: type,
        topic: str,
        profile: QoSProfile | int = 100,
        *,
        then: Callable[[Any], None] = lambda _: None,
    ) -> list[Any]:
        """Subscribe, and return the list that fills; `then` is told of each message as well."""
        messages: list[Any] = []

        def take(msg: Any) -> None:
            with self._changed:
                messages.append(msg)
                then(msg)
                self._changed.notify_all()

        def match(info: Any) -> None:
            with self._changed:
                self.matched[topic] = info.current_count
                self._changed.notify_all()

        events = SubscriptionEventCallbacks(matched=match)
        self.create_subscription(kind, topic, take, profile, event_callbacks=events)
        self._executor.wake()
        return messages

    def wait_for(
        self,
        condition: Callable[[], object],
        timeout_s: float = 60.0,
        *,
        told: Callable[[], str] = lambda: "",
    ) -> None:
        """Wait until `condition` holds; fail the test otherwise.

        Looked at after each message, and now and then: a match is no message.
        """
        end = time.monotonic() + timeout_s
        with self._changed:
            while not condition():
                assert self._thread.is_alive(), "a callback of the test failed; see its trace"
                assert time.monotonic() < end, f"did not happen in time; {told()}"
                self._changed.wait(0.1)

    def call(self, kind: type, service: str, request: Any, timeout_s: float = 10.0) -> Any:
        """Call a service and return its answer."""
        client = self.create_client(kind, service)
        try:
            assert client.wait_for_service(timeout_s), f"{service} is not there"
            done = threading.Event()
            future = client.call_async(request)
            future.add_done_callback(lambda _: done.set())
            assert done.wait(timeout_s), f"{service} did not answer"
            return future.result()
        finally:
            self.destroy_client(client)

    def close(self) -> None:
        self._context.try_shutdown()
        self._thread.join(5)
        self.destroy_node()


def value(message: Any, key: str) -> str:
    """A value of the first status of a `DiagnosticArray`."""
    return next(v.value for v in message.status[0].values if v.key == key)


def verdicts(messages: list[Any]) -> list[Any]:
    """Of what a monitor has published, the whole verdicts: their first words are for the fail-safe."""
    from ros_nodes.verdict_msg import SUMMARY

    return [m for m in list(messages) if m.status[0].name == SUMMARY]


def set_parameter(listener: Listener, node_name: str, name: str, to: object) -> Any:
    """Change a parameter of a running node, and return its answer."""
    request = SetParameters.Request(parameters=[Parameter(name, value=to).to_parameter_msg()])
    return listener.call(SetParameters, f"/{node_name}/set_parameters", request).results[0]


def refuses_nonsense(listener: Listener, node_name: str) -> None:
    """Set each parameter of a running node to what it cannot be; each must be refused by name, and stay."""
    names = listener.call(
        ListParameters, f"/{node_name}/list_parameters", ListParameters.Request()
    ).result.names
    ours = [
        n
        for n in names
        if n.split(".")[0] not in ("use_sim_time", "start_type_description_service", "qos_overrides")
    ]
    assert ours
    get = GetParameters.Request(names=ours)
    before = listener.call(GetParameters, f"/{node_name}/get_parameters", get).values
    given = list(zip(ours, before, strict=True))
    texts = ParameterType.PARAMETER_STRING
    wrong = [Parameter(n, value=7 if v.type == texts else "nonsense") for n, v in given]
    numbers = (ParameterType.PARAMETER_DOUBLE, ParameterType.PARAMETER_INTEGER)
    wrong += [
        Parameter(n, value=bad)
        for n, v in given
        if v.type in numbers
        for bad in (float("nan"), float("inf"), -1e300)
    ]
    request = SetParameters.Request(parameters=[p.to_parameter_msg() for p in wrong])
    results = listener.call(SetParameters, f"/{node_name}/set_parameters", request, 60.0).results
    assert [p.name for p, r in zip(wrong, results, strict=True) if r.successful] == []
    untold = [p.name for p, r in zip(wrong, results, strict=True) if p.name not in r.reason]
    assert untold == []
    after = listener.call(GetParameters, f"/{node_name}/get_parameters", get).values
    assert after == before
