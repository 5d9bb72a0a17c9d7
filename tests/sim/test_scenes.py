"""Every scene has in it what its name says, and differs from seed to seed."""

from __future__ import annotations

import numpy as np
import pytest
from worlds import built

from edgeguard.errors import EdgeGuardError
from edgeguard.sim.camera import Renderer
from edgeguard.sim.scenes import SCENES, build_scene
from edgeguard.sim.shots import Sensors


@pytest.mark.parametrize("name", sorted(SCENES))
def test_every_scene_is_seen_by_every_sensor(name: str) -> None:
    scene = built(name, 3, duration_s=1.0)
    assert (scene.name, scene.seed, scene.n_frames) == (name, 3, 10)
    shot = Sensors(scene).shot(5)
    hit, heard = set(shot.sweep.owner.tolist()), set(shot.echoes.owner.tolist())
    plain = {i for i, v in shot.visible.items() if v.occlusion < 0.2 and v.area_px > 400}
    assert plain and plain <= hit and plain & heard
    labels = {a.label for a in scene.actors}
    assert labels >= {"crossing_person": {"person"}, "stop_junction": {"stop sign"}}.get(name, {"car"})


def test_seeds_differ_in_paint_places_speeds_and_houses() -> None:
    a, b = (build_scene("oncoming", seed, duration_s=1.0) for seed in (0, 1))
    assert abs(a.ego.speed(0.5) - b.ego.speed(0.5)) > 0.2
    assert not {x.high for x in a.boxes} & {x.high for x in b.boxes}
    places = [{x.trajectory.pose(0.0)[0] for x in s.actors} for s in (a, b)]
    assert not places[0] & places[1]
    assert not np.array_equal(Renderer(a).render(0)[0], Renderer(b).render(0)[0])


def test_a_longer_drive_goes_on_to_the_next_junction_and_stops_there_too() -> None:
    scene = build_scene("stop_junction", 2, duration_s=24.0)
    stops = {
        round(float(scene.ego.pose(t)[0]))
        for t in np.arange(0.0, 24.0, 0.1)
        if scene.ego.speed(float(t)) < 0.01
    }
    ahead = [start - x for start, _ in scene.junctions for x in stops if 0 < start - x < 8]
    assert len(ahead) >= 2


def test_someone_is_in_the_way_when_the_ego_has_stopped() -> None:
    scene = build_scene("crossing_person", 3, duration_s=8.0)
    t = next(t for t in np.arange(0.0, 10.0, 0.1) if scene.ego.speed(float(t)) < 0.01)
    x, y, _ = scene.ego.pose(float(t))
    gaps = [np.array(a.trajectory.pose(float(t))[:2]) - (x, y) for a in scene.actors if a.label == "person"]
    assert any(4 < gap[0] < 14 and abs(gap[1]) < 3 for gap in gaps)


@pytest.mark.parametrize("duration", [0.0, -1.0, float("nan")])
def test_a_drive_has_a_duration(duration: float) -> None:
    with pytest.raises(EdgeGuardError, match="must be above 0"):
        build_scene("tunnel", duration_s=duration)


def test_one_who_cuts_in_comes_from_behind_and_ends_up_close_ahead_in_the_lane() -> None:
    scene = built("cut_in", 3, duration_s=6.0)
    cutter = scene.actors[0].trajectory
    begun, ended = (np.array(cutter.pose(t)[:2]) - scene.ego.pose(t)[:2] for t in (0.0, 6.0))
    assert begun[0] < 5.0 and begun[1] == pytest.approx(3.5)
    assert ended[1] == pytest.approx(0.0, abs=0.01)
    close = [
        gap[0]
        for t in np.arange(0.0, 6.0, 0.1)
        if abs((gap := np.array(cutter.pose(float(t))[:2]) - scene.ego.pose(float(t))[:2])[1]) < 1.0
    ]
    assert 5.0 < min(close) < 16.0
    leaning = max(abs(cutter.pose(float(t))[2]) for t in np.arange(0.0, 6.0, 0.1))
    assert np.deg2rad(5) < leaning < np.deg2rad(35), "it looks where it goes"


def test_a_crowd_is_dense_and_hides_itself() -> None:
    scene = build_scene("crowd", 3, duration_s=7.0)
    seen = Renderer(scene).render(60)[1]
    people = [v for i, v in seen.items() if scene.actors[i].label == "person" and v.area_px > 150]
    assert len(people) >= 8 and sum(0.2 < p.occlusion < 0.95 for p in people) >= 2


def test_a_billboard_shows_a_car_to_the_driver_and_stands_in_nobodys_way() -> None:
    scene = built("billboard", 3, duration_s=1.0)
    boards = [s for s in scene.surfaces if s.v[2] < -2.0 and -s.u[1] > 2.0 and abs(s.origin[0]) < 100]
    assert len(boards) >= 3 and all(s.texture[..., :3].std() > 20 for s in boards)
    for board in boards:
        middle = board.origin + board.u / 2 + board.v / 2
        assert abs(middle[1]) - abs(board.u[1]) / 2 > 6.0, "beside the road"
        assert any(np.all((np.array(b.low) <= middle) & (middle <= np.array(b.high))) for b in scene.boxes)
    assert {a.label for a in scene.actors} <= {"car", "person"}
