"""One sensor loses, invents or shifts what the other sees; and what looks like that but is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edgeguard.checks import CheckSettings
from edgeguard.checks.object_agreement import ObjectAgreementSettings
from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.replay import replay as replay_bag
from edgeguard.types import EgoMotion, Frame
from edgeguard.verdict import Alarm, Cause, SubjectKind
from tests.checks import sweeps
from tests.checks.stage import START_NS, Thing, alarms, drive, hazy

AHEAD = Thing("car", lambda t: (0.5, 15.0))
ONSET_S = 2.0


def seen_until(end: float, thing: Thing) -> Thing:
    return replace(thing, score=lambda t: 0.9 if t < end else 0.0)


def lidar_loses(frames: Iterable[Frame], index: int, *, since: float = ONSET_S) -> Iterator[Frame]:
    """The frames without one LiDAR object from a time on."""
    for frame in frames:
        found = frame.lidar_detections
        if found is not None and (frame.stamp_ns - START_NS) * 1e-9 >= since - 1e-6:
            frame = replace(frame, lidar_detections=found.select(np.arange(len(found)) != index))
        yield frame


def disagreements(frames: Iterable[Frame]) -> list[tuple[float, Alarm]]:
    return [(t, a) for t, a in alarms(frames) if a.check == "object_agreement"]


def first(frames: Iterable[Frame], kind: SubjectKind, *, onset: float = ONSET_S) -> float:
    """How long after its onset an attack was first told, s; nothing may be told before."""
    found = disagreements(frames)
    assert all(t >= onset for t, _ in found), [(t, a.reason) for t, a in found]
    return min((t for t, a in found if a.subject.kind is kind), default=np.inf) - onset


def test_what_both_hold_is_no_disagreement() -> None:
    beside = Thing("person", lambda t: (3.0, 12.0), width=0.6, height=1.75, length=0.6)
    assert not disagreements(drive([AHEAD, beside], 6.0))


def test_a_car_that_the_camera_loses_in_plain_view() -> None:
    assert first(drive([seen_until(ONSET_S, AHEAD)], 3.0), SubjectKind.LIDAR_OBJECT) <= 0.5


@pytest.mark.parametrize(
    ("image", "told"), [(hazy(20e3), True), (hazy(150.0), False), (hazy(150.0, since=ONSET_S), True)],
    ids=["clear", "fog", "lamp"],
)  # fmt: skip
def test_a_car_that_the_camera_loses_in_fog_is_no_disagreement(
    image: Callable[[float], np.ndarray], told: bool
) -> None:
    lost = seen_until(ONSET_S, AHEAD)
    assert (first(drive([lost], 3.0, image=image), SubjectKind.LIDAR_OBJECT) <= 0.5) == told


def test_what_lidar_loses_in_fog_is_told() -> None:
    """The camera sees it, so the air does not hide it."""
    assert first(lidar_loses(drive([AHEAD], 3.0, image=hazy(150.0)), 0), SubjectKind.TRACK) <= 0.5


def test_a_car_that_lidar_loses_in_plain_view() -> None:
    assert first(lidar_loses(drive([AHEAD], 3.0), 0), SubjectKind.TRACK) <= 0.5


@pytest.mark.parametrize("lost", ["camera", "lidar"])
def test_a_neighbour_is_no_excuse_for_one_that_is_gone(lost: str) -> None:
    # Partly behind the lost one and half as far again: its box covers a good part of the other's.
    neighbour = Thing("car", lambda t: (1.3, 19.0))
    if lost == "camera":
        frames: Iterable[Frame] = drive([seen_until(ONSET_S, AHEAD), neighbour], 3.0)
        assert first(frames, SubjectKind.LIDAR_OBJECT) <= 0.5
    else:
        frames = lidar_loses(drive([AHEAD, neighbour], 3.0), 0)
        assert first(frames, SubjectKind.TRACK) <= 0.5


def test_a_car_behind_is_not_the_one_that_lidar_lost() -> None:
    """Its outline fits as well, but LiDAR knew that the lost one stood 5 m nearer."""
    front = Thing("car", lambda t: (0.5, 28.0))
    behind = Thing("car", lambda t: (0.5, 33.0), score=lambda t: 0.0)
    assert first(lidar_loses(drive([front, behind], 3.0), 0), SubjectKind.TRACK) <= 0.5


def test_people_side_by_side_have_a_box_each_where_they_do_not_overlap() -> None:
    row = [Thing("person", lambda t, x=x: (x, 12.0), 0.6, 1.75, 0.6) for x in (-1.2, 0.0, 1.2)]
    row[1] = seen_until(ONSET_S, row[1])
    assert first(drive(row, 3.0), SubjectKind.LIDAR_OBJECT) <= 0.5


def test_one_held_half_hidden_may_be_missed_just_as_well() -> None:
    behind, front = Thing("car", lambda t: (1.6, 22.0)), Thing("car", lambda t: (0.4, 14.0))
    assert first(drive([seen_until(ONSET_S, behind), front], 3.0), SubjectKind.LIDAR_OBJECT) <= 0.5


@pytest.mark.parametrize("slide", [-1.0, 1.0])
def test_a_box_that_slides_off_its_object(slide: float) -> None:
    width_px = 1.7 * 720 / 13
    moved = replace(AHEAD, shift_px=lambda t: slide * width_px * max(0.0, t - ONSET_S + 0.1))
    found = disagreements(drive([moved], 3.0))
    assert found and ONSET_S <= found[0][0] <= ONSET_S + 0.5
    assert "slid off" in found[0][1].reason


def test_a_box_that_slides_behind_a_neighbour_takes_no_body_there() -> None:
    width_px = 1.7 * 720 / 15
    moved = Thing("car", lambda t: (-0.5, 17.0), shift_px=lambda t: width_px * max(0.0, t - ONSET_S + 0.1))
    lorry = Thing("truck", lambda t: (0.95, 11.0), width=2.5, height=3.0, length=6.0)
    found = disagreements(drive([moved, lorry], 2.6))
    assert found and ONSET_S <= found[0][0] <= ONSET_S + 0.5
    assert "slid off" in found[0][1].reason


@pytest.mark.parametrize(
    ("widths_a_s", "z", "score"),
    [(1.2, 20.5, 0.9), (1.4, 25.0, 0.0)],
    ids=["one with a box of its own", "one too far off for so high a box"],
)
def test_a_box_that_slides_onto_another_thing_is_not_that_things(
    widths_a_s: float, z: float, score: float
) -> None:
    """Who lies on another thing may be that thing's box, by a change of identity; not one of these."""
    width_px = 1.7 * 720 / 15
    moved = Thing(
        "car", lambda t: (-2.6, 17.0), shift_px=lambda t: widths_a_s * width_px * max(0.0, t - ONSET_S + 0.1)
    )
    x = (-2.6 * 720 / 15 + 0.4 * width_px) * (z - 2.0) / 720
    other = Thing("car", lambda t: (x, z), 1.7 if score else 2.55, score=lambda t: score)
    assert first(drive([moved, other], 2.8), SubjectKind.TRACK) <= 0.5


def test_a_box_that_slides_out_of_the_picture() -> None:
    width_px = 1.7 * 720 / 7
    moved = Thing("car", lambda t: (-4.8, 9.0), shift_px=lambda t: -width_px * max(0.0, t - ONSET_S + 0.1))
    found = disagreements(drive([moved], 2.6))
    assert found and ONSET_S <= found[0][0] <= ONSET_S + 0.5
    assert found[0][1].subject.kind is SubjectKind.TRACK


@pytest.mark.parametrize(
    ("faint", "at", "excused"),
    [
        ("person", (1.2, 12.0), False),
        ("car", (1.2, 12.0), True),
        ("car", (-0.5, 17.0), True),
        ("car", (1.2, 17.0), False),
    ],
)
def test_a_faint_thing_explains_a_ghost_only_if_it_may_be_it(
    faint: str, at: tuple[float, float], excused: bool
) -> None:
    """A detector that doubted a car there may come to see it, or what came on fast and straight."""
    ghost = Thing("car", lambda t: (-1.0, 12.0), score=lambda t: 0.0)
    beside = Thing(faint, lambda t: at, width=0.6, height=1.7, length=0.6, score=lambda t: 0.0)
    frames = []
    for i, frame in enumerate(drive([ghost, beside], ONSET_S + 0.8)):
        found = frame.lidar_detections
        assert found is not None
        score = np.array([0.99 if i >= ONSET_S * 10 else 0.0, 0.4 if i < ONSET_S * 10 else 0.0], np.float32)
        frames.append(replace(frame, lidar_detections=replace(found, score=score).select(score > 0)))
    told = [t for t, a in disagreements(frames) if a.subject.kind is SubjectKind.LIDAR_OBJECT]
    assert bool(told) is not excused
    assert excused or told[0] <= ONSET_S + 0.5


def test_a_box_that_only_grows_has_not_slid() -> None:
    grown = replace(AHEAD, scale=lambda t: 1.0 + 0.25 * np.clip(t - ONSET_S, 0, 1))
    assert not disagreements(drive([grown], 4.0))


def test_a_car_that_only_the_camera_sees() -> None:
    ghost = Thing("car", lambda t: (0.5, 15.0), score=lambda t: 0.9 if t >= ONSET_S else 0.0)
    other = Thing("car", lambda t: (-6.0, 20.0))
    assert first(lidar_loses(drive([other, ghost], 3.0), 1, since=0.0), SubjectKind.TRACK) <= 0.5


def test_what_the_camera_hardly_believed_in_may_go() -> None:
    doubted = replace(AHEAD, score=lambda t: 0.32 if t < ONSET_S else 0.0)
    assert not disagreements(drive([doubted], 2.6))


def test_what_the_camera_was_about_to_let_go_of_may_go() -> None:
    """Sure for seconds, doubted in the last frames: the last score says more than the mean."""
    fading = replace(AHEAD, score=lambda t: 0.9 if t < 1.8 else 0.3 if t < ONSET_S else 0.0)
    assert not disagreements(drive([fading], 3.0))


def test_what_overtakes_comes_into_view_without_having_stood_up_there() -> None:
    """A car that the camera never boxes, first held where it enters the picture from the right."""
    passing = Thing("car", lambda t: (4.1, 7.6 + 8.0 * (t - ONSET_S)), score=lambda t: 0.0)
    late = (f for f in drive([AHEAD, passing], 4.0))
    frames = [
        f if (f.stamp_ns - START_NS) * 1e-9 >= ONSET_S else next(lidar_loses([f], 1, since=0)) for f in late
    ]
    assert not disagreements(frames)


def test_a_person_that_stands_in_it_does_not_bear_out_a_car() -> None:
    ghost = Thing("car", lambda t: (0.5, 15.0), score=lambda t: 0.9 if t >= ONSET_S else 0.0)
    person = Thing("person", lambda t: (0.8, 14.0), 0.6, 1.75, 0.6, score=lambda t: 0.0)
    assert first(lidar_loses(drive([person, ghost], 3.0), 1, since=0.0), SubjectKind.TRACK) <= 0.5


def test_what_lidar_found_if_only_for_a_moment_is_no_invention() -> None:
    far = Thing("car", lambda t: (0.5, 27.0))

    def flickers(frames: Iterable[Frame]) -> Iterator[Frame]:
        for i, frame in enumerate(frames):
            yield next(lidar_loses([frame], 0, since=1e9 if i % 7 == 3 else 0.0))

    assert not disagreements(flickers(drive([far], 4.0)))


def test_one_that_passes_behind_another_may_go() -> None:
    behind = Thing("car", lambda t: (0.5, 25.0), score=lambda t: 0.9 if t < 1.7 else 0.0)
    front = Thing("truck", lambda t: (min(0.5, -6.0 + 3.8 * t), 10.0), width=2.5, height=3.0, length=6.0)
    assert not disagreements(drive([behind, front], 4.0))


@pytest.mark.parametrize("name", ["kitti_0002", "kitti_0014", "kitti_0016"])
def test_turns_and_groups_of_people_raise_nothing(shared: Path, tmp_path: Path, name: str) -> None:
    """Where identities slip: a turn shifts boxes by their own width a frame, people walk side by side."""
    summary = replay_bag(shared / "data" / "kitti_tracking" / name, out=tmp_path / "out")
    assert summary.alarms["object_agreement"] == 0


def test_absent_lidar_is_unobservable() -> None:
    drop: Callable[[float], float] = lambda t: 0.9 if t < ONSET_S else 0.0  # noqa: E731
    assert not disagreements(drive([replace(AHEAD, score=drop)], 3.0, lidar=False))


def partly_boxed(share: float, score: float, seconds: float) -> Iterator[Frame]:
    """A car in raw sweeps of which the camera boxes but an upper part, from the onset on."""
    for i, frame in enumerate(sweeps.drive([sweeps.Body(lambda t: (0.3, 10.0))], seconds)):
        found = frame.detections
        assert found is not None
        if i >= round(ONSET_S * 10):
            xyxy = found.xyxy.copy()
            xyxy[:, 3] = xyxy[:, 1] + share * (xyxy[:, 3] - xyxy[:, 1])
            frame = replace(
                frame, detections=replace(found, xyxy=xyxy, score=np.full_like(found.score, score))
            )
        yield frame


def test_a_faint_box_on_half_a_car_is_not_that_car() -> None:
    found = sweeps.alarms(partly_boxed(0.42, 0.4, ONSET_S + 0.6))
    assert {a.check for _, a in found} == {"object_agreement"}
    assert min(t for t, _ in found) <= ONSET_S + 0.5
    assert any(a.subject.kind is SubjectKind.TRACK and a.cause is Cause.CAMERA for _, a in found)


def test_one_faint_sighting_is_no_return() -> None:
    """Stickers leave now and then a box that nobody acts on."""
    frames = list(sweeps.drive([sweeps.Body(lambda t: (0.3, 10.0))], ONSET_S + 0.6))
    for i, frame in enumerate(frames[round(ONSET_S * 10) :], round(ONSET_S * 10)):
        found = frame.detections
        assert found is not None
        faint = 0.35 if i == round(ONSET_S * 10) + 2 else 0.0
        frames[i] = replace(frame, detections=replace(found, score=np.full_like(found.score, faint)))
    assert min(t for t, _ in sweeps.alarms(frames)) <= ONSET_S + 0.5


def test_a_box_that_ends_early_and_is_believed_less_is_still_that_car() -> None:
    assert not sweeps.alarms(partly_boxed(0.8, 0.6, ONSET_S + 1.5))


def test_a_body_held_half_hidden_is_missed_just_as_well_among_raw_clusters() -> None:
    near = sweeps.Body(lambda t: (0.3, 12.0))
    half_hidden = sweeps.Body(lambda t: (2.0, 20.0), boxed=lambda t: t < ONSET_S - 1e-6)
    found = sweeps.alarms(sweeps.drive([near, half_hidden], ONSET_S + 0.6))
    assert {a.check for _, a in found} == {"object_agreement"}
    assert min(t for t, a in found if a.subject.kind is SubjectKind.TRACK) <= ONSET_S + 0.5


def test_a_box_too_small_to_be_asked_of_a_camera_is_not_too_small_for_lidar() -> None:
    lost = sweeps.Body(lambda t: (0.3, 24.0))
    unseen = replace(lost, solid=False)
    before, after = sweeps.drive([lost], ONSET_S), sweeps.drive([unseen], ONSET_S + 0.6)
    frames = [*before, *islice(after, round(ONSET_S * 10), None)]
    agreement = ObjectAgreementSettings(min_height_px=60.0)
    settings = MonitorSettings(checks=CheckSettings(object_agreement=agreement), calibration="none")
    monitor = Monitor(settings)
    told = {a.check for f in frames for a in monitor.step(f).alarms}
    assert "object_agreement" in told


def approaching(own_mps: float) -> Iterator[Frame]:
    """A car that nears at 8 m/s beside the lane, which the camera never boxes; the vehicle drives so fast."""
    rig = replace(sweeps.RIG, to_camera={**sweeps.RIG.to_camera, "base_link": sweeps.RIG.to_camera["lidar"]})
    for frame in sweeps.drive([sweeps.Body(lambda t: (-3.0, 28.0 - 8.0 * t), label=None)], 2.4):
        yield replace(frame, rig=rig, ego=EgoMotion(frame.stamp_ns, np.array([own_mps, 0, 0]), np.zeros(3)))


def test_a_car_that_comes_along_the_road_must_be_boxed_though_it_never_was() -> None:
    found = [a for _, a in sweeps.alarms(approaching(0.0)) if a.check == "object_agreement"]
    assert found and found[0].subject.kind is SubjectKind.LIDAR_OBJECT


def test_what_stands_beside_the_road_need_not_be_boxed() -> None:
    assert not [a for _, a in sweeps.alarms(approaching(8.0)) if a.check == "object_agreement"]
