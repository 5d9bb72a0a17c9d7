"""Radar against camera and LiDAR: forged Doppler, a jammed target and a moving ghost, and honest clutter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from stage import START_NS, Thing, alarms, by, drive

from edgeguard.checks.radar_agreement import RadarAgreement, RadarAgreementSettings
from edgeguard.rig import Rig
from edgeguard.scene import SceneBuilder, SceneSettings
from edgeguard.types import Frame, PointCloud, RadarTargets
from edgeguard.verdict import Cause, SubjectKind

OWN = 10.0
# The radar sits in the bumper, half a metre below the camera, x forward.
MOUNT = np.array([[0, -1, 0, 0], [0, 0, -1, 0.5], [1, 0, 0, 0.8], [0, 0, 0, 1]], np.float64)
ATTACK_S = 2.0
LEAD = Thing("car", lambda t: (0.0, 18.0 + 2.0 * t))  # pulls away at 2 m/s
ONCOMING = Thing("car", lambda t: (-3.5, 60.0 - 14.0 * t))

Change = Callable[[float, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def unchanged(t: float, xyz: np.ndarray, rate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return xyz, rate


def with_radar(
    frames: Iterable[Frame], things: list[Thing], change: Change = unchanged, seed: int = 3
) -> Iterator[Frame]:
    """Add honest radar cycles, changed as an attacker would: bodies, wheels, guard rail, gaps and noise."""
    rng = np.random.default_rng(seed)
    back = np.linalg.inv(MOUNT)
    for frame in frames:
        t = (frame.stamp_ns - START_NS) * 1e-9
        rows = []
        for thing in things:
            (x, z), (x1, z1) = thing.at(t), thing.at(t + 0.01)
            if rng.random() < 0.08:
                continue  # a target that is not detected on this cycle
            face = np.array([x, 0.6, max(z - thing.length / 2, 1.0)]) + rng.normal(0, 0.3, 3) * (1, 0.3, 0.3)
            sight = (face - MOUNT[:3, 3]) / np.linalg.norm(face - MOUNT[:3, 3])
            rate = float(np.array([x1 - x, z1 - z]) @ sight[[0, 2]] / 0.01)
            rows += [(*face, rate + rng.normal(0, 0.15)), (*face, rate + rng.uniform(-8, 8))]  # wheels
        for z in rng.uniform(8, 60, 10):  # a guard rail that stands still
            place = np.array([6.0, 0.5, z])
            sight = (place - MOUNT[:3, 3]) / np.linalg.norm(place - MOUNT[:3, 3])
            rows.append((*place, -OWN * sight[2] + rng.normal(0, 0.15)))
        found = np.array(rows)
        xyz, rate = change(t, found[:, :3], found[:, 3])
        xyz = xyz @ back[:3, :3].T + back[:3, 3]
        radar = RadarTargets(frame.stamp_ns, "radar", xyz.astype(np.float32), rate.astype(np.float32))
        assert frame.rig is not None
        rig = Rig(frame.rig.camera, {**frame.rig.to_camera, "radar": MOUNT})
        yield replace(frame, radar=radar, rig=rig)


def on_lead(t: float, xyz: np.ndarray) -> np.ndarray:
    return (np.abs(xyz[:, 0]) < 2.0) & (np.abs(xyz[:, 2] - LEAD.at(t)[1] + 2.0) < 3.0)


def forged(t: float, xyz: np.ndarray, rate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return xyz, np.where(on_lead(t, xyz) & (t >= ATTACK_S), rate + 12.0, rate)


def jammed(t: float, xyz: np.ndarray, rate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    keep = ~(on_lead(t, xyz) & (t >= ATTACK_S))
    return xyz[keep], rate[keep]


def radar_alarms(change: Change, things: list[Thing], *, own: float | None = OWN, lidar: bool = True) -> list:
    frames = with_radar(drive(things, 4.0, own_speed=own, lidar=lidar), things, change)
    return alarms(frames)


@pytest.mark.parametrize("own", [OWN, None], ids=["odometry", "no odometry"])
def test_honest_targets_wheels_and_guard_rails_do_not_alarm(own: float | None) -> None:
    assert radar_alarms(unchanged, [LEAD, ONCOMING], own=own) == []


def test_a_car_that_crosses_is_not_held_against_its_doppler() -> None:
    crossing = Thing("car", lambda t: (-12.0 + 8.0 * t, 22.0), width=4.0, length=1.8)
    assert by(radar_alarms(unchanged, [crossing])) & {"radar_agreement"} == set()


@pytest.mark.parametrize(("width", "strange"), [(0.1, False), (1.7, True)], ids=["wall", "body"])
def test_a_wall_that_seems_to_ride_along_is_not_held_against_its_doppler(width: float, strange: bool) -> None:
    """LiDAR's beams meet a wall at ranges that stay, as if it moved with us; its Doppler tells."""
    wall = Thing("car", lambda t: (9.0, 20.0), width=width, length=6.0)

    def stands(t: float, xyz: np.ndarray, rate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return xyz, np.where(xyz[:, 0] > 7.0, -OWN * xyz[:, 2] / np.hypot(xyz[:, 0], xyz[:, 2]), rate)

    found = alarms(with_radar(drive([wall], 4.0, own_speed=OWN), [wall], stands))
    lidar = {a.subject.kind for _, a in found if a.check == "radar_agreement"}
    assert (SubjectKind.LIDAR_OBJECT in lidar) is strange


def test_forged_doppler_is_seen_by_this_check_alone() -> None:
    found = radar_alarms(forged, [LEAD, ONCOMING])
    assert by(found) == {"radar_agreement"}
    first, alarm = found[0]
    assert ATTACK_S <= first <= ATTACK_S + 0.5 and alarm.cause is Cause.RADAR
    assert alarm.measured["residual_mps"] > 3.0 and "standard deviations" in alarm.reason


def test_forged_doppler_shows_against_the_camera_alone_too() -> None:
    found = radar_alarms(forged, [LEAD], lidar=False)
    assert by(found) == {"radar_agreement"} and found[0][1].subject.kind is SubjectKind.TRACK


def test_a_target_that_is_jammed_while_others_see_it() -> None:
    found = radar_alarms(jammed, [LEAD, ONCOMING])
    assert by(found) == {"radar_agreement"} and ATTACK_S < found[0][0] <= ATTACK_S + 1.5
    assert "lost" in found[0][1].reason


def road() -> PointCloud:
    """A sweep over a level road, in the optical frame."""
    v, u = np.mgrid[190:370:4, 2:1240:4]
    z = 1.65 * 720.0 / (v - 175.0)
    xyz = np.stack([(u - 620.0) / 720.0 * z, np.full(z.shape, 1.65), z], -1).reshape(-1, 3)
    return PointCloud(START_NS, "camera_optical", xyz[xyz[:, 2] < 70].astype(np.float32))


FAR = Thing("car", lambda t: (0.4, 42.0))
NEAR = Thing("car", lambda t: (0.2, 16.0))


def rushing(t: float) -> tuple[float, float]:
    return 22.0 - 18.0 * t, -18.0


def standing(t: float) -> tuple[float, float]:
    return 22.0 - OWN * t, -OWN


def halting(t: float) -> tuple[float, float]:
    """Comes near, and stands: no manhole cover does."""
    return (22.0 - 18.0 * t, -18.0) if t < 0.35 else (19.2 - OWN * t, -OWN)


def riding(t: float) -> tuple[float, float]:
    """Keeps its distance, as the car beyond it does."""
    return 6.0, 0.0


@pytest.mark.parametrize(
    ("way", "things", "strange"),
    [
        (rushing, [ONCOMING], True),
        (standing, [ONCOMING], False),
        (halting, [ONCOMING], True),
        (rushing, [FAR], True),
        (riding, [NEAR], True),
    ],
    ids=["moving", "standing", "halting", "before a far car", "before a near car"],
)
def test_a_ghost_that_moves_where_the_road_is_free(
    way: Callable[[float], tuple[float, float]], things: list[Thing], strange: bool
) -> None:
    def ghost(t: float, xyz: np.ndarray, rate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        z, doppler = way(t)
        return (np.vstack([xyz, [0.2, 0.6, z]]), np.append(rate, doppler)) if z > 3.0 else (xyz, rate)

    frames = [
        replace(f, points=replace(road(), stamp_ns=f.stamp_ns), lidar_detections=None)
        for f in with_radar(drive(things, 1.5, own_speed=OWN), things, ghost)
    ]
    found = [(t, a) for t, a in alarms(frames) if a.check == "radar_agreement"]
    assert bool(found) is strange
    assert all(a.subject.id == "radar" and "free road" in a.reason for _, a in found)
    assert not strange or found[0][0] <= 0.5


def test_it_says_when_it_could_not_have_told() -> None:
    check, builder = RadarAgreement(RadarAgreementSettings()), SceneBuilder(SceneSettings())
    plain = next(iter(drive([LEAD], 0.1)))
    assert check.score(builder.build(plain)) == []
    radar = RadarTargets(START_NS, "unknown", np.zeros((1, 3), np.float32), np.zeros(1, np.float32))
    scores = check.score(builder.build(replace(plain, radar=radar)))
    assert [s.kind for s in scores] == [SubjectKind.STREAM] and np.isnan(scores[0].score).all()


def test_what_hangs_on_a_wall_is_not_lost_when_its_target_goes() -> None:
    """A window frame's target comes and goes as people pass the wall; what stands on the road stays."""

    def lost(bottom_m: float) -> bool:
        builder, check = SceneBuilder(SceneSettings()), RadarAgreement(RadarAgreementSettings())
        things = [LEAD, ONCOMING]
        worst = 0.0
        for frame in with_radar(drive(things, 4.0, own_speed=OWN), things, jammed):
            scene = builder.build(frame)
            seen = scene.objects
            assert seen is not None
            scene.objects = replace(seen, bottom=np.full(len(seen), bottom_m))
            for scores in check.score(scene):
                if scores.kind is SubjectKind.LIDAR_OBJECT:
                    worst = max(worst, float(np.nanmax(scores.score, initial=0.0)))
        return worst > 3.0

    assert lost(0.2) and not lost(1.0)
