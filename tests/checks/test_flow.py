"""The pixels in a box move with the box, and a body apart from what is behind it; a picture does not."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from edgeguard.bags import BagReader
from edgeguard.checks.flow import Flow, FlowSettings
from edgeguard.monitor import Monitor, MonitorSettings
from edgeguard.rig import CameraModel, Rig
from edgeguard.scene import SceneBuilder, SceneSettings
from edgeguard.sim import models, textures
from edgeguard.sim.camera import Renderer
from edgeguard.sim.scenes import HEIGHT, WIDTH, camera
from edgeguard.sim.street import build_street
from edgeguard.sim.world import Scene, Surface, Trajectory
from edgeguard.types import Channel, Detections, Frame, Image
from edgeguard.verdict import Alarm, Level

LANE_Y = -1.75
POSTER_M = (5.0, 2.8)


def _world(ego_speed: float, other: Trajectory, *, poster: bool, turning: bool = False) -> Scene:
    """A street with one car ahead, or with a picture of one that faces the traffic."""
    rng = np.random.default_rng(7)
    t = np.arange(-1.0, 5.0, 0.05)
    ego = Trajectory.along((0.0, LANE_Y), 0.0, t, np.full(len(t), ego_speed))
    if turning:
        ego = Trajectory(t, ego.xy, 0.12 * np.sin(1.5 * t))
    surfaces, boxes = build_street(rng, 120.0, 6.0, 0.14)
    car = models.car(0, other, rng)
    if poster:
        surfaces.append(_poster(other.pose(0.0)[0]))
    return Scene(
        "test", 7, 2.6, ego, () if poster else (car,), tuple(surfaces), tuple(boxes),
        textures.sky(rng, HEIGHT, WIDTH), camera(),
    )  # fmt: skip


def _picture() -> tuple[np.ndarray, np.ndarray]:
    """A picture of a car in a street, and the car's box in it."""
    bgr, visible = Renderer(_world(0.0, Trajectory.standing(10.0, LANE_Y), poster=False)).render(0)
    bgra = np.dstack([bgr, np.full(bgr.shape[:2], 255, np.uint8)])
    return np.ascontiguousarray(bgra), visible[0].xyxy


def _poster(x: float) -> Surface:
    """A board across the lane with that picture on it."""
    (wide, high), corner = POSTER_M, (x - 2.2, LANE_Y + POSTER_M[0] / 2, POSTER_M[1] + 0.2)
    outline = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    return Surface(
        _picture()[0], np.array(corner), np.array([0, -wide, 0.0]), np.array([0, 0, -high]), outline
    )


def _poster_box(renderer: Renderer, x: float, t: float) -> np.ndarray:
    """Where the car on the board is in the image."""
    wide, high = POSTER_M
    u0, v0, u1, v1 = _picture_box() / (WIDTH, HEIGHT, WIDTH, HEIGHT)
    corners = np.array(
        [[x - 2.2, LANE_Y + wide * (0.5 - u), high * (1 - v) + 0.2, 1.0] for u in (u0, u1) for v in (v0, v1)]
    )
    seen = (renderer.camera_matrix(t) @ corners.T)[:3].T @ camera().k.T
    uv = seen[:, :2] / seen[:, 2:]
    return np.concatenate([uv.min(0), uv.max(0)])


@functools.cache
def _picture_box() -> np.ndarray:
    return _picture()[1]


def _frames(scene: Scene, *, poster_x: float | None = None) -> Iterable[Frame]:
    renderer, rng = Renderer(scene), np.random.default_rng(3)
    rig = Rig(scene.camera, {"camera_optical": np.eye(4)})
    for i in range(scene.n_frames):
        stamp = scene.stamp_ns(i)
        bgr, visible = renderer.render(i)
        box = visible[0].xyxy if poster_x is None else _poster_box(renderer, poster_x, scene.time(i))
        box = box + rng.normal(0, 0.5, 4)
        found = Detections(
            stamp, box[None].astype(np.float32), np.array([0.9], np.float32), np.zeros(1, np.int32), ("car",)
        )
        yield Frame(stamp, stamp, Image(stamp, "camera_optical", bgr), found, rig=rig)


def _flow(frames: Iterable[Frame]) -> dict[str, np.ndarray]:
    builder, check = SceneBuilder(SceneSettings()), Flow(FlowSettings())
    rows: dict[str, list[float]] = {k: [] for k in ("score", "slip_sigma", "plane_share", "growth_px")}
    for frame in frames:
        scores = check.score(builder.build(frame))[0]
        rows["score"].append(scores.score[0])
        for name in list(rows)[1:]:
            rows[name].append(scores.detail[name][0] if scores.detail else np.nan)
    return {k: np.array(v) for k, v in rows.items()}


@functools.cache
def _approach(poster: bool) -> tuple[Frame, ...]:
    """Drive at 8 m/s towards a stopped car, or towards the picture of one."""
    return tuple(_frames(_world(8.0, _stopped(), poster=poster), poster_x=32.0 if poster else None))


def _stopped(x: float = 32.0) -> Trajectory:
    return Trajectory.standing(x, LANE_Y)


def _alarms(frames: Iterable[Frame]) -> list[Alarm]:
    monitor = Monitor(MonitorSettings(calibration="none"))
    return [alarm for frame in frames for alarm in monitor.step(frame).alarms]


def test_picture_of_a_car_is_told_from_a_car() -> None:
    car = _flow(_approach(False))
    board = _flow(_approach(True))
    told = np.isfinite(car["plane_share"]) & np.isfinite(board["plane_share"])
    assert told.sum() >= 8
    assert np.all(board["plane_share"][told] > car["plane_share"][told] + 0.1)
    assert np.nanmean(car["score"]) < 1.8
    assert np.nanmean(board["score"]) > 4.0


def test_board_ahead_is_seen_by_this_check_alone_and_a_stopped_car_by_none() -> None:
    found = _alarms(_approach(True))
    assert {a.check for a in found} == {"flow"}
    assert {a.level for a in found} == {Level.CAUTION}
    assert "plane" in found[0].reason
    assert not _alarms(_approach(False))


def test_billboard_beside_the_road_asks_for_nothing() -> None:
    assert MonitorSettings().levels.flow.elsewhere == "NOMINAL"


def test_leading_turning_and_standing_vehicles_are_quiet() -> None:
    t = np.arange(-1.0, 5.0, 0.05)
    leading = Trajectory.along((15.0, LANE_Y), 0.0, t, 9.0 - 1.5 * np.clip(t, 0, 3))
    turning = Trajectory(t, np.column_stack([18 + 5 * t, LANE_Y + 1.5 * np.sin(t)]), 0.5 * np.sin(t))
    for scene in (
        _world(8.0, leading, poster=False),
        _world(6.0, turning, poster=False, turning=True),
        _world(0.0, _stopped(14.0), poster=False),
    ):
        frames = list(_frames(scene))
        found = _flow(frames)
        assert np.isfinite(found["score"]).sum() >= 10
        assert np.nanmean(found["score"]) < 1.8
        assert not _alarms(frames)


def test_a_jump_of_exposure_moves_nothing() -> None:
    """In rain, where contrast is less than the jump."""

    def exposed(frame: Frame, gain: float) -> Frame:
        assert frame.image is not None
        bgr = np.clip((60 + 0.45 * frame.image.bgr) * gain ** (1 / 2.2), 0, 255).astype(np.uint8)
        return dataclasses.replace(frame, image=dataclasses.replace(frame.image, bgr=bgr))

    steady = _flow(exposed(f, 1.0) for f in _approach(False))
    jumps = _flow(exposed(f, (1.0, 1.5, 0.7, 1.2, 0.55)[i // 5 % 5]) for i, f in enumerate(_approach(False)))
    assert np.isfinite(jumps["slip_sigma"]).sum() >= 10
    assert np.nanmax(jumps["slip_sigma"]) < np.nanmax(steady["slip_sigma"]) + 1.0


def test_unobservable_without_pictures_motion_texture_or_after_a_gap() -> None:
    standing = _flow(_frames(_world(0.0, _stopped(14.0), poster=True), poster_x=14.0))
    assert np.isnan(standing["plane_share"]).all()
    frames = list(_approach(False))[:20]
    assert np.isnan(_flow([dataclasses.replace(f, image=None) for f in frames])["score"]).all()
    flat = [dataclasses.replace(f.image, bgr=np.full_like(f.image.bgr, 90)) for f in frames if f.image]
    assert np.isnan(_flow([dataclasses.replace(f, image=g) for f, g in zip(frames, flat)])["score"]).all()
    halting = _flow(frames[:1] + frames[4::4])
    assert np.isnan(halting["score"]).all()


@pytest.fixture(scope="module")
def street(shared: Path) -> list[Frame]:
    """Real pictures of a street, without LiDAR."""
    frames: list[Frame] = []
    rig: Rig | None = None
    with BagReader(shared / "data" / "kitti_a") as reader:
        for item in reader.messages():
            if isinstance(item.value, CameraModel):
                rig = rig or Rig(item.value, {item.value.frame_id: np.eye(4)})
            if item.channel is Channel.CAMERA:
                frames.append(Frame(item.value.stamp_ns, item.value.stamp_ns, item.value, rig=rig))
    return [dataclasses.replace(f, rig=rig) for f in frames[:20]]


def _ghost(frames: list[Frame], box: Callable[[int], tuple[float, ...]]) -> list[Frame]:
    rng, out = np.random.default_rng(0), []
    for i, f in enumerate(frames):
        xyxy = (np.array(box(i)) + rng.normal(0, 0.7, 4)).astype(np.float32)[None]
        found = Detections(f.stamp_ns, xyxy, np.array([0.9], np.float32), np.zeros(1, np.int32), ("car",))
        out.append(dataclasses.replace(f, detections=found))
    return out


def test_ghost_that_rides_along_a_real_street_is_seen_by_this_check_alone(street: list[Frame]) -> None:
    """A car ahead on the next lane, as steady as a real one; no LiDAR to ask. Its pixels stream past."""
    found = _alarms(_ghost(street, lambda i: (300.0, 185.0, 400.0, 260.0)))
    assert {a.check for a in found} == {"flow"}
    assert "slides" in found[0].reason
    assert (found[0].onset_ns - street[0].stamp_ns) * 1e-9 < 1.0


def test_what_no_budget_is_left_for_is_unobservable(street: list[Frame]) -> None:
    few = Flow(FlowSettings(max_tracks=1))
    builder = SceneBuilder(SceneSettings())
    for f in street[:8]:
        big, small = (300.0, 185.0, 400.0, 260.0), (700.0, 180.0, 740.0, 215.0)
        xyxy = np.array([big, small], np.float32)
        found = Detections(f.stamp_ns, xyxy, np.full(2, 0.9, np.float32), np.zeros(2, np.int32), ("car",))
        scores = few.score(builder.build(dataclasses.replace(f, detections=found)))[0]
    assert np.isfinite(scores.score).tolist() == [True, False]
