"""A hole in the sweep: bodies taken away, told from puddles, wet road, dark paint and lost packets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sweeps import LIDAR_HEIGHT, Body, Edit, alarms, by, drive, kitti, rain, wet_road

from edgeguard.checks.lidar_removal import LidarRemoval, LidarRemovalSettings
from edgeguard.scene import SceneBuilder, SceneSettings
from edgeguard.types import Detections, Frame
from edgeguard.verdict import Alarm, Cause, SubjectKind

ONSET_S = 1.0
LEAD = Body(lambda t: (0.0, 9.0))
LEAD_ASIDE = Body(lambda t: (-3.4, 12.0))
LOAD = Body(lambda t: (0.3, 12.0), (1.6, 1.3, 1.2), label=None)
"""A lost load, which no camera has a class for."""


def removed(x: float, near: float, far: float, start: float = ONSET_S) -> Edit:
    """Discard what stands above the road around x right, from near to far ahead."""

    def edit(t: float, xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        inside = (np.abs(xyz[:, 1] + x) < 1.3) & (xyz[:, 0] > near) & (xyz[:, 0] < far)
        return xyz[~(inside & (xyz[:, 2] > -LIDAR_HEIGHT + 0.12) & (t >= start))]

    return edit


@pytest.mark.parametrize("weather", [None, rain])
def test_what_only_lidar_saw_and_lost_is_seen_by_this_check_alone(weather: Edit | None) -> None:
    take = removed(0.3, 11.0, 14.0)

    def edit(t: float, xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return take(t, xyz if weather is None else weather(t, xyz, rng), rng)

    found = alarms(drive([LOAD], 2.0, edit))
    assert by(found) == {"lidar_removal"}
    first, alarm = found[0]
    assert ONSET_S <= first <= ONSET_S + 0.5 and alarm.cause is Cause.LIDAR
    assert alarm.measured["range_m"] == pytest.approx(12.0, abs=1.5)


def test_a_hole_that_takes_two_sweeps_to_grow_to_a_body_is_seen_too() -> None:
    part, whole = removed(1.4, 11.0, 14.0), removed(0.3, 11.0, 14.0, start=ONSET_S + 0.1)
    narrow = Body(lambda t: (0.3, 12.0), (1.2, 1.3, 1.2), label=None)
    found = alarms(drive([narrow], 2.0, lambda t, xyz, rng: whole(t, part(t, xyz, rng), rng)))
    assert "lidar_removal" in by(found)
    assert ONSET_S <= found[0][0] <= ONSET_S + 0.6


def test_a_body_beside_the_lane_leaves_its_shadow_too() -> None:
    parked = Body(lambda t: (3.3, 12.0), (1.6, 1.3, 1.2), boxed=lambda t: t < ONSET_S)
    found = alarms(drive([parked], 2.0, removed(3.3, 11.0, 14.0)))
    assert by(found) == {"lidar_removal"} and found[0][0] <= ONSET_S + 0.5


def test_a_body_taken_from_both_sensors_at_once_leaves_its_shadow() -> None:
    lead = Body(lambda t: (0.3, 12.0), (1.6, 1.3, 1.2), boxed=lambda t: t < ONSET_S)
    found = [(t, a) for t, a in alarms(drive([lead], 2.0, removed(0.3, 11.0, 14.0)))]
    assert by(found) == {"lidar_removal"} and found[0][0] <= ONSET_S + 0.5


def of_tracks(frames: Iterable[Frame]) -> list[tuple[float, Alarm]]:
    found = alarms(frames)
    return [(t, a) for t, a in found if a.check == "lidar_removal" and a.subject.kind is SubjectKind.TRACK]


def test_a_car_too_far_for_its_shadow_goes_from_both_sensors_at_once() -> None:
    parked = Body(lambda t: (3.0, 24.0), boxed=lambda t: t < ONSET_S)
    found = of_tracks(drive([LEAD_ASIDE, parked], 2.0, removed(3.0, 23.0, 29.0)))
    first, alarm = found[0]
    assert ONSET_S <= first <= ONSET_S + 0.5 and alarm.cause is Cause.UNKNOWN and "at once" in alarm.reason


def test_a_car_erased_from_both_with_the_road_behind_it_forged_leaves_no_hole_but_is_missed() -> None:
    erased = Body(lambda t: (3.0 if t < ONSET_S - 0.01 else 90.0, 15.0), boxed=lambda t: t < ONSET_S)
    found = alarms(drive([LEAD_ASIDE, erased], 2.0))
    assert by(found) == {"lidar_removal"}
    assert {a.subject.kind for _, a in found} == {SubjectKind.TRACK}
    assert ONSET_S <= found[0][0] <= ONSET_S + 0.5


def test_what_a_vanished_car_uncovers_and_whose_box_takes_its_identity_does_not_return_it() -> None:
    parked = Body(lambda t: (3.0, 15.0), boxed=lambda t: t < ONSET_S)
    behind = Body(lambda t: (4.6, 23.0), boxed=lambda t: t >= ONSET_S + 0.1)
    found = of_tracks(drive([LEAD_ASIDE, parked, behind], 2.0, removed(3.0, 14.0, 20.0)))
    assert found and ONSET_S <= found[0][0] <= ONSET_S + 0.5


@pytest.mark.parametrize(
    ("lost", "edit"),
    [
        (lambda t: t < ONSET_S, None),
        (lambda t: True, removed(3.0, 23.0, 29.0)),
        (lambda t: t < ONSET_S, removed(3.0, 23.0, 29.0, start=ONSET_S + 0.4)),
    ],
    ids=["camera lapses", "LiDAR lapses", "one after the other"],
)
def test_what_one_sensor_still_held_has_not_vanished(
    lost: Callable[[float], bool], edit: Edit | None
) -> None:
    parked = Body(lambda t: (3.0, 24.0), boxed=lost)
    assert not of_tracks(drive([LEAD_ASIDE, parked], 2.2, edit))


def test_cars_that_pass_behind_others_or_out_of_view_have_not_vanished() -> None:
    behind = Body(lambda t: (6.0 - 5.0 * t, 20.0), boxed=lambda t: abs(6.0 - 5.0 * t + 1.0) > 3.5)
    truck = Body(lambda t: (-0.5, 12.0), (2.5, 3.0, 4.0), "truck")
    passing = Body(lambda t: (-3.5, 18.0 - 8.0 * t), boxed=lambda t: 18.0 - 8.0 * t > 5.0)
    assert not of_tracks(drive([truck, behind, passing], 2.5))


def unseen(frames: Iterable[Frame], until_s: float, held: bool) -> Iterator[Frame]:
    """Let the camera show one picture's boxes from `ONSET_S` on, or nothing at all."""
    stuck: Detections | None = None
    for i, frame in enumerate(frames):
        if frame.detections is not None and ONSET_S - 1e-3 <= i / 10 < until_s:
            stuck = frame.detections if stuck is None else stuck
            frame = replace(frame, detections=replace(stuck, stamp_ns=frame.stamp_ns) if held else None)
        yield frame


@pytest.mark.parametrize("held", [True, False], ids=["frozen", "silent"])
def test_what_drove_on_while_the_camera_showed_nothing_new_has_not_vanished(held: bool) -> None:
    passing = Body(lambda t: (3.5 - 2.5 * max(t - ONSET_S + 0.1, 0.0), 17.0))
    assert not of_tracks(unseen(drive([LEAD_ASIDE, passing], 2.6), ONSET_S + 0.7, held))


def test_one_picture_shown_twice_excuses_nothing() -> None:
    parked = Body(lambda t: (3.0, 24.0), boxed=lambda t: t < ONSET_S + 0.15)
    edit = removed(3.0, 23.0, 29.0, start=ONSET_S + 0.15)
    found = of_tracks(unseen(drive([LEAD_ASIDE, parked], 2.0, edit), ONSET_S + 0.15, held=True))
    assert found and found[0][0] <= ONSET_S + 0.7


def puddle(t: float, xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Still water 6 m long comes nearer at 5 m/s and mirrors every ray away."""
    near = 20.0 - 5.0 * t
    flat = (xyz[:, 2] < -LIDAR_HEIGHT + 0.1) & (np.abs(xyz[:, 1]) < 1.5)
    return xyz[~(flat & (xyz[:, 0] > near) & (xyz[:, 0] < near + 6.0))]


def dark(t: float, xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A body without a return cuts in from the side at 1.5 m/s, 10 m ahead."""
    left = 4.0 - 1.5 * min(t, 2.5)
    bearing, up = -xyz[:, 1] / xyz[:, 0], xyz[:, 2] / xyz[:, 0]
    hidden = (bearing * 10 > left - 0.9) & (bearing * 10 < left + 0.9) & (xyz[:, 0] > 10.0)
    return xyz[~(hidden & (up * 10 < 1.5 - LIDAR_HEIGHT))]


def lost_packet(t: float, xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Once in a while a sector of eight degrees is missing."""
    bearing = np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0]))
    return xyz[~((np.abs(bearing) < 4.0) & (round(t * 10) % 7 == 3))]


@pytest.mark.parametrize("edit", [None, puddle, dark, lost_packet, rain, wet_road])
def test_honest_holes_do_not_alarm(edit: Edit | None) -> None:
    assert "lidar_removal" not in by(alarms(drive([], 3.5, edit)))


def test_a_car_that_leaves_does_not_alarm() -> None:
    leaving = Body(lambda t: (0.0 + 1.5 * t, 9.0 + 6.0 * t))
    assert "lidar_removal" not in by(alarms(drive([leaving], 3.0)))


def test_real_sweeps_have_no_hole(shared: Path) -> None:
    assert "lidar_removal" not in by(alarms(kitti(shared)))


def test_the_car_ahead_taken_from_real_sweeps(shared: Path) -> None:
    found = alarms(kitti(shared, removed(0.3, 5.5, 12.0, start=1.6)))
    first, alarm = next((t, a) for t, a in found if a.check == "lidar_removal")
    assert 1.6 <= first <= 2.1 and alarm.cause is Cause.LIDAR and alarm.subject.kind is SubjectKind.STREAM
    assert abs(alarm.measured["lateral_m"]) < 1.0 and alarm.measured["width_m"] > 1.0


def test_it_says_when_it_could_not_have_told() -> None:
    builder, check = SceneBuilder(SceneSettings()), LidarRemoval(LidarRemovalSettings())
    frame = next(iter(drive([LEAD], 0.1)))
    assert np.isnan(check.score(builder.build(replace(frame, points=None)))[0].score).all()
