"""Streams in, verdicts out."""

from __future__ import annotations

import functools
import gc
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.lifecycle import LifecyclePublisher
from rclpy.publisher import Publisher
from sensor_msgs.msg import Image as ImageMsg
from std_msgs.msg import UInt8MultiArray
from visualization_msgs.msg import MarkerArray

from edgeguard import snapshot
from edgeguard.assembler import AssemblerSettings, FrameAssembler
from edgeguard.checks import Scores
from edgeguard.checks.view import Engine
from edgeguard.config import flatten, updated
from edgeguard.errors import EdgeGuardError, ParameterError
from edgeguard.monitor import Monitor, MonitorSettings, open_engines
from edgeguard.rig_file import LoadedRig, load_rig
from edgeguard.scene import Scene
from edgeguard.types import Channel, Frame, Image
from edgeguard.verdict import Level, Verdict
from ros_nodes import qos
from ros_nodes.inputs import MonitorSubscriptions, radar_input
from ros_nodes.lean_spin import lean_spin
from ros_nodes.managed import ManagedNode, descriptions
from ros_nodes.markers import to_markers
from ros_nodes.metrics import FrameCount, Metrics
from ros_nodes.overlay import to_overlay
from ros_nodes.parameters import SettingsParameters, Values
from ros_nodes.precedence import keep_heap, run_preferred
from ros_nodes.run import run
from ros_nodes.settings import DeadlineSettings, MetricsSettings, MonitorInputs
from ros_nodes.verdict_msg import STOP, SUMMARY, to_diagnostics, to_message
from ros_nodes.warm_up import warm_up

POLL_PERIOD_S = 0.025
ASSERTION_PERIOD_S = 0.05
"""A third of the lease; each costs the fail-safe a wake-up of its transport."""

DIAGNOSTICS_PERIOD_S = 0.17
"""Above 5 Hz, also by polls of `POLL_PERIOD_S`, so that no aggregator calls them stale."""

SNAPSHOT_EVERY = 20
"""Verdicts between two snapshots for the recorder: of the seconds that it keeps, few are without one."""

FULL_COLLECTION_EVERY = 100
"""Verdicts between two collections of all garbage."""

GIVE_WAY_S = 0.001
"""For how long a worse verdict is left to those who act on it, before this process logs it and cleans up: on
two cores its own work kept them waiting for as long."""


MAX_TOLD = 20
"""Alarms of one moment that are logged; a flood of them must not fill the disk."""


class MonitorNodeSettings(MonitorSettings):
    """The monitor's parameters and those of what feeds it."""

    assembler: AssemblerSettings = AssemblerSettings()
    inputs: MonitorInputs = MonitorInputs()
    deadline: DeadlineSettings = DeadlineSettings()
    metrics: MetricsSettings = MetricsSettings()


class MonitorNode(ManagedNode):
    """Feeds a `FrameAssembler` and a `Monitor`, and publishes a verdict for every frame."""

    own_channels: frozenset[Channel] = frozenset()
    """Streams that the process makes itself."""

    def __init__(
        self, name: str = "monitor_node", settings: MonitorNodeSettings = MonitorNodeSettings()
    ) -> None:
        super().__init__(name)
        self._settings = settings
        self._monitor: Monitor | None = None
        self._assembler: FrameAssembler | None = None
        self._subscriptions_: MonitorSubscriptions | None = None
        self._verdicts: LifecyclePublisher[DiagnosticArray] | None = None
        self._markers: LifecyclePublisher[MarkerArray] | None = None
        self._overlay: LifecyclePublisher[ImageMsg] | None = None
        self._snapshots: LifecyclePublisher[UInt8MultiArray] | None = None
        self._diagnostics: Publisher[DiagnosticArray] = self.create_publisher(
            DiagnosticArray, "/diagnostics", 10
        )
        self._diagnosed_s = self._asserted_s = 0.0
        self._scene: Scene | None = None
        self._foreseen: Frame | None = None
        self._latest: Verdict | None = None
        self._frame_id = ""
        self._begun = False
        self._frames = FrameCount()
        self._metrics: Metrics | None = None
        self._told: set[tuple[str, str]] = set()
        self._rig: LoadedRig | None = None
        self._looks: tuple[Engine | None, Engine | None] = None, None
        SettingsParameters(
            self, accept=self._accept, apply=self._apply, describe=descriptions(self._settings)
        )

    def configure(self) -> None:
        if port := self._settings.metrics.port:
            self._metrics = Metrics(port)
        inputs = self._settings.inputs
        self._rig = load_rig(Path(inputs.rig)) if inputs.rig else None
        radar_input(inputs.radar)
        warm_up(self._settings)
        self._looks = open_engines(self._settings.checks)
        self._monitor = Monitor(
            self._settings, observer=self._observe, engine=self._looks[0], second_engine=self._looks[1]
        )
        if self._detector:
            self._monitor.require_engine(self._detector)
        self._verdicts = self.create_lifecycle_publisher(DiagnosticArray, "output/verdict", qos.VERDICT)
        self._markers = self.create_lifecycle_publisher(MarkerArray, "output/markers", 1)
        self._overlay = self.create_lifecycle_publisher(ImageMsg, "output/overlay", 1)
        self._snapshots = self.create_lifecycle_publisher(UInt8MultiArray, "output/snapshot", 1)

    def activate(self) -> None:
        self._monitor.reset()
        self._begun = False
        self._assembler = self._latest = self._foreseen = None
        self._frames = FrameCount()
        self._told.clear()
        # What is loaded by now stays: the collector need not look at it again, nor run in mid-frame.
        gc.collect()
        gc.freeze()
        gc.disable()

    def deactivate(self) -> None:
        gc.enable()
        if self._subscriptions_ is not None:
            self._subscriptions_.close()
            self._subscriptions_ = None

    def cleanup(self) -> None:
        for publisher in (self._verdicts, self._markers, self._overlay, self._snapshots):
            if publisher is not None:
                self.destroy_lifecycle_publisher(publisher)
        if self._metrics is not None:
            self._metrics.close()
        for engine in {id(e): e for e in self._looks if e is not None}.values():
            engine.close()
        self._looks = None, None
        self._verdicts = self._markers = self._overlay = self._snapshots = None
        self._monitor = self._assembler = self._scene = self._metrics = None

    def tick(self) -> None:
        """Let time pass; call every `POLL_PERIOD_S`."""
        if not self.active:
            return
        now_s = time.monotonic()
        if now_s - self._asserted_s >= ASSERTION_PERIOD_S:
            self._asserted_s = now_s
            self._verdicts.assert_liveliness()
        self._poll()
        if self._latest is not None and now_s - self._diagnosed_s >= DIAGNOSTICS_PERIOD_S:
            self._diagnosed_s = now_s
            self._diagnostics.publish(
                to_diagnostics(
                    self._latest,
                    source=self._name_in_full,
                    now_ns=self.now_ns,
                    judged=self._frames.judged,
                    lost=self._frames.lost,
                )
            )

    @property
    def _detector(self) -> str:
        """The engine that detections come from, by name; empty where it is not known."""
        told = Path(self._settings.inputs.detector)
        # Calibrations know an engine by the name of its folder.
        return told.parent.name if told.suffix == ".yaml" else told.name

    @property
    def _name_in_full(self) -> str:
        return str(self.get_fully_qualified_name())

    def _accept(self, changes: Values) -> Values:
        settings = updated(self._settings, changes, self.get_name())
        self.refuse_while_active(settings.inputs != self._settings.inputs, "inputs")
        self.refuse_while_active(settings.metrics != self._settings.metrics, "metrics")
        looks = [
            (s.checks.sanitised_view.engine, s.checks.ensemble.engine) for s in (settings, self._settings)
        ]
        self.refuse_while_active(looks[0] != looks[1], "an engine of a check")
        if self._monitor is not None:
            self._monitor.require_fit(settings, engine=self._detector or None)
        return flatten(settings)

    def _apply(self, changes: Values) -> None:
        self._settings = updated(self._settings, changes, self.get_name())
        if self._monitor is not None:
            self._monitor.apply(self._settings)
        if self._assembler is not None:
            self._assembler.apply(self._settings.assembler)

    def _observe(self, scene: Scene, check: str, scores: Scores) -> None:
        self._scene = scene

    def _take(self, channel: Channel | None, value: Any) -> None:
        if not self.active:
            return
        if channel in (Channel.CAMERA, Channel.DETECTIONS) and not self._begun:
            # What was held against a camera that had not started is no evidence against its first image.
            self._monitor.reset()
            self._begun = True
        if isinstance(value, Image):
            self._frame_id = value.frame_id
        self._assembler.add(channel, value, self.now_ns)
        self._poll()
        self._foreseen = self._assembler.foreseen() if self._assembler is not None else None

    def _poll(self) -> None:
        now_ns = self.now_ns
        if self._assembler is None:
            # Zero: simulated time has not begun, and what came before it would have no age.
            if now_ns:
                self._listen()
            return
        for frame in self._assembler.poll(now_ns):
            try:
                self._judge(frame)
            except ParameterError as e:
                # Its silence stops the vehicle; set another calibration and activate again.
                self.get_logger().fatal(f"deactivated: {e}")
                self.trigger_deactivate()
                return

    def ahead(self) -> Callable[[], None] | None:
        """Give the work that can be done now for a frame that waits for more, where there is any."""
        foreseen, self._foreseen = self._foreseen, None
        if foreseen is None or not self.active:
            return None
        deadline_ns = self._deadline_ns(foreseen.stamp_ns)
        return functools.partial(self._monitor.prepare, foreseen, deadline_ns=deadline_ns)

    def _deadline_ns(self, stamp_ns: int) -> int:
        """When no more may be begun for a frame, on `time.monotonic_ns`."""
        deadline = self._settings.deadline
        left_ns = stamp_ns - self.now_ns + (deadline.latency_budget_ms - deadline.reserve_ms) * 1e6
        return time.monotonic_ns() + int(left_ns)

    def _listen(self) -> None:
        expected = frozenset(self._settings.inputs.expected)
        self._assembler = FrameAssembler(self._settings.assembler, expected=expected)
        self._subscriptions_ = MonitorSubscriptions(
            self, self._settings.inputs, self._take, rig=self._rig, except_for=self.own_channels
        )

    def _judge(self, frame: Frame) -> None:
        # While a stop stands, its first word would be nothing new.
        stopped = self._latest is not None and self._latest.level is Level.FAIL_SAFE
        verdict = self._monitor.step(
            frame,
            deadline_ns=self._deadline_ns(frame.stamp_ns),
            on_stop=None if stopped else functools.partial(self._say, name=STOP),
        )
        age_ms = self._say(verdict)
        # A verdict is a sign of life as well.
        self._asserted_s = time.monotonic()
        if verdict.level > (self._latest.level if self._latest is not None else Level.NOMINAL):
            time.sleep(GIVE_WAY_S)
        self._latest = verdict
        self._after(frame, verdict, age_ms / 1e3)

    def _say(self, verdict: Verdict, name: str = SUMMARY) -> float:
        """Publish a verdict and return its age, ms."""
        age_ms = (self.now_ns - verdict.stamp_ns) / 1e6
        inputs = self._subscriptions_.since(verdict.stamp_ns + time.time_ns() - self.now_ns)
        source, frame_id = self._name_in_full, self._frame_id
        self._verdicts.publish(
            to_message(verdict, source=source, frame_id=frame_id, age_ms=age_ms, inputs=inputs, name=name)
        )
        return age_ms

    def _after(self, frame: Frame, verdict: Verdict, age_s: float) -> None:
        """Do what may wait until the verdict is out."""
        # After a skipped check the scene is not complete, and completing it now would cost the next frame.
        wanted = self._scene is not None and self._frame_id and not verdict.skipped
        if wanted and self._markers.get_subscription_count():
            self._markers.publish(to_markers(self._scene, verdict, self._frame_id))
        if frame.image is not None and self._overlay.get_subscription_count():
            self._overlay.publish(to_overlay(frame, verdict))
        self._scene = None
        self._log(verdict)
        lost = self._frames.add(verdict.stamp_ns) if verdict.has_image else 0
        if self._metrics is not None:
            self._metrics.observe(verdict, age_s=age_s, lost=lost)
        if verdict.has_image and self._frames.judged % SNAPSHOT_EVERY == 0:
            self._publish_snapshot(verdict.stamp_ns)
        gc.collect(2 if self._frames.judged % FULL_COLLECTION_EVERY == 0 else 0)

    def _publish_snapshot(self, stamp_ns: int) -> None:
        if not self._snapshots.get_subscription_count():
            return
        told = UInt8MultiArray()
        try:
            told.data.frombytes(snapshot.dump(self._monitor, stamp_ns))
        except EdgeGuardError as e:
            # The vehicle drives on: its recording will replay with less of the past.
            self.get_logger().error(str(e), throttle_duration_sec=60.0)
        else:
            self._snapshots.publish(told)

    def _log(self, verdict: Verdict) -> None:
        """Tell of each alarm once, when it is raised and when it is over."""
        standing = {(a.check, str(a.subject.id)): a for a in verdict.alarms}
        for key in [k for k in self._told if k not in standing]:
            self.get_logger().info(f"alarm over: check={key[0]} subject={key[1]} stamp={verdict.stamp_ns}")
            self._told.discard(key)
        for key, a in standing.items():
            if key not in self._told and len(self._told) < MAX_TOLD:
                self._told.add(key)
                self.get_logger().warning(
                    f"alarm: check={a.check} subject={a.subject.id} kind={a.subject.kind.value} "
                    f"level={a.level.name} cause={a.cause.value} stamp={verdict.stamp_ns} "
                    f"evidence={a.evidence:.2f} threshold={a.threshold:.2f} reason={json.dumps(a.reason)}"
                )


def spin(node: MonitorNode) -> None:
    """Serve the node until its context shuts down, by steady ticks: simulated time may stand still."""
    lean_spin(node, node.tick, POLL_PERIOD_S, ahead=node.ahead)


def main() -> None:
    """Run the node until it is interrupted."""
    run_preferred()
    keep_heap()
    # Two cores are everybody's, and a pool of threads for pieces of a millisecond waits busily.
    cv2.setNumThreads(1)
    sys.exit(run(MonitorNode, autostart=MonitorNode.autostart, spin=spin))


if __name__ == "__main__":
    main()
