"""What a calibration promises, on numbers whose truth is known."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from edgeguard.errors import ParameterError
from edgeguard.evidence import Evidence, EvidenceSettings
from edgeguard.evidence.thresholds import Calibration, Camera, Tail, digest, load, select
from edgeguard.monitor import Monitor, MonitorSettings, digests
from edgeguard.rig import CameraModel, Rig
from edgeguard.types import Frame
from edgeguard.verdict import SubjectKind

TRACK = SubjectKind.TRACK


def tail(peaks: list[float], level: float = 5.0) -> Tail:
    above = tuple(sorted((p for p in peaks if p > level), reverse=True))
    return Tail(
        subjects=100,
        told_s=100.0,
        excursions=len(peaks),
        level=level,
        above=above,
        witnesses=len(above),
        facts=0,
    )


def calibration(**changes: object) -> Calibration:
    settings = MonitorSettings()
    values: dict[str, object] = {
        "made": "2026-01-01", "versions": {"edgeguard": "0"}, "drives": (), "hours": 2.0, "tracks": 5,
        "lidar_objects": 5, "step_s": settings.evidence.step_s,
        "max_step_evidence": settings.evidence.max_step_evidence,
        "digests": {"box_motion": digests(settings)["box_motion"]},
        "tails": {"box_motion": {TRACK: tail([6.0, 7.0, 9.0])}},
    }  # fmt: skip
    return Calibration.model_validate({**values, **changes})


def test_a_short_calibration_keeps_its_promise_on_average_over_calibrations() -> None:
    """The excess of an exponential tail over what n others showed: the rate must not exceed the budget."""
    rng = np.random.default_rng(0)
    scale, per_hour, hours, budget = 8.0, 60.0, 0.5, 1.0
    true = []
    for _ in range(400):
        peaks = 5.0 + rng.exponential(scale, rng.poisson(per_hour * hours))
        height = tail(list(peaks)).threshold(budget, hours, 5.5, 2.5)
        true.append(per_hour * math.exp(-(height - 5.0) / scale))
    assert np.mean(true) <= budget * 1.1
    assert np.median(true) > budget / 10, "no more cautious than need be"


def test_within_the_data_the_expected_rate_is_counted_whatever_the_law() -> None:
    """Over the j-th highest of T hours come j in the next T hours on average: even for a law without mean."""
    rng = np.random.default_rng(0)
    coming = []
    for _ in range(400):
        seen, after = (5.0 + rng.pareto(0.5, rng.poisson(30)) for _ in range(2))
        coming.append(np.count_nonzero(after >= tail(list(seen)).threshold(3.0, 1.0, 5.5, 2.5)))
    assert np.mean(coming) == pytest.approx(3.0, abs=0.45)


def test_rates_fall_with_height_and_never_claim_less_than_was_seen() -> None:
    t = tail([6.0, 8.0, 8.0, 12.0, 30.0, 41.0])
    heights = np.linspace(5, 80, 200)
    rates = [t.rate(h, 0.1, 2.5) for h in heights]
    assert all(a >= b for a, b in zip(rates, rates[1:]))
    assert t.rate(30.0, 0.1, 2.5) >= 20
    for rate in (200.0, 10.0, 0.1):
        assert t.rate(t.threshold(rate, 0.1, 5.5, 2.5), 0.1, 2.5) <= rate * 1.0001


def test_no_single_step_alarms_even_where_nothing_was_ever_strange() -> None:
    made = calibration(tails={"box_motion": {TRACK: tail([])}}, hours=1000.0)
    assert made.thresholds(3600.0, ["box_motion"])["box_motion", TRACK] > made.max_step_evidence


def test_shares_of_the_budget_add_up_to_it() -> None:
    tails = {
        "box_motion": {TRACK: tail([*np.linspace(5.5, 9, 12)])},
        "flow": {TRACK: tail([*np.linspace(20, 80, 16)])},
    }
    made = calibration(tails=tails)
    limits = made.thresholds(4.0, ["box_motion", "flow", "ensemble"])
    assert set(limits) == {("box_motion", TRACK), ("flow", TRACK)}
    total = sum(tails[c][k].rate(h, made.hours, 1.75) for (c, k), h in limits.items())
    assert 0.5 * 4.0 < total <= 4.0


def test_checks_share_one_height_and_a_noisy_one_does_not_lift_the_others() -> None:
    calm = {
        "box_motion": {TRACK: tail([*np.linspace(5.5, 9, 12)])},
        "expansion": {TRACK: tail([5.5, 6.0])},
    }
    made = calibration(tails=calm)
    alone = made.thresholds(1.0, ["box_motion", "expansion", "flow"])
    assert len(set(alone.values())) == 1
    noisy = calibration(tails={**calm, "flow": {TRACK: tail([*np.linspace(50, 300, 16)])}})
    limits = noisy.thresholds(1.0, ["box_motion", "expansion", "flow"])
    assert limits["flow", TRACK] > 300
    assert limits["box_motion", TRACK] < 1.1 * alone["box_motion", TRACK]


def test_a_check_that_could_not_be_measured_keeps_a_small_share() -> None:
    settings = EvidenceSettings()
    measured = Evidence(settings, 20, {("box_motion", TRACK): 12.0})
    assert measured.threshold == pytest.approx(Evidence(settings, 1).threshold - math.log(0.01))


def test_what_was_written_is_what_is_read(tmp_path: Path) -> None:
    made = calibration()
    made.write(tmp_path / "rig")
    assert load(str(tmp_path / "rig")) == made


def test_the_monitor_alarms_at_the_calibrated_height(tmp_path: Path) -> None:
    path = calibration(hours=1000.0).write(tmp_path)
    monitor = Monitor(MonitorSettings(calibration=str(path)))
    limit = load(str(path)).thresholds(monitor.settings.evidence.false_alarms_per_hour, monitor.check_names)
    assert monitor._evidence._thresholds == limit


@pytest.mark.parametrize("general", [False, True])
def test_other_parameters_of_a_check_are_refused_or_fall_back(tmp_path: Path, general: bool) -> None:
    path = calibration(general=general, digests={"box_motion": "other"}).write(tmp_path)
    mine, steps = digests(MonitorSettings()), (0.1, 5.0)
    if general:
        found = select(str(path), mine, *steps)
        assert found is not None and not found.tails
    else:
        with pytest.raises(ParameterError, match="other parameters of box_motion"):
            select(str(path), mine, *steps)
        with pytest.raises(ParameterError, match="box_motion"):
            Monitor(MonitorSettings(calibration=str(path)))


def test_other_steps_of_the_evidence_are_refused(tmp_path: Path) -> None:
    path = calibration().write(tmp_path)
    with pytest.raises(ParameterError, match="evidence"):
        select(str(path), digests(MonitorSettings()), 0.05, 5.0)


def test_another_camera_is_refused(tmp_path: Path) -> None:
    path = calibration(cameras=(Camera(width=1242, height=375, focal_px=721.5),)).write(tmp_path)
    monitor = Monitor(MonitorSettings(calibration=str(path)))
    monitor.step(_frame(1242, 375, 722.0))
    with pytest.raises(ParameterError, match="another camera"):
        monitor.step(_frame(640, 480, 500.0))


def test_another_engine_is_a_misfit() -> None:
    made = calibration(engine="yolox_nano")
    assert made.misfit(engine="ssd") is not None
    assert made.misfit(engine="yolox_nano") is None
    assert calibration(engine="yolox_nano", general=True).misfit(engine="ssd") is None


def test_a_calibration_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(ParameterError, match="no_such"):
        load("no_such")


@pytest.mark.parametrize("text", ["", "[1, 2]", "format: other\n", ":\n\t-", "tails: {}\n"])
def test_a_damaged_calibration_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "scores.yaml").write_text(text)
    with pytest.raises(ParameterError, match="scores.yaml"):
        load(str(tmp_path))


def test_a_digest_changes_with_any_parameter() -> None:
    settings = MonitorSettings()
    motion = settings.checks.box_motion
    name, value = next((k, v) for k, v in motion.model_dump().items() if isinstance(v, float))
    assert digest([motion]) != digest([motion.model_copy(update={name: value * 1.01})])


def _frame(width: int, height: int, focal: float) -> Frame:
    k = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    return Frame(0, 0, rig=Rig(CameraModel("camera", width, height, k), {"camera": np.eye(4)}))
