"""Points without a body: spoofed objects, told from those who step out of cover and from foliage and rain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stage import hazy
from sweeps import CAMERA_HEIGHT, LIDAR_HEIGHT, Body, Edit, alarms, by, drive, kitti, rain, spoofed

from edgeguard.checks.lidar_ghost import LidarGhost, LidarGhostSettings
from edgeguard.scene import SceneBuilder, SceneSettings
from edgeguard.types import Detections3D, Image
from edgeguard.verdict import Cause

ONSET_S = 1.0
PARKED = Body(lambda t: (3.0, 9.0))
LEAD = Body(lambda t: (0.0, 16.0))


def ghost(x: float, z: float, start: float = ONSET_S, arriving: float = 0.9, width: float = 1.7) -> Edit:
    """A body at x right and z ahead, from `start` on."""
    low = z, -x - width / 2, -LIDAR_HEIGHT + 0.2
    high = z + 2.0, -x + width / 2, -LIDAR_HEIGHT + 1.5

    def edit(t: float, xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return spoofed(xyz, low, high, rng.random(len(xyz)) < arriving) if t >= start else xyz

    return edit


@pytest.mark.parametrize("arriving", [0.9, 0.5])
def test_a_ghost_on_open_road_is_alarmed_at_once(arriving: float) -> None:
    found = alarms(drive([PARKED, LEAD], 2.5, ghost(-1.2, 9.0, arriving=arriving)))
    assert "lidar_ghost" in by(found)
    first, alarm = next((t, a) for t, a in found if a.check == "lidar_ghost")
    assert ONSET_S <= first <= ONSET_S + 0.5 and alarm.cause is Cause.LIDAR
    assert "open road" in alarm.reason


@pytest.mark.parametrize(("visibility_m", "told"), [(20e3, True), (150.0, False)], ids=["clear", "fog"])
def test_in_fog_the_cameras_silence_does_not_accuse(visibility_m: float, told: bool) -> None:
    air = hazy(visibility_m)
    frames = [
        replace(f, image=Image(f.stamp_ns, "camera_optical", air(0.1 * i)))
        for i, f in enumerate(drive([PARKED, LEAD], 1.5, ghost(-1.2, 14.0)))
    ]
    builder, check = SceneBuilder(SceneSettings()), LidarGhost(LidarGhostSettings())
    found = np.concatenate([s.score for f in frames for s in check.score(builder.build(f))])
    assert (np.nan_to_num(found).max() > 5.0) == told


def test_what_stands_up_in_the_open_for_both_sensors_at_once_came_from_nowhere() -> None:
    picture = Body(lambda t: (-1.2, 9.0), solid=False, boxed=lambda t: t >= ONSET_S)
    found = alarms(drive([PARKED, LEAD, picture], 2.5, ghost(-1.2, 9.0)))
    first, alarm = next((t, a) for t, a in found if a.check == "lidar_ghost")
    assert ONSET_S <= first <= ONSET_S + 0.5 and alarm.cause is Cause.UNKNOWN
    assert "both sensors" in alarm.reason


def test_what_stands_up_for_both_sensors_far_off_shows_but_its_lower_half() -> None:
    """A cluster wider than it is high."""
    picture = Body(lambda t: (-1.2, 24.0), solid=False, boxed=lambda t: t >= ONSET_S)
    low, high = (24.0, 0.3, -LIDAR_HEIGHT + 0.2), (26.0, 2.1, -LIDAR_HEIGHT + 1.15)

    def edit(t: float, xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return spoofed(xyz, low, high, rng.random(len(xyz)) < 0.9) if t >= ONSET_S else xyz

    found = [(t, a) for t, a in alarms(drive([picture], 2.0, edit)) if a.check == "lidar_ghost"]
    assert found and ONSET_S <= found[0][0] <= ONSET_S + 0.5 and found[0][1].cause is Cause.UNKNOWN


def test_the_box_of_a_car_behind_a_ghost_is_no_claim_of_the_cameras() -> None:
    found = alarms(drive([LEAD], 2.5, ghost(0.0, 9.0)))
    first, alarm = next((t, a) for t, a in found if a.check == "lidar_ghost")
    assert ONSET_S <= first <= ONSET_S + 0.5 and alarm.cause is Cause.LIDAR


def test_what_stands_up_beside_a_body_for_both_sensors_at_once_is_seen_too() -> None:
    """Its points join those of the body to one cluster, which is not new."""
    walker = Body(lambda t: (-0.2, 9.0), (0.5, 1.7, 0.4), "person")
    picture = Body(lambda t: (-1.3, 9.0), solid=False, boxed=lambda t: t >= ONSET_S)
    found = alarms(drive([LEAD, walker, picture], 2.0, ghost(-1.3, 9.0)))
    first, alarm = next((t, a) for t, a in found if a.check == "lidar_ghost")
    assert ONSET_S <= first <= ONSET_S + 0.5 and alarm.cause is Cause.UNKNOWN


def test_a_body_that_grows_where_it_was_boxed_is_no_ghost() -> None:
    """Half of its flank returns nothing for a while."""

    def dark(t: float, xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return xyz[~((np.abs(xyz[:, 1] + 2.6) < 0.5) & (xyz[:, 0] < 14.0) & (t < ONSET_S))]

    assert "lidar_ghost" not in by(alarms(drive([PARKED, LEAD], 2.0, dark)))


def test_who_steps_out_of_cover_and_is_boxed_at_once_is_no_ghost() -> None:
    walker = Body(lambda t: (3.6 - 1.5 * t, 13.8), (0.6, 1.7, 0.4), "person", boxed=lambda t: t > 0.8)
    assert "lidar_ghost" not in by(alarms(drive([PARKED, walker], 2.5)))


def test_who_steps_out_of_cover_is_no_ghost() -> None:
    """From behind a parked car at 1.5 m/s, boxed by the camera only later."""
    walker = Body(lambda t: (3.6 - 1.5 * t, 13.8), (0.6, 1.7, 0.4), "person", boxed=lambda t: t > 1.8)
    assert "lidar_ghost" not in by(alarms(drive([PARKED, walker], 2.5)))


def test_a_car_that_comes_into_view_or_range_is_no_ghost() -> None:
    oncoming = Body(lambda t: (-3.5, 75.0 - 20.0 * t), label=None)
    crossing = Body(lambda t: (-14.0 + 8.0 * t, 15.0), (4.0, 1.5, 1.8), label=None)
    assert "lidar_ghost" not in by(alarms(drive([LEAD, oncoming, crossing], 3.0)))


def foliage(t: float, xyz: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A hedge at the roadside from the start: half of the rays end somewhere in it."""
    return spoofed(xyz, (8.0, 2.5, -LIDAR_HEIGHT + 0.2), (14.0, 4.0, 0.5), rng.random(len(xyz)) < 0.5)


@pytest.mark.parametrize("edit", [rain, foliage])
def test_weather_and_foliage_are_no_ghosts(edit: Callable[..., np.ndarray]) -> None:
    assert "lidar_ghost" not in by(alarms(drive([PARKED, LEAD], 2.5, edit)))


@pytest.mark.parametrize("real", [True, False], ids=["body", "ghost"])
def test_a_detectors_car_that_rays_pass_through(real: bool) -> None:
    """A handful of spoofed points makes a detector box a car; most rays still end behind it."""
    body = Body(lambda t: (0.5, 10.0), solid=real, label=None)
    frames = []
    for f in drive([body], 1.5, None if real else ghost(0.5, 10.0, start=0.0, arriving=0.1)):
        center = np.array([[0.5, CAMERA_HEIGHT - 0.75, 12.0]])
        size, upright = np.array([[1.8, 1.5, 4.0]]), np.array([[0.0, 0.0, 0.0, 1.0]])
        one, car = np.full(1, 0.95, np.float32), np.zeros(1, np.int32)
        boxes = Detections3D(f.stamp_ns, "camera_optical", center, size, upright, one, car, ("car",))
        frames.append(replace(f, lidar_detections=boxes))
    found = [a for _, a in alarms(frames) if a.check == "lidar_ghost"]
    assert bool(found) is not real and all("pass through" in a.reason for a in found)


def test_real_sweeps_without_any_camera_box_hold_no_ghost(shared: Path) -> None:
    assert "lidar_ghost" not in by(alarms(kitti(shared)))


def test_a_ghost_in_real_sweeps(shared: Path) -> None:
    found = alarms(kitti(shared, ghost(-1.25, 9.6, start=1.6, width=0.8)))
    first, alarm = next((t, a) for t, a in found if a.check == "lidar_ghost")
    assert 1.6 <= first <= 2.1 and alarm.cause is Cause.LIDAR
    assert alarm.measured["picture_change_grey"] < 10.0


def test_it_says_when_it_could_not_have_told() -> None:
    builder, check = SceneBuilder(SceneSettings()), LidarGhost(LidarGhostSettings())
    for frame in drive([LEAD], 0.8):
        scores = check.score(builder.build(frame))
    assert len(scores[0].ids) >= 1 and np.isnan(scores[0].score).all()
    assert check.score(SceneBuilder(SceneSettings()).build(replace(frame, points=None))) == []


def test_the_sweep_before_is_that_before_whoever_asks_for_it_and_when() -> None:
    builder, grids = SceneBuilder(SceneSettings()), {}
    for i, frame in enumerate(drive([PARKED, Body(lambda t: (-2.0 + 4.0 * t, 12.0))], 0.6)):
        scene = builder.build(frame)
        assert scene.clusters is not None  # as every frame asks for that follows objects
        if i in (2, 4):
            assert scene.occupied is not None
            grids[i] = scene.occupied
    assert not np.array_equal(grids[4][1], grids[2][0]) and not np.array_equal(grids[4][1], grids[4][0])


def test_people_who_pass_one_another_are_no_ghosts() -> None:
    """Their clusters join, part and change names; the camera boxes some of them at that very moment."""
    crowd = [
        Body(
            lambda t, n=n: (-3.0 + 0.75 * n + (1.4 if n % 2 else -1.4) * t, 8.0 + 0.3 * (n % 3)),
            (0.5, 1.7, 0.4),
            "person",
            boxed=lambda t, n=n: (t * 3.0 + n) % 2.0 > 0.7,
        )
        for n in range(9)
    ]
    assert "lidar_ghost" not in by(alarms(drive(crowd, 3.0)))
