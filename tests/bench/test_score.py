"""What counts: an attack that held its effect, an alarm that the clean drive did not raise, in its time."""

from __future__ import annotations

from typing import Any

import pytest

from edgeguard.bench import score
from edgeguard.bench.cell import episodes, success
from edgeguard.bench.matrix import Cell, Drive, Role

S = 1_000_000_000
DRIVE = Drive("street-101", scene="street", seed=101)
BOX = [10.0, 10.0, 50.0, 50.0]
ELSEWHERE = [200.0, 10.0, 240.0, 50.0]


def alarm(
    check: str, at_s: float, box: list[float] | None = None, until_s: float | None = None
) -> dict[str, Any]:
    return {
        "check": check,
        "subject": "track 1",
        "cause": "camera",
        "level": "CAUTION",
        "first_ns": round(at_s * S),
        "last_ns": round((until_s or at_s) * S),
        "boxes": [[round(at_s * S), box], [round((until_s or at_s) * S), box]],
        "reason": "",
    }


def result(role: Role, alarms: list[dict[str, Any]], **attack: Any) -> dict[str, Any]:
    kind = attack.pop("kind", "hide") if role is not Role.CLEAN else None
    told = {"onset_ns": 3 * S, "end_ns": 5 * S, "share": 1.0, "effect_ns": 3 * S, **attack}
    return {
        "cell": {**Cell(DRIVE, role, kind).to_dict()},
        "skipped": None,
        "attack": told if kind else None,
        "duration_s": 7.5,
        "trips_ns": [],
        "alarms": alarms,
        "way": [[0, 0.0], [10 * S, 100.0]],
        "times": {},
    }


def tried(
    alarms: list[dict[str, Any]], clean: list[dict[str, Any]] | None = None, **attack: Any
) -> score.Trial:
    (trial,) = score.trials([result(Role.CLEAN, clean or []), result(Role.ATTACK, alarms, **attack)])
    return trial


def test_a_detection_has_its_time_its_way_and_its_check() -> None:
    trial = tried([alarm("flow", 3.4, BOX), alarm("sync", 3.2), alarm("flow", 3.9, BOX)])
    assert trial.detected and trial.alarms == ((0.2, "sync"), (0.4, "flow"))
    assert trial.metres == pytest.approx(2.0)


def test_no_detection_counts_on_an_attack_that_fooled_nobody() -> None:
    trial = tried([alarm("flow", 3.4, BOX)], effect_ns=None)
    assert not trial.fooled and not trial.detected
    row = score.attack_rows([trial], [result(Role.ATTACK, [])])[0]
    assert (row["fooled"], row["detected"], row["detected_share"], row["enough"]) == (0, 0, None, True)


def test_what_the_clean_drive_raises_too_is_no_detection() -> None:
    assert not tried([alarm("flow", 3.4, BOX)], [alarm("flow", 3.3, BOX)]).detected
    assert tried([alarm("flow", 3.4, BOX)], [alarm("flow", 3.3, ELSEWHERE)]).detected
    assert tried([alarm("flow", 3.4, BOX)], [alarm("sync", 3.3, BOX)]).detected
    assert tried([alarm("flow", 4.4, BOX)], [alarm("flow", 3.3, BOX)]).detected
    # A false alarm that moves through the clean drive is the same wherever it is by then.
    moving = {
        **alarm("flow", 3.3, ELSEWHERE, 4.4),
        "boxes": [[round(3.3 * S), ELSEWHERE], [round(4.4 * S), BOX]],
    }
    assert not tried([alarm("flow", 4.4, BOX)], [moving]).detected


def test_alarms_before_the_attack_or_long_after_are_not_its_own() -> None:
    assert not tried([alarm("flow", 2.9, BOX)]).detected
    assert not tried([alarm("flow", 5.6, BOX)]).detected
    assert tried([alarm("flow", 5.5, BOX)]).detected


def test_an_alarm_before_the_effect_is_in_time() -> None:
    trial = tried([alarm("flow", 3.4, BOX)], effect_ns=4 * S)
    assert trial.alarms == ((0.0, "flow"),)


def test_a_row_below_the_bar_is_marked() -> None:
    caught, late, missed = tried([alarm("flow", 3.4)]), tried([alarm("flow", 3.7)]), tried([])
    results = [result(Role.ATTACK, [])]
    assert score.attack_rows([caught], results)[0]["enough"]
    for trials in ([caught, missed], [caught, late]):
        assert not score.attack_rows(trials, results)[0]["enough"]
    row = score.attack_rows([caught, missed], results)[0]
    assert row["missed_on"] == ["street-101"] and row["detected_share"] == 0.5


def test_what_would_be_lost_without_a_check() -> None:
    alone = tried([alarm("flow", 3.4)])
    both = tried([alarm("flow", 3.2), alarm("sync", 4.2)])
    rows = {r["check"]: r for r in score.check_rows([alone, both], ["flow", "sync", "silent"])}
    assert (rows["flow"]["lost_without"], rows["flow"]["late_without"], rows["flow"]["first"]) == (1, 1, 2)
    assert (rows["sync"]["lost_without"], rows["sync"]["alarmed"]) == (0, 1)
    assert rows["silent"]["alarmed"] == 0


def test_benign_alarms_are_counted_by_the_hour_and_short_drives_show_nothing() -> None:
    quiet = result(Role.CLEAN, [])
    loud = result(Role.BENIGN, [alarm("flow", 1.0), alarm("flow", 2.0)], kind="rain")
    rows = {r["condition"]: r for r in score.benign_rows([quiet, loud], 1.0)}
    assert rows["clean"]["alarms"] == 0 and not rows["clean"]["over_budget"] and not rows["clean"]["shown"]
    assert rows["clean: street"]["drives"] == 1
    assert rows["rain"]["per_hour"] == pytest.approx(2 / (7.5 / 3600))
    assert rows["rain"]["over_budget"]


def test_intervals_are_exact() -> None:
    assert score.interval(10, 10) == (pytest.approx(0.6915, abs=1e-3), 1.0)
    assert score.interval(0, 0) == (0.0, 1.0)
    assert score.rate_interval(0, 1.0) == (0.0, pytest.approx(2.996, abs=1e-2))
    low, high = score.rate_interval(3, 1.0)
    assert low == pytest.approx(0.619, abs=1e-2) and high == pytest.approx(8.77, abs=1e-1)


@pytest.mark.parametrize(
    ("had", "expected"),
    [
        ("1111111111", (0, 1.0)),
        ("0011111000", (2, 0.5)),
        ("1111011111", (5, 0.5)),
        ("1111011110", None),
        ("0000000000", None),
        ("", None),
    ],
)
def test_an_attack_succeeds_where_it_holds_for_half_a_second(
    had: str, expected: tuple[int, float] | None
) -> None:
    effects = [(i * S // 10, flag == "1") for i, flag in enumerate(had)]
    won = success(effects)
    assert won == (None if expected is None else (expected[0] * S // 10, expected[1]))


def test_an_alarm_that_returns_within_half_a_second_is_the_same() -> None:
    def event(at_s: float, level: str = "CAUTION") -> dict[str, Any]:
        subject = {"kind": "track", "id": 7, "box": BOX}
        told = {"check": "flow", "subject": subject, "cause": "camera", "level": level, "reason": "why"}
        return {"stamp_ns": round(at_s * S), "alarms": [told]}

    found = episodes([event(1.0), event(1.4, "FAIL_SAFE"), event(2.5), {"stamp_ns": 3 * S, "alarms": []}])
    assert [(e["first_ns"] / S, e["last_ns"] / S, e["level"]) for e in found] == [
        (1.0, 1.4, "FAIL_SAFE"),
        (2.5, 2.5, "CAUTION"),
    ]
