from __future__ import annotations

from edgeguard.report.drive import MAX_PICTURES, MAX_PICTURES_PER_CHECK
from edgeguard.verdict import Level

from .conftest import STEP, Drive, alarm


def test_an_alarm_that_lasts_is_one_episode_with_its_first_last_and_worst(drive: Drive) -> None:
    rising = [alarm(evidence=e) for e in (4.0, 9.0, 5.0)]
    record = drive.frames([[], *([a] for a in rising), []])
    (episode,) = record.episodes
    assert episode.frames == 3
    assert episode.first.evidence == 4.0 and episode.worst.evidence == 9.0
    assert episode.last_stamp_ns - episode.first_stamp_ns == 2 * STEP
    assert record.alarm_frames == {"lidar_support": 3}


def test_a_flicker_goes_on_and_a_return_after_the_gap_is_a_new_one(drive: Drive) -> None:
    drive.frame(alarm())
    drive.frame()
    drive.frame(alarm())
    drive.frame(alarm(), wait_s=1.0)
    assert [e.frames for e in drive.record.episodes] == [2, 1]
    assert drive.record.episodes_per_check() == {"lidar_support": 2}


def test_each_subject_and_check_has_its_own_episode(drive: Drive) -> None:
    record = drive.frames([[alarm(), alarm(track=8), alarm("depth_agreement")]] * 2)
    assert record.episodes_per_check() == {"depth_agreement": 1, "lidar_support": 2}
    assert record.alarm_frames == {"depth_agreement": 2, "lidar_support": 2}


def test_checks_without_alarm_are_counted_as_zero(drive: Drive) -> None:
    assert drive.frames([[]]).episodes_per_check() == {"lidar_support": 0}


def test_hold_at_start_up_is_no_fail_safe(drive: Drive) -> None:
    record = drive.frames([[]] * 5)
    assert not record.reached_fail_safe
    assert record.level_frames == {"NOMINAL": 5, "CAUTION": 0, "FAIL_SAFE": 0}


def test_a_drive_that_is_never_let_go_is_a_fail_safe(drive: Drive) -> None:
    for _ in range(3):
        drive.frame(alarm(level=Level.FAIL_SAFE), image=False, silent=True)
    assert not drive.record.left_startup
    assert drive.record.reached_fail_safe
    assert drive.record.ticks == 3 and drive.record.frames == 0


def test_levels_are_those_of_the_vehicle_not_of_the_single_verdict(drive: Drive) -> None:
    record = drive.frames([[], [alarm(level=Level.FAIL_SAFE)], [], []])
    assert record.reached_fail_safe
    assert record.level_frames["FAIL_SAFE"] == 3  # recovery takes longer than two healthy frames
    assert list(record.verdict_level) == [0, 2, 0, 0]


def test_coverage_adds_up(drive: Drive) -> None:
    record = drive.frames([[], [alarm()]])
    assert record.coverage["lidar_support"] == {"pass": 4, "fail": 1, "unobservable": 2, "skipped": 0}


def test_pictures_are_bounded(drive: Drive) -> None:
    for i in range(40):
        drive.frame(*(alarm(f"check_{c}", track=i * 10 + c) for c in range(6)))
    kept = [e for e in drive.record.episodes if e.picture]
    assert len(kept) == MAX_PICTURES
    assert max(sum(e.first.check == f"check_{c}" for e in kept) for c in range(6)) <= MAX_PICTURES_PER_CHECK


def test_no_picture_without_an_image(drive: Drive) -> None:
    drive.frame(alarm(), image=False)
    assert drive.record.episodes[0].picture is None
