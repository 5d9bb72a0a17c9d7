"""Streams in, verdicts out."""

from __future__ import annotations

import sys
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecyclePublisher
from rclpy.timer import Timer

from edgeguard.assembler import AssemblerSettings, FrameAssembler
from edgeguard.checks.view import Engine
from edgeguard.config import flatten, updated
from edgeguard.monitor import Monitor, MonitorSettings, open_engines
from edgeguard.types import Channel, Frame, Image
from ros_nodes import qos
from ros_nodes.inputs import MonitorInputs, MonitorSubscriptions
from ros_nodes.managed import ManagedNode, descriptions
from ros_nodes.parameters import SettingsParameters, Values
from ros_nodes.run import run
from ros_nodes.verdict_msg import to_message

POLL_PERIOD_S = 0.02


class MonitorNodeSettings(MonitorSettings):
    """The monitor's parameters and those of what feeds it."""

    assembler: AssemblerSettings = AssemblerSettings()
    inputs: MonitorInputs = MonitorInputs()


class MonitorNode(ManagedNode):
    """Feeds a `FrameAssembler` and a `Monitor`, and publishes a verdict for every frame."""

    def __init__(self) -> None:
        super().__init__("monitor_node")
        self._settings = MonitorNodeSettings()
        self._monitor: Monitor | None = None
        self._engines: list[Engine] = []
        self._assembler: FrameAssembler | None = None
        self._subscriptions_: MonitorSubscriptions | None = None
        self._publisher: LifecyclePublisher[DiagnosticArray] | None = None
        self._timer: Timer | None = None
        self._frame_id = ""
        self._begun = False
        SettingsParameters(
            self, accept=self._accept, apply=self._apply, describe=descriptions(self._settings)
        )

    def configure(self) -> None:
        engine, second = open_engines(self._settings.checks)
        self._engines = [e for e in (engine, second) if e is not None]
        self._monitor = Monitor(self._settings, engine=engine, second_engine=second)
        self._publisher = self.create_lifecycle_publisher(DiagnosticArray, "output/verdict", qos.RESULT)

    def activate(self) -> None:
        self._monitor.reset()
        self._begun = False
        self._assembler = None
        self._timer = self.create_timer(POLL_PERIOD_S, self._poll)

    def deactivate(self) -> None:
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        if self._subscriptions_ is not None:
            self._subscriptions_.close()
            self._subscriptions_ = None

    def cleanup(self) -> None:
        if self._publisher is not None:
            self.destroy_lifecycle_publisher(self._publisher)
            self._publisher = None
        for engine in self._engines:
            engine.close()
        self._engines = []
        self._monitor = self._assembler = None

    def _accept(self, changes: Values) -> Values:
        settings = updated(self._settings, changes, self.get_name())
        self.refuse_while_active(settings.assembler != self._settings.assembler, "assembler")
        self.refuse_while_active(settings.inputs != self._settings.inputs, "inputs")
        for check in ("sanitised_view", "ensemble"):
            # An engine takes too long to open for a vehicle that is under way.
            old, new = (getattr(s.checks, check).engine for s in (self._settings, settings))
            self.refuse_while_active(old != new, f"checks.{check}.engine")
        return flatten(settings)

    def _apply(self, changes: Values) -> None:
        self._settings = updated(self._settings, changes, self.get_name())
        if self._monitor is not None:
            self._monitor.apply(self._settings)

    def _take(self, channel: Channel | None, value: Any) -> None:
        if channel in (Channel.CAMERA, Channel.DETECTIONS) and not self._begun:
            # What was held against a camera that had not started is no evidence against its first image.
            self._monitor.reset()
            self._begun = True
        if isinstance(value, Image):
            self._frame_id = value.frame_id
        self._assembler.add(channel, value, self.now_ns)
        self._poll()

    def _poll(self) -> None:
        now_ns = self.now_ns
        if self._assembler is None:
            # Zero: simulated time has not begun, and what came before it would have no age.
            if now_ns:
                self._listen()
            return
        for frame in self._assembler.poll(now_ns):
            self._judge(frame)

    def _listen(self) -> None:
        expected = frozenset(self._settings.inputs.expected)
        self._assembler = FrameAssembler(self._settings.assembler, expected=expected)
        self._subscriptions_ = MonitorSubscriptions(self, self._settings.inputs, self._take)

    def _judge(self, frame: Frame) -> None:
        verdict = self._monitor.step(frame)
        age_ms = (self.now_ns - verdict.stamp_ns) / 1e6
        source = self.get_fully_qualified_name()
        self._publisher.publish(to_message(verdict, source=source, frame_id=self._frame_id, age_ms=age_ms))


def main() -> None:
    """Run the node until it is interrupted."""
    sys.exit(run(MonitorNode, autostart=MonitorNode.autostart))


if __name__ == "__main__":
    main()
