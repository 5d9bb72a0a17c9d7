"""A picture of a car stops no rays; glass, netting, neighbours and weather are no picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from sweeps import HEIGHT, LIDAR_HEIGHT, WIDTH, Body, alarms, by, drive, rain, wet_road

from edgeguard.checks.free_space import FreeSpace, FreeSpaceSettings
from edgeguard.checks.lidar_support import LidarSupport, LidarSupportSettings
from edgeguard.scene import SceneBuilder, SceneSettings
from edgeguard.types import Detections, Frame, Image
from edgeguard.verdict import Cause

ONSET_S = 1.0
LEAD = Body(lambda t: (1.0, 14.0))
TRUCK = Body(lambda t: (-3.4, 9.0), (2.5, 3.0, 8.0), "truck")


def windows(t: float, xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What hits the upper part of anything goes on through glass, as far again."""
    glass = (xyz[:, 2] > -LIDAR_HEIGHT + 0.9) & (np.abs(xyz[:, 1]) < 3.0)
    return np.where(glass[:, None] & (rng.random((len(xyz), 1)) < 0.8), 3.0 * xyz, xyz)


def netting(t: float, xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A net at 6 m takes every third ray."""
    net = (rng.random((len(xyz), 1)) < 0.33) & (xyz[:, :1] > 6.0)
    return np.where(net, xyz / np.maximum(xyz[:, :1], 0.1) * 6.0, xyz)


@pytest.mark.parametrize("edit", [None, windows, netting, rain, wet_road])
def test_bodies_are_not_seen_through(edit: object) -> None:
    cut_in = Body(lambda t: (4.0 - 1.5 * min(t, 2.0), 10.0))
    child = Body(lambda t: (-1.0 - 0.8 * t, 12.0), (0.4, 1.1, 0.3), "person")
    found = alarms(drive([LEAD, TRUCK, cut_in, child], 2.5, edit))  # type: ignore[arg-type]
    assert "free_space" not in by(found)


def test_a_half_hidden_car_is_not_seen_through() -> None:
    behind = Body(lambda t: (-0.6, 22.0))
    assert "free_space" not in by(alarms(drive([LEAD, behind], 2.0)))


def test_slim_posts_that_part_what_is_open_do_not_hide_that_it_is() -> None:
    posts = [
        Body(lambda t, x=x: (x, 9.5), (0.08, 1.7, 0.2), "person", boxed=lambda t: False)
        for x in (-0.5, 0.0, 0.5)
    ]
    phantom = Body(lambda t: (0.0, 10.0), solid=False, boxed=lambda t: t >= ONSET_S)
    found = [(t, a) for t, a in alarms(drive([*posts, phantom], 2.0)) if a.check == "free_space"]
    assert found and ONSET_S <= found[0][0] <= ONSET_S + 0.5


def test_a_picture_that_the_side_of_the_image_cuts_is_seen_through() -> None:
    phantom = Body(lambda t: (6.4, 8.5), solid=False, boxed=lambda t: t >= ONSET_S)
    found = [(t, a) for t, a in alarms(drive([LEAD, phantom], 2.0)) if a.check == "free_space"]
    assert found and ONSET_S <= found[0][0] <= ONSET_S + 0.5


def test_bodies_that_leave_over_the_side_are_not_seen_through() -> None:
    left, right = Body(lambda t: (-3.5, 14.0 - 5.0 * t)), Body(lambda t: (4.0 + 2.0 * t, 9.0))
    assert "free_space" not in by(alarms(drive([left, right], 2.5)))


@pytest.mark.parametrize("weather", [None, rain])
def test_a_picture_that_a_neighbour_covers_in_part_is_seen_by_this_check_alone(weather: object) -> None:
    phantom = Body(lambda t: (-1.3, 8.5), solid=False, boxed=lambda t: t >= ONSET_S)
    found = alarms(drive([LEAD, TRUCK, phantom], 2.5, weather))  # type: ignore[arg-type]
    assert by(found) == {"free_space"}
    first, alarm = found[0]
    assert ONSET_S <= first <= ONSET_S + 0.5
    assert alarm.cause is Cause.CAMERA and "sees through" in alarm.reason


def test_it_says_when_it_could_not_have_told() -> None:
    far = Body(lambda t: (0.0, 45.0), solid=False)
    builder, check = SceneBuilder(SceneSettings()), FreeSpace(FreeSpaceSettings())
    scores = [check.score(builder.build(f))[0] for f in drive([far], 0.6)]
    assert len(scores[-1].ids) == 1 and np.isnan(scores[-1].score).all()


def shifted(t: float, xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """From `ONSET_S` on, what stands 3 m right at 24 m lies 8 m farther off."""
    inside = (np.abs(xyz[:, 1] + 3.0) < 1.3) & (np.abs(xyz[:, 0] - 27.0) < 3.0) & (xyz[:, 2] > -1.6)
    farther = xyz * (1.0 + 8.0 / np.linalg.norm(xyz, axis=1, keepdims=True))
    return np.where((inside & (t >= ONSET_S - 1e-3))[:, None], farther, xyz)


def test_a_body_that_the_lidar_held_and_that_jumps_away_is_told_by_where_it_was() -> None:
    aside, parked = Body(lambda t: (-3.4, 12.0)), Body(lambda t: (3.0, 25.0))
    found = [(t, a) for t, a in alarms(drive([aside, parked], 1.6, shifted)) if a.check == "free_space"]
    # By its box alone, of which 24 m and 32 m are within the error, it took half a second.
    assert found and ONSET_S <= found[0][0] <= ONSET_S + 0.35


def test_what_an_occluder_uncovers_has_not_jumped_away() -> None:
    walker = Body(lambda t: (2.5 - 2.0 * t, 17.0), (0.5, 1.7, 0.4), "person")
    gone = Body(lambda t: (0.0, 13.0 + 6.0 * max(t - 1.0, 0.0)))
    behind = Body(lambda t: (3.2, 25.0))
    assert "free_space" not in by(alarms(drive([walker, gone, behind], 2.4)))


@pytest.mark.parametrize(("light", "told"), [(120.0, True), (8.0, False)], ids=["day", "dark"])
def test_boxes_that_a_network_sees_in_nothing_but_noise_are_no_claims(light: float, told: bool) -> None:
    phantom = Body(lambda t: (0.0, 10.0), solid=False)
    rng = np.random.default_rng(0)
    checks = FreeSpace(FreeSpaceSettings()), LidarSupport(LidarSupportSettings())
    builder = SceneBuilder(SceneSettings())
    for frame in drive([phantom], 0.4):
        grainy = np.clip(rng.normal(light, 5.0, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
        scene = builder.build(replace(frame, image=Image(frame.stamp_ns, "camera_optical", grainy)))
        last = np.array([check.score(scene)[0].score for check in checks])
    assert (last > 2.0).all() if told else np.isnan(last).all()


@pytest.mark.parametrize(
    ("light", "sure", "told"), [(120.0, 0.62, True), (20.0, 0.62, False), (20.0, 0.98, True)]
)
def test_in_the_dark_a_network_that_is_not_sure_claims_nothing(light: float, sure: float, told: bool) -> None:
    phantom = Body(lambda t: (0.0, 10.0), solid=False)
    rng = np.random.default_rng(0)
    builder, check = SceneBuilder(SceneSettings()), FreeSpace(FreeSpaceSettings())
    stripes = light * np.where(np.arange(WIDTH) // 12 % 2, 1.6, 0.5)[None, :, None]
    for frame in drive([phantom], 0.4):
        assert frame.detections is not None
        street = np.clip(rng.normal(stripes, 1.0, (HEIGHT, WIDTH, 3)), 0, 255).astype(np.uint8)
        boxes = replace(frame.detections, score=np.full(len(frame.detections.score), sure, np.float32))
        image = Image(frame.stamp_ns, "camera_optical", street)
        scene = builder.build(replace(frame, image=image, detections=boxes))
        last = check.score(scene)[0].score
    assert ((last > 7.0) if told else (last < 1.0)).all()


def merged(frames: Iterator[Frame], score: float) -> Iterator[Frame]:
    """The frames with one more box: a walker's behind a car's bonnet, drawn down to the car's foot."""
    for frame in frames:
        boxes = frame.detections
        assert boxes is not None
        x0, _, x1, foot = boxes.xyxy[0]
        more = np.array([[x0 - 0.1 * (x1 - x0), foot - 105.0, x0 + 0.25 * (x1 - x0), foot]], np.float32)
        yield replace(
            frame,
            detections=Detections(
                boxes.stamp_ns,
                np.concatenate([boxes.xyxy, more]),
                np.append(boxes.score, np.float32(score)),
                np.append(boxes.class_id, np.int32(boxes.class_names.index("person"))),
                boxes.class_names,
            ),
        )


def test_what_stands_behind_another_is_not_where_that_ones_foot_is() -> None:
    """Its rays pass over the bonnet and end on it, six metres farther."""
    car, walker = (
        Body(lambda t: (0.0, 12.0), solid=False),
        Body(lambda t: (-1.0, 18.0), (0.9, 1.9, 0.4), None),
    )
    bonnet = Body(lambda t: (0.0, 12.0), (1.8, 0.85, 4.0), None)
    cabin = Body(lambda t: (0.45, 12.5), (0.9, 1.5, 3.0), None)
    assert "free_space" not in by(alarms(merged(drive([car, bonnet, cabin, walker], 2.0), 0.8)))
    assert "free_space" in by(alarms(merged(drive([car, walker], 2.0), 0.8)))


def test_a_box_is_a_claim_no_surer_than_the_network_is_of_it_now() -> None:
    phantom = Body(lambda t: (0.0, 10.0), solid=False)
    builder, check = SceneBuilder(SceneSettings()), FreeSpace(FreeSpaceSettings())
    told = []
    for i, frame in enumerate(drive([phantom], 0.6)):
        assert frame.detections is not None
        score = np.full(1, 0.95 if i < 4 else 0.42, np.float32)
        scene = builder.build(replace(frame, detections=replace(frame.detections, score=score)))
        told.append(check.score(scene)[0].score[0])
    assert told[3] > 7.0 and told[4] < 2.0
