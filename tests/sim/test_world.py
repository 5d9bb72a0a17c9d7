"""What is printed on the world is on it: perspective, occlusion, light; and mistakes are named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from worlds import car, empty, going, plain

from edgeguard.errors import EdgeGuardError
from edgeguard.sim.camera import Renderer
from edgeguard.sim.conditions import Light
from edgeguard.sim.lidar import RayCaster
from edgeguard.sim.trajectory import Trajectory
from edgeguard.sim.world import Scene

MAGENTA = plain((255, 0, 255))
SIZE = (1.0, 0.5)


def behind_a_car(range_m: float = 12.0) -> Scene:
    return empty(Trajectory.standing(0, 0), car(0, Trajectory.standing(range_m, 0)))


def box_of(image: np.ndarray) -> np.ndarray:
    """The box of all that is magenta."""
    b, g, r = (image[..., i].astype(int) for i in range(3))
    rows, columns = np.nonzero((b > 180) & (g < 90) & (r > 180))
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])


def projected(scene: Scene, corners: list[tuple[float, float, float]]) -> np.ndarray:
    world = np.column_stack([np.array(corners), np.ones(len(corners))])
    optical = (Renderer(scene).camera_matrix(0.0) @ world.T).T[:, :3]
    uv, _ = scene.camera.project(optical.astype(np.float32))
    return np.concatenate([uv.min(0), uv.max(0)])


@pytest.mark.parametrize("range_m", [8.0, 16.0, 30.0])
def test_a_print_obeys_perspective(range_m: float) -> None:
    scene = behind_a_car(range_m).with_print(0, MAGENTA, size_m=SIZE, center_m=(0.2, 0.6))
    back = range_m - 2.2
    corners = [(back, -0.2 + s * SIZE[0] / 2, 0.6 + u * SIZE[1] / 2) for s in (-1, 1) for u in (-1, 1)]
    image, visible = Renderer(scene).render(0)
    assert np.abs(box_of(image) - projected(scene, corners)).max() < 2
    assert visible[0].occlusion < 0.05


def test_a_print_on_a_side_shows_from_that_side_alone() -> None:
    """The car stands to the left of the camera, so that its right side is seen."""
    scene = empty(Trajectory.standing(0, 0), car(0, Trajectory.standing(10.0, 4.0)))
    right = Renderer(scene.with_print(0, MAGENTA, size_m=SIZE, face="right")).render(0)[0]
    assert box_of(right)[2] < scene.camera.width / 2
    left = Renderer(scene.with_print(0, MAGENTA, size_m=SIZE, face="left")).render(0)[0]
    assert np.array_equal(left, Renderer(scene).render(0)[0])


def test_alpha_cuts_a_print_and_the_scene_it_was_made_of_is_left_alone() -> None:
    scene, hole = behind_a_car(), MAGENTA.copy()
    hole[:, :, 3] = 0
    before = Renderer(scene).render(0)[0]
    assert np.array_equal(Renderer(scene.with_print(0, hole, size_m=SIZE)).render(0)[0], before)
    assert np.array_equal(Renderer(scene).render(0)[0], before)


def test_a_board_hides_what_is_behind_it_from_camera_and_lidar_and_a_car_hides_a_board() -> None:
    scene = behind_a_car(12.0)
    near = scene.with_board(MAGENTA, xy=(6.0, 0.0), size_m=(3.0, 2.5))
    assert Renderer(near).render(0)[1][0].occlusion > 0.95
    owners = RayCaster(near).sweep(0).owner
    assert not (owners == 0).any() and (RayCaster(scene).sweep(0).owner == 0).any()
    far = scene.with_board(MAGENTA, xy=(20.0, 0.0), size_m=(1.5, 1.0))
    assert np.array_equal(Renderer(far).render(0)[0], Renderer(scene).render(0)[0])


def test_a_print_on_the_road_lies_flat() -> None:
    scene = empty(Trajectory.standing(0, 0)).with_road_print(MAGENTA, xy=(10.0, 0.0), size_m=(2.0, 4.0))
    corners = [(x, y, 0.0) for x in (8.0, 12.0) for y in (-1.0, 1.0)]
    assert np.abs(box_of(Renderer(scene).render(0)[0]) - projected(scene, corners)).max() < 2


def test_at_night_a_screen_shines_and_a_poster_does_not() -> None:
    dark = replace(empty(Trajectory.standing(0, 0)), light=Light(ambient=0.1))
    dark = replace(dark, imager=replace(dark.imager, max_gain=1.0))
    at: dict = {"xy": (10.0, 0.0), "size_m": (2.0, 2.0)}
    middle = (180, 320)
    poster = Renderer(dark.with_board(MAGENTA, **at)).render(0)[0][middle]
    screen = Renderer(dark.with_board(MAGENTA, **at, glow=1.0)).render(0)[0][middle]
    assert screen[0] > 240 and poster[0] < 40


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"actor_id": 7}, "no actor 7.*Choose one of: 0"),
        ({"face": "roof"}, "face 'roof': unknown.*rear"),
        ({"size_m": (0.0, 1.0)}, "size is 0.0 m by 1.0 m"),
        ({"texture": MAGENTA[..., :3]}, "expected .* BGRA"),
    ],
)
def test_mistakes_are_named(change: dict, says: str) -> None:
    told = {"actor_id": 0, "texture": MAGENTA, "size_m": SIZE} | change
    with pytest.raises(EdgeGuardError, match=says):
        behind_a_car().with_print(**told)


def test_a_print_moves_with_its_car() -> None:
    scene = empty(Trajectory.standing(0, 0), car(0, going(10.0, start=(8.0, 0.0))))
    renderer = Renderer(scene.with_print(0, MAGENTA, size_m=SIZE))
    first, last = (box_of(renderer.render(i)[0]) for i in (0, 9))
    away = [scene.actors[0].trajectory.pose(scene.time(i))[0] - 2.2 - 1.2 for i in (0, 9)]
    assert (first[2] - first[0]) / (last[2] - last[0]) == pytest.approx(away[1] / away[0], rel=0.1)
