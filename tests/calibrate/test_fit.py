"""From drives to thresholds, to what they cost, and to simulated hours."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeguard.calibrate import trade
from edgeguard.calibrate.drive import Course, DriveLog, observe
from edgeguard.calibrate.fit import alarms, certify, fit
from edgeguard.calibrate.simulate import Generator
from edgeguard.errors import EdgeGuardError
from edgeguard.evidence import EvidenceSettings
from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.redteam.objects import Label, plan
from edgeguard.types import Frame
from edgeguard.verdict import SubjectKind
from tests.calibrate.conftest import Drive
from tests.checks import stage

KEY = ("box_motion", SubjectKind.TRACK)


def log(name: str, seed: int, *, minutes: float = 10.0) -> DriveLog:
    """Return a drive whose tracks are strange for a while now and then, in spells of random length."""
    rng = np.random.default_rng(seed)
    frames = round(minutes * 600)
    out = DriveLog(name, [i * 100_000_000 for i in range(frames)])
    begin = np.arange(0, frames - 60, 10)
    n = len(begin)
    score, evidence = np.zeros((n, 50)), np.zeros((n, 51))
    bad = np.zeros(n, bool)
    for t in range(50):
        bad = rng.random(n) < np.where(bad, 0.6, 0.02)
        score[:, t] = rng.exponential(np.where(bad, 6.0, 0.3))
        gain = np.minimum(math.log(0.1) + 0.9 * score[:, t], 5.0)
        evidence[:, t + 1] = np.maximum(evidence[:, t] + gain, 0.0)
    dt_s, box = np.full(50, 0.1), np.zeros((50, 4))
    out.courses[KEY] = {
        i: Course(np.arange(50) + begin[i], dt_s, score[i], evidence[i, 1:], box) for i in range(n)
    }
    return out


@pytest.fixture(scope="module")
def world() -> DriveLog:
    """Twenty hours of the world that `log` draws from."""
    return log("world", 99, minutes=1200.0)


@pytest.mark.parametrize("budget", [10.0, 1.0, 0.1])
def test_twenty_hours_keep_to_the_budget_fitted_on_twenty_minutes(world: DriveLog, budget: float) -> None:
    made = fit([log("a", 1), log("b", 2)], MonitorSettings(), made="")
    limits = made.thresholds(budget, ["box_motion"])
    count = alarms(world, limits)
    assert count <= budget * world.hours + 2 * math.sqrt(budget * world.hours)
    assert alarms(world, {KEY: 0.4 * limits[KEY]}) > budget * world.hours, "the threshold is what keeps it"


def test_the_generator_repeats_itself_and_is_no_milder_than_its_world(world: DriveLog) -> None:
    generator = Generator([log("a", 1), log("b", 2)], EvidenceSettings())
    for height in (12.0, 28.0):
        rate = sum(generator.alarms({KEY: height}, 2.0, 0).values()) / 2.0
        assert rate == sum(generator.alarms({KEY: height}, 2.0, 0).values()) / 2.0
        true = alarms(world, {KEY: height}) / world.hours
        assert 0.6 * true < rate < 4.0 * true


def test_certainty_is_that_of_the_poisson_law() -> None:
    assert certify(0, 1.0) == pytest.approx(-math.log(0.05), rel=1e-6)
    assert certify(0, 10.0) == pytest.approx(0.29957, rel=1e-4)
    assert certify(3, 1.0) == pytest.approx(7.7537, rel=1e-4)


def test_the_pictures_of_the_drives_are_what_later_ones_are_held_against(tmp_path: Path) -> None:
    """Ten seconds by day, then by night: the calibration tells both apart, without a parameter typed."""
    rng = np.random.default_rng(3)
    street = np.kron(rng.integers(40, 200, (12, 40, 3)), np.ones((32, 32, 1))).astype(np.uint8)
    street = street[: stage.HEIGHT, : stage.WIDTH]
    car = stage.Thing("car", lambda t: (0.0, 15.0))

    def drive(gain: float) -> list[Frame]:
        shown = {"image": lambda t: cv2.convertScaleAbs(street, alpha=gain)}
        return list(stage.drive([car], 8.0, lidar=False, **shown))

    day = [observe(n, drive(gain), MonitorSettings()) for n, gain in (("a", 0.95), ("b", 1.05))]
    path = fit(day, MonitorSettings(), made="").write(tmp_path)
    for gain, strange in ((1.0, False), (0.15, True)):
        monitor = Monitor(MonitorSettings(calibration=str(path)))
        alarms_of = {a.check for f in drive(gain) for a in monitor.step(f).alarms}
        assert ("input_distribution" in alarms_of) == strange
    general = fit(day, MonitorSettings(), made="", general=True).write(tmp_path / "general")
    monitor = Monitor(MonitorSettings(calibration=str(general)))
    assert not [a for f in drive(0.15) for a in monitor.step(f).alarms if a.check == "input_distribution"]


def test_no_drive_is_an_error() -> None:
    with pytest.raises(EdgeGuardError, match="longer drives"):
        fit([DriveLog("empty")], MonitorSettings(), made="")


def test_what_is_observed_is_what_the_monitor_accumulates(drive: Drive) -> None:
    """Up to its threshold, evidence with a threshold and without is the same."""
    frames, settings = drive(5.0, lost=(3.0, 4.5)), MonitorSettings()
    watched = observe("x", frames, settings)
    monitor = Monitor(settings)
    first = next(
        (i, a) for i, f in enumerate(frames) for a in monitor.step(f).alarms if a.check == "object_agreement"
    )
    course = watched.courses["object_agreement", first[1].subject.kind][first[1].subject.id]
    over = course.frame[course.evidence >= first[1].threshold]
    assert over[0] == first[0]


def test_an_attack_is_caught_where_it_is_and_costs_more_at_a_smaller_budget(drive: Drive) -> None:
    settings = MonitorSettings()
    clean = drive(6.0)
    logs = [observe(n, clean, settings) for n in ("a", "b")]
    attack = plan(clean, "camera_drop", 1, np.random.default_rng(0))[0]
    trial = trade.inject(clean, "a", attack, settings)
    checks = list(type(settings.checks).model_fields)
    curve = trade.curve(logs, [trial], settings, checks, [3000.0, 1e-6])
    assert curve[0].in_time == {"camera_drop": 1.0}
    assert curve[0].p95_s["camera_drop"] is not None
    assert curve[1].in_time == {"camera_drop": 0.0}
    corner = dict.fromkeys(attack.frames, np.array([0.0, 0, 5, 5]))
    elsewhere = Label("camera_drop", attack.label.onset_ns, attack.label.end_ns, corner)
    attacked = observe("a", [attack.frames.get(f.stamp_ns, f) for f in clean], settings)
    far = trade.trial(attacked, elsewhere)
    assert not [r for r in far.rises if r.key[1] is not SubjectKind.STREAM]


def test_debounce_counts_frames_alone(drive: Drive) -> None:
    settings = MonitorSettings()
    logs = [observe("a", drive(5.0, lost=(2.0, 2.8)), settings)]
    points = trade.debounce(logs, [], [5, 8, 9])
    assert [p.alarms for p in points] == [1, 1, 0]


def test_labels_are_read_or_named_wrong(tmp_path: Path) -> None:
    path = tmp_path / "labels.jsonl"
    path.write_text(
        '{"bag": "a", "kind": "hide", "onset_ns": 1, "end_ns": 2, "boxes": [[1, 0, 0, 9, 9]]}\n\n'
    )
    (label,) = trade.read_labels(path)["a"]
    assert label.kind == "hide" and label.boxes[1].tolist() == [0, 0, 9, 9]
    path.write_text('{"bag": "a", "kind": "hide"}\n')
    with pytest.raises(EdgeGuardError, match="labels.jsonl:1"):
        trade.read_labels(path)
