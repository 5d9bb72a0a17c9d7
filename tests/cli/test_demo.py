from __future__ import annotations

from typing import Any

from edgeguard.cli.demo import AFTER_NS, ATTACKS, DURATION_S, caught
from edgeguard.redteam.inject import Outcome
from edgeguard.redteam.registry import KINDS

ONSET, END = 2 * 10**9, 3 * 10**9


def event(stamp_ns: int, *alarms: tuple[str, int]) -> dict[str, Any]:
    told = [{"check": c, "cause": "camera", "subject": {"kind": "track", "id": i}} for c, i in alarms]
    return {"stamp_ns": stamp_ns, "level": "CAUTION", "alarms": told}


def outcome() -> Outcome:
    return Outcome("hide", ONSET, END, 10, 10, None)


def test_the_first_new_alarm_after_the_onset_is_the_catch() -> None:
    events = [event(ONSET - 1, ("old", 1)), event(ONSET, ("old", 1)), event(ONSET + 250_000_000, ("new", 2))]
    catch = caught(events, outcome())
    assert catch is not None
    assert (catch.check, catch.after_ms, catch.level) == ("new", 250.0, "CAUTION")


def test_an_alarm_that_stood_before_catches_nothing() -> None:
    assert caught([event(ONSET - 1, ("old", 1)), event(ONSET + 1, ("old", 1))], outcome()) is None


def test_the_same_check_on_another_subject_does() -> None:
    assert caught([event(ONSET - 1, ("old", 1)), event(ONSET + 1, ("old", 2))], outcome()) is not None


def test_an_alarm_long_after_the_end_is_not_the_attacks() -> None:
    assert caught([event(END + AFTER_NS + 1, ("late", 1))], outcome()) is None


def test_every_attack_shown_is_one_there_is_and_none_overlap() -> None:
    assert {kind for kind, _ in ATTACKS} <= set(KINDS)
    starts = [start for _, start in ATTACKS]
    assert all(b - a > DURATION_S + AFTER_NS / 1e9 for a, b in zip(starts, starts[1:]))
