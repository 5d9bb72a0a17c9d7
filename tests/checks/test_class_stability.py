"""A class that changes in mid-life, and changes that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from edgeguard.types import Frame
from edgeguard.verdict import Alarm
from tests.checks.stage import CLASSES, Thing, alarms, drive, hazy

AHEAD = Thing("car", lambda t: (0.5, 15.0))
WALKER = Thing("person", lambda t: (-3.0 + t, 12.0), width=0.7, height=1.75, length=0.6)


def called(frames: Iterable[Frame], name: Callable[[int], str]) -> Iterator[Frame]:
    """The frames with the only box called as told, by frame number."""
    for i, frame in enumerate(frames):
        assert frame.detections is not None
        label = np.full(len(frame.detections), CLASSES.index(name(i)), np.int32)
        yield replace(frame, detections=replace(frame.detections, class_id=label))


def flips(frames: Iterable[Frame]) -> list[tuple[float, Alarm]]:
    return [(t, a) for t, a in alarms(frames) if a.check == "class_stability"]


def test_a_class_that_stays_is_stable() -> None:
    assert not flips(drive([AHEAD, WALKER], 5.0))


def test_a_car_that_becomes_a_person_is_told_in_half_a_second() -> None:
    found = flips(called(drive([AHEAD], 3.0), lambda i: "person" if i >= 15 else "car"))
    assert found and 1.5 <= found[0][0] <= 2.0
    assert found[0][1].cause.value == "camera"


@pytest.mark.parametrize(("visibility_m", "told"), [(20e3, True), (150.0, False)], ids=["clear", "fog"])
def test_what_stands_in_fog_may_be_taken_for_another(visibility_m: float, told: bool) -> None:
    frames = drive([AHEAD], 2.4, image=hazy(visibility_m))
    assert bool(flips(called(frames, lambda i: "person" if i >= 15 else "car"))) == told


def test_a_walker_that_becomes_a_car_is_told_whatever_its_stride() -> None:
    """Legs apart and together: its box is of another shape twice a second, and nobody else's for that."""
    frames = []
    for i, frame in enumerate(called(drive([WALKER], 3.0), lambda i: "car" if i >= 15 else "person")):
        box = frame.detections.xyxy.astype(np.float64)  # type: ignore[union-attr]
        half = (box[:, 2] - box[:, 0]) / 2 * np.exp(0.37 * np.sin(2 * np.pi * i / 5))
        middle = (box[:, 0] + box[:, 2]) / 2
        box[:, 0], box[:, 2] = middle - half, middle + half
        swung = replace(frame.detections, xyxy=box.astype(np.float32))  # type: ignore[type-var]
        frames.append(replace(frame, detections=swung))
    found = flips(frames)
    assert found and 1.5 <= found[0][0] <= 2.0


def test_a_short_life_is_enough() -> None:
    found = flips(called(drive([AHEAD], 2.0), lambda i: "person" if i >= 7 else "car"))
    assert found and found[0][0] <= 1.2


def test_a_single_frame_is_not() -> None:
    assert not flips(called(drive([AHEAD], 4.0), lambda i: "person" if i in (15, 28) else "car"))


def test_a_van_may_be_called_a_truck() -> None:
    assert not flips(called(drive([AHEAD], 4.0), lambda i: "truck" if i >= 15 else "car"))


def test_a_rider_may_be_boxed_as_the_bicycle_now_and_then() -> None:
    name: Callable[[int], str] = lambda i: "bicycle" if i % 9 in (7, 8) else "person"  # noqa: E731
    assert not flips(called(drive([WALKER], 5.0), name))


def test_a_track_swapped_onto_another_body_has_not_changed_its_class() -> None:
    # One leaves, the other stands where it stood: another shape with another name.
    car = replace(AHEAD, score=lambda t: 0.9 if t < 1.5 else 0.0)
    walker = Thing("person", lambda t: (0.5, 13.0), 0.7, 1.75, 0.6, score=lambda t: 0.9 if t >= 1.5 else 0.0)
    assert not flips(drive([car, walker], 3.0))


def test_a_track_that_slides_onto_whoever_walks_past_has_not_changed_its_class() -> None:
    """Hidden bit by bit, the car's box shrinks to what is left of it, and then is the person's."""

    def narrowed(frames: Iterable[Frame]) -> Iterator[Frame]:
        for i, frame in enumerate(frames):
            assert frame.detections is not None
            xyxy = frame.detections.xyxy.copy()
            width = xyxy[:, 2] - xyxy[:, 0]
            xyxy[:, 2] = xyxy[:, 0] + width * float(np.clip(1.0 - 0.15 * (i - 11), 0.4, 1.0))
            yield replace(frame, detections=replace(frame.detections, xyxy=xyxy))

    assert not flips(called(narrowed(drive([AHEAD], 3.0)), lambda i: "person" if i >= 15 else "car"))


def test_a_speck_that_is_called_another_thing_is_not() -> None:
    """A track of a few pixels hops to the next speck, which is of another class."""
    far = Thing("car", lambda t: (2.0, 80.0))
    heights = []
    for frame in (frames := list(called(drive([far], 4.0), lambda i: "stop sign" if i < 15 else "car"))):
        assert frame.detections is not None
        heights += (frame.detections.xyxy[:, 3] - frame.detections.xyxy[:, 1]).tolist()
    assert 10 < min(heights) <= max(heights) < 16
    assert not flips(frames)


def test_a_car_that_is_renamed_while_it_leaves_the_picture_is_told() -> None:
    """What the side of the picture cuts changes its shape; it is no other body for that."""
    passing = Thing("car", lambda t: (-3.2, 11.0 - 2.5 * t))
    found = flips(called(drive([passing], 2.6), lambda i: "person" if i >= 20 else "car"))
    assert found and found[0][0] <= 2.5
