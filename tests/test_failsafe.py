"""The fail-safe, by cases that a user relies on; tests/test_failsafe_properties.py has the invariants."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from edgeguard.errors import EdgeGuardError, ParameterError
from edgeguard.failsafe import Decision, FailSafe, FailSafeSettings, Reason
from edgeguard.verdict import Alarm, Cause, Level, Subject, SubjectKind, Verdict

MS = 1_000_000
T0 = 1_000_000_000_000
SETTINGS = FailSafeSettings()


class Drive:
    """A fail-safe with a clock in milliseconds since it was made."""

    def __init__(self, settings: FailSafeSettings = SETTINGS, saved: dict[str, object] | None = None) -> None:
        self.ms = 0.0
        self.failsafe = FailSafe(settings, now_ns=T0, saved=saved)

    @property
    def now(self) -> int:
        return T0 + int(self.ms * MS)

    def wait(self, ms: float) -> Decision:
        """Let time pass with a tick every 20 ms."""
        end = self.ms + ms
        decision = self.failsafe.decision
        while self.ms < end:
            self.ms = min(self.ms + 20, end)
            decision = self.failsafe.tick(self.now)
        return decision

    def say(self, level: Level = Level.NOMINAL, age_ms: float = 10, source: str = "monitor") -> Decision:
        verdict = Verdict(self.now - int(age_ms * MS), level)
        return self.failsafe.update(verdict, self.now, source)

    def healthy(self, seconds: float) -> Decision:
        """Healthy verdicts at 10 Hz."""
        decision = self.failsafe.decision
        for _ in range(round(seconds * 10)):
            self.wait(100)
            decision = self.say()
        return decision


def test_starts_tripped_until_the_first_healthy_verdict() -> None:
    drive = Drive()
    start = drive.failsafe.tick(drive.now)
    assert start.stop and start.startup and start.transition is None
    first = drive.say()
    assert not first.stop and first.transition is not None
    assert first.transition.trouble.reason is Reason.HEALTHY and not first.transition.trips


def test_a_silent_camera_at_startup_is_no_trip_but_an_attack_on_the_first_image_is() -> None:
    drive = Drive(FailSafeSettings(latch=True))
    silent = Verdict(drive.now, Level.FAIL_SAFE, has_image=False)
    assert drive.failsafe.update(silent, drive.now).startup
    drive.ms += 100
    attacked = drive.say(Level.FAIL_SAFE)
    assert attacked.stop and not attacked.startup
    assert attacked.transition is not None and attacked.transition.trips


def test_startup_waits_for_every_expected_monitor() -> None:
    drive = Drive(FailSafeSettings(sources=("front", "rear")))
    assert drive.say(source="front").startup
    assert not drive.say(source="rear").stop


def test_a_fail_safe_verdict_trips_and_names_check_and_reason() -> None:
    drive = Drive()
    drive.say()
    subject = Subject(SubjectKind.STREAM, "camera")
    alarm = Alarm("stream_integrity", subject, Cause.CAMERA, Level.FAIL_SAFE, "frozen", {}, 9, 8, T0)
    drive.ms += 100
    tripped = drive.failsafe.update(Verdict(drive.now, Level.FAIL_SAFE, (alarm,)), drive.now)
    assert tripped.stop
    assert tripped.transition is not None
    assert tripped.transition.to_dict() == {
        "stamp_ns": drive.now,
        "from": "NOMINAL",
        "to": "FAIL_SAFE",
        "reason": "verdict",
        "detail": "stream_integrity: frozen",
        "source": "monitor",
    }


def test_caution_is_passed_on_and_does_not_stop() -> None:
    drive = Drive()
    drive.say()
    drive.wait(100)
    caution = drive.say(Level.CAUTION)
    assert caution.level is Level.CAUTION and not caution.stop
    assert drive.healthy(0.1).level is Level.NOMINAL


@pytest.mark.parametrize(
    ("age_ms", "reason"), [(199, None), (201, Reason.LATE), (-19, None), (-21, Reason.CLOCK)]
)
def test_the_age_of_a_verdict_is_measured_from_the_image_stamp(age_ms: float, reason: Reason | None) -> None:
    drive = Drive()
    drive.healthy(1)
    drive.wait(100)
    decision = drive.say(age_ms=age_ms)
    assert decision.stop is (reason is not None)
    assert reason is None or decision.trouble.reason is reason


def test_silence_trips_within_the_timeout_and_one_tick() -> None:
    drive = Drive()
    drive.healthy(1)
    assert not drive.wait(250).stop
    silent = drive.wait(20)
    assert silent.stop and silent.trouble.reason is Reason.SILENCE


def test_each_known_monitor_must_keep_talking_and_the_worst_rules() -> None:
    drive = Drive()
    drive.say(source="front")
    drive.say(Level.CAUTION, source="rear")
    assert drive.say(source="front").level is Level.CAUTION
    for _ in range(3):
        drive.wait(100)
        decision = drive.say(source="front")
    assert decision.stop and decision.trouble.source == "rear"


@pytest.mark.parametrize("step_ms", [-1, -5000, 600, 5000])
def test_a_clock_that_runs_back_or_jumps_trips(step_ms: float) -> None:
    drive = Drive()
    drive.healthy(1)
    drive.ms += step_ms
    decision = drive.failsafe.tick(drive.now)
    assert decision.stop and decision.trouble.reason is Reason.CLOCK


def test_after_the_clock_was_set_back_it_recovers_on_the_new_time() -> None:
    drive = Drive()
    drive.healthy(1)
    drive.ms -= 60_000
    assert drive.failsafe.tick(drive.now).stop
    assert not drive.healthy(2.1).stop


def test_an_old_verdict_again_is_no_sign_of_life() -> None:
    drive = Drive(FailSafeSettings(latency_budget_ms=1000))
    drive.say()
    old = Verdict(drive.now, Level.NOMINAL)
    for _ in range(14):
        drive.wait(20)
        decision = drive.failsafe.update(old, drive.now)
    assert decision.stop and decision.trouble.reason is Reason.SILENCE


@pytest.mark.parametrize("what", ["malformed", "lost"])
def test_malformed_and_lost_monitors_trip_at_once(what: str) -> None:
    drive = Drive()
    drive.healthy(1)
    if what == "malformed":
        decision = drive.failsafe.malformed("not JSON", drive.now)
        assert decision.trouble.reason is Reason.MALFORMED
    else:
        decision = drive.failsafe.lost(drive.now)
        assert decision.trouble.reason is Reason.SILENCE
    assert decision.stop


@pytest.mark.parametrize("sender", ["", "nobody"])
def test_nonsense_of_an_unknown_sender_stops_until_every_monitor_has_spoken_again(sender: str) -> None:
    drive = Drive(FailSafeSettings(clear_after_s=0.5))
    assert "not JSON" in str(drive.failsafe.malformed("not JSON", drive.now, sender).standing[0])
    drive.say(source="front")
    assert not drive.say(source="rear").stop
    drive.wait(50)
    decision = drive.failsafe.malformed("not JSON", drive.now, sender)
    assert decision.stop and decision.trouble.reason is Reason.MALFORMED
    assert [t.source for t in decision.standing] == ["front", "rear"]
    for _ in range(8):
        drive.wait(100)
        assert drive.say(source="front").stop
    for _ in range(8):
        drive.wait(100)
        drive.say(source="front")
        decision = drive.say(source="rear")
    assert not decision.stop


def test_a_loss_without_a_name_is_held_against_the_monitor_silent_for_longest() -> None:
    failsafe = FailSafe(FailSafeSettings(), now_ns=0)
    assert failsafe.lost(0).startup
    for ms, name in ((10, "front"), (20, "rear"), (60, "front")):
        failsafe.update(Verdict(ms * 10**6, Level.NOMINAL), ms * 10**6, name)
    decision = failsafe.lost(70 * 10**6)
    assert decision.stop and decision.trouble.source == "rear"


def test_recovers_after_the_healthy_interval_and_an_interruption_starts_it_anew() -> None:
    drive = Drive()
    drive.say()
    drive.wait(100)
    drive.say(Level.FAIL_SAFE)
    assert drive.healthy(1.9).stop
    drive.wait(100)
    drive.say(Level.FAIL_SAFE)
    assert drive.healthy(2.0).stop
    recovered = drive.healthy(0.1)
    assert not recovered.stop and recovered.trouble.reason is Reason.RECOVERED


def test_a_latched_stop_needs_an_operator_who_is_refused_while_the_cause_lasts() -> None:
    drive = Drive(FailSafeSettings(latch=True))
    drive.healthy(1)
    drive.wait(100)
    drive.say(Level.FAIL_SAFE)
    refused = drive.failsafe.clear(drive.now)
    assert not refused.granted and "cause lasts" in refused.message and refused.decision.stop
    drive.healthy(1)
    refused = drive.failsafe.clear(drive.now)
    assert not refused.granted and "2 s of healthy verdicts" in refused.message
    assert drive.healthy(5).clearable and drive.failsafe.decision.stop
    granted = drive.failsafe.clear(drive.now)
    assert granted.granted and not granted.decision.stop
    assert drive.failsafe.clear(drive.now).granted


def test_disabling_masks_the_output_and_loses_no_stop() -> None:
    drive = Drive(FailSafeSettings(latch=True))
    drive.healthy(1)
    drive.wait(100)
    drive.say(Level.FAIL_SAFE)
    off = drive.failsafe.enable(False, drive.now)
    assert not off.stop and off.level is Level.FAIL_SAFE
    assert off.transition is not None and off.transition.trouble.reason is Reason.DISABLED
    drive.healthy(5)
    assert drive.failsafe.enable(True, drive.now).stop


def test_a_latched_stop_survives_a_restart() -> None:
    drive = Drive(FailSafeSettings(latch=True))
    drive.healthy(1)
    drive.wait(100)
    drive.say(Level.FAIL_SAFE)
    reborn = Drive(drive.failsafe.settings, json.loads(json.dumps(drive.failsafe.state())))
    assert not reborn.failsafe.decision.startup
    assert reborn.healthy(5).stop
    assert reborn.failsafe.clear(reborn.now).granted


def test_a_drive_without_a_stop_starts_up_afresh() -> None:
    drive = Drive()
    drive.healthy(1)
    assert Drive(saved=drive.failsafe.state()).failsafe.decision.startup


@pytest.mark.parametrize(
    "saved", [{}, {"schema": "x", "tripped": True}, {"schema": "edgeguard/failsafe/1", "tripped": 1}]
)
def test_a_saved_state_that_is_none_is_refused(saved: dict[str, object]) -> None:
    with pytest.raises(EdgeGuardError, match="delete it to start afresh"):
        FailSafe(SETTINGS, now_ns=0, saved=saved)


def test_settings_are_refused_with_key_value_bound_and_nearest_key() -> None:
    values = {"latency_budget": 100, "clear_after_s": -1, "latch": 1, "verdict_timeout_ms": float("nan")}
    with pytest.raises(ParameterError) as caught:
        FailSafeSettings.from_mapping(values, "x.param.yaml")
    text = str(caught.value)
    assert "x.param.yaml: 4 invalid" in text
    assert "latency_budget: unknown key; did you mean latency_budget_ms?" in text
    assert "clear_after_s = -1: expected 0 to 3600" in text
    assert "latch = 1: expected true or false" in text
    assert "verdict_timeout_ms = nan: expected a finite number" in text


def test_settings_take_new_values_while_running() -> None:
    drive = Drive()
    drive.healthy(1)
    drive.failsafe.apply(drive.failsafe.settings.updated({"verdict_timeout_ms": 100}, "test"), drive.now)
    assert drive.wait(120).stop


def test_imports_no_numpy_nor_any_other_heavy_library() -> None:
    code = (
        "import sys, edgeguard.failsafe; heavy = {'numpy', 'cv2', 'scipy', 'pydantic', 'yaml', 'rclpy'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
