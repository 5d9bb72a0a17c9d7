"""Evidence grows with strangeness, fades when blind, and holds its promise in a benign world."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.checks.base import Scores
from edgeguard.evidence.accumulate import Evidence, EvidenceSettings, Standing
from edgeguard.verdict import Cause, SubjectKind

MS = 1_000_000
TRACK = SubjectKind.TRACK


def feed(
    evidence: Evidence, i: int, scores: dict[int, float], *, check: str = "check", dt_s: float = 0.1
) -> Standing:
    ids = np.array(list(scores), np.int64)
    values = np.array(list(scores.values()), np.float64)
    found = Scores(TRACK, ids, values, (Cause.UNKNOWN,) * len(ids))
    return evidence.update(check, found, round(i * dt_s * 1e9), dt_s)


def fresh(**settings: float) -> Evidence:
    return Evidence(EvidenceSettings(**settings), checks=10)


def plain(history: list[dict[int, float]], threshold: float, cap: float) -> dict[int, float]:
    """The same e-CUSUM subject by subject, for frames 0.1 s apart that all hold every subject."""
    standing: dict[int, float] = {}
    for frame in history:
        for i, score in frame.items():
            before = standing.get(i, 0.0)
            if math.isnan(score):
                standing[i] = before * math.exp(-0.1)
            elif score == math.inf:
                standing[i] = threshold + cap
            else:
                gain = min(math.log(0.1) + 0.9 * score, cap)
                standing[i] = min(max(before + gain, 0.0), threshold + cap)
    return standing


SCORE = st.one_of(st.floats(0, 30), st.just(math.nan), st.just(math.inf))


@given(
    st.lists(st.lists(SCORE, min_size=3, max_size=3), min_size=1, max_size=30), st.permutations([7, 2, 90])
)
def test_it_is_the_plain_e_cusum_in_any_order_of_subjects(rows: list[list[float]], order: list[int]) -> None:
    evidence = fresh()
    history = [dict(zip((7, 2, 90), row)) for row in rows]
    for i, frame in enumerate(history):
        ids = order if i % 2 else [7, 2, 90]
        standing = feed(evidence, i, {k: frame[k] for k in ids})
    wanted = plain(history, standing.threshold, evidence.settings.max_step_evidence)
    np.testing.assert_allclose(standing.evidence, [wanted[k] for k in ids], atol=1e-9)
    assert np.array_equal(standing.raised, standing.evidence >= standing.threshold)


@given(st.lists(st.sets(st.integers(0, 400), max_size=60), min_size=1, max_size=40))
def test_subjects_come_and_go_without_mixing(frames: list[set[int]]) -> None:
    """Odd ones are strange throughout, even ones never: none inherits another's evidence."""
    evidence = fresh()
    for i, ids in enumerate(frames):
        standing = feed(evidence, i, {k: 20.0 if k % 2 else 0.0 for k in ids})
        for k, e in zip(ids, standing.evidence):
            assert (e > 0) == bool(k % 2)


def test_what_left_for_long_begins_anew_and_what_blinked_does_not() -> None:
    evidence = fresh()
    for i in range(3):
        risen = feed(evidence, i, {1: 20.0, 2: 20.0}).evidence
    feed(evidence, 10, {2: 20.0})
    assert feed(evidence, 15, {1: 0.0}).evidence[0] == pytest.approx(risen[0] + math.log(0.1))
    assert feed(evidence, 60, {1: 0.0}).evidence[0] == 0.0


def test_no_single_frame_alarms_but_a_fact() -> None:
    assert not feed(fresh(), 0, {1: 1e9}).raised.any()
    assert feed(fresh(), 0, {1: math.inf}).raised.all()


def test_an_attack_alarms_within_half_a_second_and_names_its_onset() -> None:
    evidence = fresh()
    for i in range(20):
        feed(evidence, i, {1: 0.5})
    raised = [i for i in range(20, 30) if feed(evidence, i, {1: 7.0}).raised[0]]
    assert 20 < raised[0] <= 24
    assert feed(evidence, 30, {1: 7.0}).onset_ns[0] == 2_000_000_000


def test_an_alarm_ends_soon_after_its_cause() -> None:
    evidence = fresh()
    for i in range(100):
        feed(evidence, i, {1: 30.0})
    assert not [feed(evidence, 100 + i, {1: 0.0}).raised[0] for i in range(5)][-1]


@pytest.mark.parametrize("hz", [5, 10, 30, 100])
def test_a_faster_camera_proves_no_more_in_the_same_time(hz: int) -> None:
    evidence = fresh()
    for i in range(hz // 5):
        standing = feed(evidence, i, {1: 5.0}, dt_s=1 / hz)
    assert standing.evidence[0] <= 2 * (math.log(0.1) + 0.9 * 5.0) + 1e-9


@pytest.mark.parametrize("budget", [3600.0, 360.0])
def test_a_benign_world_keeps_to_the_budget(budget: float) -> None:
    """Exponential surprisal is the null; alarms per hour, over 2.8 h of ten subjects, stay in it."""
    rng = np.random.default_rng(5)
    evidence = Evidence(EvidenceSettings(false_alarms_per_hour=budget), checks=1)
    ids, alarms, before, steps = np.arange(1000), 0, np.zeros(1000, bool), 1000
    cause = (Cause.UNKNOWN,) * 1000
    for i in range(steps):
        scores = Scores(TRACK, ids, rng.exponential(size=1000), cause)
        raised = evidence.update("check", scores, i * 100 * MS, 0.1).raised
        alarms += int((raised & ~before).sum())
        before = raised
    hours_of_ten = steps * 0.1 / 3600 * 100
    assert alarms / hours_of_ten <= budget


def test_checks_and_kinds_are_apart_and_a_reset_forgets() -> None:
    evidence = fresh()
    for i in range(4):
        feed(evidence, i, {1: 9.0})
    assert feed(evidence, 4, {1: 0.0}, check="other").evidence[0] == 0.0
    evidence.reset()
    assert feed(evidence, 4, {1: 0.0}).evidence[0] == 0.0
