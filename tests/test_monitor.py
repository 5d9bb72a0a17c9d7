"""The monitor as a whole: order, deadline, changes while driving, and equal verdicts for equal drives."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgeguard import snapshot, sweep
from edgeguard.config import updated
from edgeguard.errors import ParameterError
from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.rig import CameraModel
from edgeguard.types import Detections, Frame, Image
from edgeguard.verdict import Level, Verdict
from tests.checks import sweeps
from tests.checks.stage import CLASSES, RIG, START_NS, Thing, drive

SETTINGS = MonitorSettings(calibration="none")


def lost_by_the_camera(seconds: float = 3.0) -> Iterable[Frame]:
    """A car ahead that both sensors hold, and that the camera loses after two seconds."""
    car = Thing("car", lambda t: (0.2, 12.0), score=lambda t: 0.9 if t < 2.0 else 0.01)
    return drive([car, Thing("car", lambda t: (-6.0, 20.0))], seconds)


def run(monitor: Monitor, frames: Iterable[Frame]) -> list[Verdict]:
    return [monitor.step(frame) for frame in frames]


def test_a_clean_drive_is_nominal_and_every_check_says_what_it_could_tell() -> None:
    monitor = Monitor(SETTINGS)
    verdicts = run(monitor, drive([Thing("car", lambda t: (0.2, 12.0 + t))], 3.0))
    assert {v.level for v in verdicts} == {Level.NOMINAL}
    assert set(verdicts[-1].coverage) == set(monitor.check_names)
    assert verdicts[-1].coverage["object_agreement"].passed >= 1
    assert verdicts[-1].coverage["lidar_support"].unobservable == 1, "there are no points to count"


def test_a_car_that_only_lidar_still_sees_stops_the_vehicle_within_half_a_second() -> None:
    verdicts = run(Monitor(SETTINGS), lost_by_the_camera())
    stopped = [v for v in verdicts if v.level is Level.FAIL_SAFE]
    assert stopped, [str(a.reason) for v in verdicts for a in v.alarms]
    assert (stopped[0].stamp_ns - START_NS) * 1e-9 <= 2.5
    alarm = stopped[0].alarms[0]
    assert (alarm.check, alarm.cause.value) == ("object_agreement", "camera")
    assert abs((alarm.onset_ns - START_NS) * 1e-9 - 2.0) <= 0.11
    assert alarm.evidence >= alarm.threshold


def test_the_same_drive_gives_the_same_bytes() -> None:
    def lines() -> list[str]:
        return [v.to_json() for v in run(Monitor(SETTINGS), lost_by_the_camera())]

    assert lines() == lines()


def test_after_a_reset_nothing_is_remembered() -> None:
    monitor = Monitor(SETTINGS)
    first = [v.to_json() for v in run(monitor, lost_by_the_camera())]
    monitor.reset()
    assert [v.to_json() for v in run(monitor, lost_by_the_camera())] == first


def test_past_the_deadline_checks_are_skipped_and_said_so_but_streams_are_looked_at() -> None:
    monitor = Monitor(SETTINGS)
    (frame,) = drive([Thing("car", lambda t: (0.0, 12.0))], 0.1)
    verdict = monitor.step(frame, deadline_ns=time.monotonic_ns() - 1)
    assert verdict.skipped == set(monitor.check_names) - {"stream_integrity"}
    assert verdict.coverage["stream_integrity"].skipped == 0


def test_checks_skipped_on_the_vehicle_are_skipped_in_its_replay() -> None:
    (frame,) = drive([Thing("car", lambda t: (0.0, 12.0))], 0.1)
    verdict = Monitor(SETTINGS).step(frame, skip=frozenset({"class_stability"}))
    assert verdict.skipped == {"class_stability"}


def test_a_parameter_that_changes_forgets_no_standing_alarm() -> None:
    monitor = Monitor(SETTINGS)
    frames = list(lost_by_the_camera())
    before = run(monitor, frames[:26])[-1]
    assert before.alarms
    monitor.apply(updated(SETTINGS, {"checks.class_stability.memory_s": 7.0}, "test"))
    after = monitor.step(frames[26])
    assert [(a.check, a.subject.id) for a in after.alarms] == [(a.check, a.subject.id) for a in before.alarms]


def test_a_larger_budget_of_false_alarms_alarms_sooner() -> None:
    def first_alarm(budget: float) -> int:
        settings = updated(SETTINGS, {"evidence.false_alarms_per_hour": budget}, "test")
        return next(v.stamp_ns for v in run(Monitor(settings), lost_by_the_camera()) if v.alarms)

    assert first_alarm(3600.0) < first_alarm(0.001)


def test_a_bad_parameter_is_refused_with_its_bound() -> None:
    with pytest.raises(ParameterError, match=r"evidence\.false_alarms_per_hour = 0.*greater than 0"):
        updated(SETTINGS, {"evidence.false_alarms_per_hour": 0}, "test")


def test_a_flood_of_boxes_and_a_huge_picture_are_bounded() -> None:
    rng = np.random.default_rng(0)
    monitor = Monitor(SETTINGS)
    for i in range(5):
        stamp = START_NS + i * 100_000_000
        xy = rng.uniform(0, 1000, (5000, 2))
        boxes = np.concatenate([xy, xy + rng.uniform(5, 300, (5000, 2))], axis=1).astype(np.float32)
        found = Detections(
            stamp, boxes, rng.uniform(0, 1, 5000).astype(np.float32), np.zeros(5000, np.int32), CLASSES
        )
        picture = Image(stamp, "camera_optical", np.zeros((2160, 3840, 3), np.uint8))
        verdict = monitor.step(Frame(stamp, stamp, picture, found, rig=RIG))
    limit = SETTINGS.scene.camera_tracker.max_detections
    assert sum(c.passed + c.failed + c.unobservable for c in verdict.coverage.values()) < 40 * 2 * limit


@pytest.mark.parametrize("values", [[np.nan] * 4, [np.inf] * 4, [5.0, 5.0, 5.0, 5.0], [9.0, 9.0, 1.0, 1.0]])
def test_boxes_that_are_none_are_passed_over(values: list[float]) -> None:
    found = Detections(
        START_NS,
        np.array([values], np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.int32),
        CLASSES,
    )
    verdict = Monitor(SETTINGS).step(Frame(START_NS, START_NS, None, found, rig=RIG))
    assert verdict.coverage["box_motion"].unobservable == 0


def foreseen(frame: Frame, **known: object) -> Frame:
    """What an assembler knows of a frame before its detections."""
    known = {"image": frame.image, "points": frame.points} | known
    return Frame(frame.stamp_ns, frame.now_ns, rig=frame.rig, **known)  # type: ignore[arg-type]


def test_what_is_computed_early_changes_no_score(shared: Path) -> None:
    def scores(prepare: Callable[[Monitor, Frame], None]) -> list[tuple[str, bytes]]:
        told: list[tuple[str, bytes]] = []
        monitor = Monitor(SETTINGS, observer=lambda _, check, s: told.append((check, s.score.tobytes())))
        for frame in frames:
            prepare(monitor, frame)
            monitor.step(frame)
        return told

    frames, chance = list(itertools.islice(sweeps.kitti(shared), 12)), random.Random(0)
    frames[8:8] = [replace(frames[7], stamp_ns=frames[7].stamp_ns + 1, image=frames[8].image)]
    others = [frames[0], *frames]

    def by_fits_and_starts(monitor: Monitor, frame: Frame) -> None:
        other = others[frames.index(frame)]
        for _ in range(chance.randrange(3)):
            # In time or not, and with an image or a sweep that does not come to be in the frame.
            points = chance.choice([frame.points, other.points, None])
            image = chance.choice([frame.image, other.image, None])
            late = itertools.chain([False] * chance.randrange(9), itertools.repeat(True)).__next__
            monitor._builder.prepare(foreseen(frame, points=points, image=image), late)

    honest = scores(lambda *_: None)
    assert scores(lambda monitor, frame: monitor.prepare(foreseen(frame))) == honest
    assert scores(by_fits_and_starts) == honest


def test_what_was_computed_early_is_not_computed_again(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def count(owner: object, name: str) -> None:
        real = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, **k: (done.append(name), real(*a, **k))[1])

    count(CameraModel, "view")
    count(sweep, "fit_ground")
    count(sweep, "cluster")
    count(sweep, "look")
    monitor, frames = Monitor(SETTINGS), list(itertools.islice(sweeps.kitti(shared), 3))
    for frame in frames:
        monitor.prepare(foreseen(frame))
        early = sorted(done)
        verdict = monitor.step(frame)
        # Of the first frame of a camera, only the picture is looked at early: its ground is not known yet.
        assert sorted(done) == ["cluster", "fit_ground", "look", "view"]
        assert early == (sorted(done) if frame is not frames[0] else [])
        assert verdict.stage_ms["early"] > 0
        done.clear()


def test_past_the_deadline_nothing_is_computed_early(shared: Path) -> None:
    monitor, frames = Monitor(SETTINGS), list(itertools.islice(sweeps.kitti(shared), 2))
    monitor.step(frames[0])
    monitor.prepare(foreseen(frames[1]), deadline_ns=time.monotonic_ns() - 1)
    assert not vars(monitor._builder.picture(frames[1])).keys() & {"pixels", "half", "gray"}
    assert "view" not in vars(monitor._builder.sweep(frames[1]))


def test_a_snapshot_holds_nothing_that_was_computed_early(shared: Path) -> None:
    monitor, frames = Monitor(SETTINGS), list(itertools.islice(sweeps.kitti(shared), 4))
    for frame in frames[:3]:
        monitor.step(frame)
    without = snapshot.dump(monitor, frames[2].stamp_ns)
    monitor.prepare(foreseen(frames[3]))
    data = snapshot.dump(monitor, frames[2].stamp_ns)
    assert len(data) < len(without) + 1000
    again = snapshot.restore(data, Monitor(SETTINGS))
    assert again.step(frames[3]).to_json() == monitor.step(frames[3]).to_json()


def test_a_stop_is_told_before_the_checks_behind_it_and_once_a_frame() -> None:
    monitor, at = Monitor(SETTINGS), []
    for frame in lost_by_the_camera():
        said: list[Verdict] = []
        verdict = monitor.step(frame, on_stop=said.append)
        assert len(said) == (verdict.level is Level.FAIL_SAFE)
        for first in said:
            at.append(list(first.coverage))
            assert (first.stamp_ns, first.level, first.has_image) == (frame.stamp_ns, Level.FAIL_SAFE, True)
            known = [a.to_dict() for a in verdict.alarms]
            assert first.alarms and all(a.to_dict() in known for a in first.alarms)
            assert first.stage_ms["total"] <= verdict.stage_ms["total"]
    assert at[0] == ["stream_integrity", "object_agreement"], "it alarms in the second check"
    assert [v.to_json() for v in run(Monitor(SETTINGS), lost_by_the_camera())][-1] == verdict.to_json()
