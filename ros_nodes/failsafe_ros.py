"""Verdicts in, the fail-safe topic out: the last process standing, so it loads as little as it can."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.node import Node
from rclpy.serialization import serialize_message
from std_msgs.msg import Bool, String
from std_srvs.srv import SetBool, Trigger

from edgeguard.errors import EdgeGuardError, MessageError
from edgeguard.failsafe import Decision, FailSafe, FailSafeSettings
from ros_nodes import qos
from ros_nodes.clock import clock_ns
from ros_nodes.lean_spin import lean_spin
from ros_nodes.parameters import NODE_OPTIONS, SettingsParameters, Values
from ros_nodes.status_array import Status, restamped, status_level, write
from ros_nodes.verdict_msg import from_summary
from ros_nodes.wire import read_summary

DIAGNOSTICS_EVERY = 3
"""Ticks between two diagnostics where nothing changes: above 5 Hz."""


COUNT_EVERY = 4 * DIAGNOSTICS_EVERY
"""Ticks between two counts of monitors, and of those who listen to diagnostics."""


UNNAMED = "monitor"
"""The source of what does not say where it comes from."""

STOP = {stop: bytes(serialize_message(Bool(data=stop))) for stop in (False, True)}
"""Both words of the fail-safe as they go out: made once, said twenty times a second."""

GIVE_WAY_S = 0.002
"""For how long a change is left to those who must obey it: in real time this process would keep them from a
core while it writes its log."""


class FailSafeNode(Node):
    """Feeds a `FailSafe` with verdicts and the clock, and repeats its decision at every tick."""

    def __init__(self) -> None:
        super().__init__("failsafe_node", **NODE_OPTIONS)
        self._settings = FailSafeSettings()
        self._failsafe: FailSafe | None = None
        SettingsParameters(
            self,
            accept=lambda changes: dataclasses.asdict(self._settings.updated(changes, self.get_name())),
            apply=self._apply,
            describe={f.name: f.metadata["description"] for f in dataclasses.fields(FailSafeSettings)},
        )
        self._failsafe = FailSafe(self._settings, now_ns=self._now(), saved=self._load())
        self._stop = self.create_publisher(Bool, "output/fail_safe", qos.FAIL_SAFE)
        # As `publish` does for bytes, once it has looked at what they are.
        self._say = self._stop.handle.publish_raw
        # Every event that a publisher may tell of costs time at each wake-up; the stop's own are enough.
        silent = qos.PublisherEventCallbacks(use_default_callbacks=False)
        self._level = self.create_publisher(String, "output/level", qos.LEVEL, event_callbacks=silent)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10, event_callbacks=silent)
        self._verdicts = self.create_subscription(
            DiagnosticArray,
            "input/verdict",
            self._on_verdict,
            qos.VERDICT,
            event_callbacks=qos.SubscriptionEventCallbacks(liveliness=self._on_liveliness),
            raw=True,
        )
        self.create_service(Trigger, "~/clear", self._on_clear)
        self.create_service(SetBool, "~/enable", self._on_enable)
        self._reported: tuple[object, ...] | None = None
        self._report_data = b""
        self._monitors = 0
        self._is_watched = False
        self._ticks = 0
        self.tick()

    def _now(self) -> int:
        return clock_ns(self)

    def _apply(self, changes: Values) -> None:
        self._settings = self._settings.updated(changes, self.get_name())
        if self._failsafe is not None:
            self._publish(self._failsafe.apply(self._settings, self._now()))

    def _on_verdict(self, data: bytes) -> None:
        now, source = self._now(), ""
        try:
            summary = read_summary(data)
            source = summary.source
            verdict = from_summary(summary, whole=False)
        except MessageError as e:
            decision = self._failsafe.malformed(str(e), now, source)
        else:
            decision = self._failsafe.update(verdict, now, source or UNNAMED)
        if decision.transition is not None:
            self._publish(decision)

    def _on_liveliness(self, event: Any) -> None:
        if event.alive_count_change < 0:
            self._publish(self._failsafe.lost(self._now()))

    def tick(self) -> None:
        """Look at the clock and repeat the decision; call every `qos.FAIL_SAFE_PERIOD_S`."""
        self._publish(self._failsafe.tick(self._now()))
        self._ticks += 1

    def _on_clear(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        result = self._failsafe.clear(self._now())
        self._publish(result.decision)
        response.success, response.message = result.granted, result.message
        return response

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._publish(self._failsafe.enable(request.data, self._now()))
        response.success = True
        response.message = "enabled" if request.data else "disabled: nothing stops the vehicle now"
        return response

    def _publish(self, decision: Decision) -> None:
        self._say(STOP[decision.stop])
        changed = decision.transition is not None
        if changed:
            self._save()
            time.sleep(GIVE_WAY_S)
            self._tell(decision)
        if changed or not self._ticks:
            self._level.publish(String(data=decision.level.name))
        if self._ticks % COUNT_EVERY == 0:
            self._monitors = self.count_publishers(self._verdicts.topic_name)
            self._is_watched = self._diagnostics.get_subscription_count() > 0
        if self._is_watched and (changed or self._ticks % DIAGNOSTICS_EVERY == 0):
            self._report(decision)

    def _report(self, decision: Decision) -> None:
        # Built anew only where something changed: mostly nothing does, and this process is to cost nothing.
        monitors = self._monitors
        told = decision.level, decision.enabled, decision.trouble, decision.since_ns, decision.standing
        content = (monitors, self._failsafe.sources, decision.clearable, *told)
        if content != self._reported:
            self._reported = content
            status = _status(decision, monitors, self._failsafe.sources)
            self._report_data = write([status], decision.now_ns)
        self._diagnostics.publish(restamped(self._report_data, decision.now_ns))

    def _tell(self, decision: Decision) -> None:
        change = decision.transition
        trouble = change.trouble
        text = f"{change.before.name} -> {change.after.name}: reason={trouble.reason.value}"
        text += f" source={trouble.source or '*'} stop={decision.stop} detail={json.dumps(trouble.detail)}"
        # rclpy lets one place in the code log at one severity only.
        if change.trips:
            self.get_logger().error(text)
        else:
            self.get_logger().warning(text)

    def _load(self) -> dict[str, object] | None:
        if not self._settings.state_file or not Path(self._settings.state_file).exists():
            return None
        try:
            return dict(json.loads(Path(self._settings.state_file).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as e:
            raise EdgeGuardError(f"{self._settings.state_file}: cannot be read as saved state: {e}") from e

    def _save(self) -> None:
        if not self._settings.state_file:
            return
        path = Path(self._settings.state_file)
        beside = path.with_name(path.name + ".new")
        try:
            beside.write_text(json.dumps(self._failsafe.state()), encoding="utf-8")
            os.replace(beside, path)
        except OSError as e:
            # A full disk must not keep the topic from being published.
            self.get_logger().error(f"state not saved to {path}: {e.strerror}", throttle_duration_sec=5.0)


def _status(decision: Decision, monitors: int, watched: tuple[str, ...]) -> Status:
    values = {
        "monitors": str(monitors),
        "watched": ", ".join(watched),
        "stop": str(decision.stop),
        "enabled": str(decision.enabled),
        "reason": decision.trouble.reason.value,
        "since_ns": str(decision.since_ns),
        "clearable": str(decision.clearable),
        "standing": "; ".join(str(t) for t in decision.standing),
    }
    level, text = status_level(decision.level), f"{decision.level.name}: {decision.trouble}"
    if not decision.enabled:
        level, text = bytes(DiagnosticStatus.WARN), f"disabled by an operator; {text}"
    return Status(level, "failsafe_node: fail-safe", text, "edgeguard", values)


def spin(node: FailSafeNode) -> None:
    """Serve the node until its context shuts down, by steady ticks: simulated time may stand still."""
    lean_spin(node, node.tick, qos.FAIL_SAFE_PERIOD_S)
