"""The picture obeys perspective, depth and the seed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from worlds import built

from edgeguard.errors import EdgeGuardError
from edgeguard.sim.camera import Renderer
from edgeguard.sim.scenes import build_scene
from edgeguard.sim.world import Scene


@pytest.fixture(scope="module")
def scene() -> Scene:
    return built("car_following", 3)


@pytest.fixture(scope="module")
def renderer(scene: Scene) -> Renderer:
    return Renderer(scene)


def test_same_frame_whatever_was_rendered_before() -> None:
    renderer = Renderer(build_scene("tunnel", 3, duration_s=1.0))
    first, _ = renderer.render(4)
    renderer.render(5)
    again, _ = Renderer(build_scene("tunnel", 3, duration_s=1.0)).render(4)
    assert np.array_equal(first, again)
    other, _ = Renderer(build_scene("tunnel", 4, duration_s=1.0)).render(4)
    assert not np.array_equal(first, other)


def test_lead_car_box_is_where_projection_puts_it(scene: Scene, renderer: Renderer) -> None:
    _, visible = renderer.render(30)
    t = scene.time(30)
    lead = scene.actors[0]
    length, width, height = lead.size
    corners = np.array(
        [
            [x, y, z, 1]
            for x in (-length / 2, length / 2)
            for y in (-width / 2, width / 2)
            for z in (0, height)
        ]
    )
    optical = (renderer.camera_matrix(t) @ scene.actor_matrix(lead, t) @ corners.T).T[:, :3]
    uv, _ = scene.camera.project(optical.astype(np.float32))
    box = np.concatenate([uv.min(0), uv.max(0)])
    assert np.abs(visible[0].xyxy - box).max() < 3
    assert visible[0].occlusion < 0.05


def test_what_stands_behind_is_occluded(scene: Scene, renderer: Renderer) -> None:
    seen = [v for i in range(0, 100, 10) for v in renderer.render(i)[1].values()]
    assert max(v.occlusion for v in seen) > 0.5
    assert all(0 <= v.visible_px <= v.area_px for v in seen)


def test_still_frames_differ_by_sensor_noise_only(scene: Scene, renderer: Renderer) -> None:
    sky = [renderer.render(i)[0][:40, 250:390].astype(float) for i in (10, 11)]
    assert 0.5 * scene.imager.noise_sigma < np.std(sky[0] - sky[1]) < 3 * scene.imager.noise_sigma


def test_a_texture_on_the_road_obeys_a_homography(scene: Scene, renderer: Renderer) -> None:
    """A lane line that is straight in the world is straight in the picture, and narrows with range."""
    image, _ = renderer.render(60)
    white = (image.min(2) > 185).astype(np.uint8)
    widths = []
    for row in (230, 330):
        edge = np.flatnonzero(white[row, 330:])
        assert len(edge)
        run = np.split(edge, np.flatnonzero(np.diff(edge) > 1) + 1)[0]
        widths.append(len(run))
    assert widths[1] > 2 * widths[0]


def test_unknown_scene_is_named_with_those_there_are() -> None:
    with pytest.raises(EdgeGuardError, match="'moon'.*car_following"):
        build_scene("moon")


def test_jpeg_keeps_what_the_detector_needs(scene: Scene, renderer: Renderer) -> None:
    from edgeguard.types import Image
    from tests.sim.stand_in import SimDetector

    image, _ = renderer.render(50)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 95])
    plain = SimDetector().detect(Image(0, "c", image))
    packed = SimDetector().detect(Image(0, "c", np.asarray(cv2.imdecode(data, 1), np.uint8)))
    assert abs(len(plain) - len(packed)) <= 1
