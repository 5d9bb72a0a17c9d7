"""Projection and transforms, against OpenCV and against each other."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeguard.rig import CameraModel, Rig, TransformTree, pose_matrix

K = np.array([[700.0, 0, 600], [0, 710, 180], [0, 0, 1]])


def camera(model: str = "plumb_bob", *distortion: float) -> CameraModel:
    return CameraModel("camera", 1200, 360, K, model, np.array(distortion))


def cloud(seed: int = 0, n: int = 500) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.uniform(-1, 1, (n, 3)) * (20, 5, 0) + rng.uniform(2, 40, (n, 1)) * (0, 0, 1)).astype(
        np.float32
    )


@pytest.mark.parametrize(
    ("model", "distortion"),
    [
        ("plumb_bob", ()),
        ("plumb_bob", (-0.3, 0.1, 0.001, -0.002, 0.0)),
        ("rational_polynomial", (0.1, -0.05, 0.0, 0.001, 0.01, 0.05, 0.01, 0.002)),
    ],
)
def test_pinholes_project_as_opencv_does(model: str, distortion: tuple[float, ...]) -> None:
    points = cloud()
    uv, inside = camera(model, *distortion).project(points)
    expected, _ = cv2.projectPoints(
        points.astype(np.float64).reshape(-1, 1, 3),
        np.zeros(3),
        np.zeros(3),
        K,
        np.array(distortion or [0.0] * 5),
    )
    assert inside.sum() > 50
    np.testing.assert_allclose(uv[inside], expected.reshape(-1, 2)[inside], atol=0.01)


def test_fisheyes_project_as_opencv_does() -> None:
    points, d = cloud(), np.array([0.01, -0.002, 0.0005, 0.0])
    uv, inside = camera("equidistant", *d).project(points)
    expected, _ = cv2.fisheye.projectPoints(
        points.astype(np.float64).reshape(-1, 1, 3), np.zeros(3), np.zeros(3), K, d
    )
    np.testing.assert_allclose(uv[inside], expected.reshape(-1, 2)[inside], atol=0.01)


def test_nothing_behind_or_beside_the_camera_is_in_view() -> None:
    points = np.array([[0, 0, -5], [0, 0, 0], [50, 0, 5], [0, 0, 5]], np.float32)
    assert camera("plumb_bob", -0.4, 0.2, 0, 0, 0).project(points)[1].tolist() == [False, False, False, True]


def test_an_unknown_distortion_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'magic' is none of plumb_bob"):
        camera("magic")


def test_focal_lengths_must_be_positive() -> None:
    with pytest.raises(ValueError, match="positive focal"):
        CameraModel("camera", 10, 10, np.zeros((3, 3)))


angles = st.floats(-3.0, 3.0)


@given(st.tuples(angles, angles, angles), st.tuples(angles, angles, angles, angles).filter(any))
def test_a_chain_there_and_back_is_the_identity(
    translation: tuple[float, float, float], quaternion: tuple[float, float, float, float]
) -> None:
    tree = TransformTree()
    tree.add("base", "mast", pose_matrix(translation, quaternion))
    tree.add("mast", "lidar", pose_matrix((0.1, 0.2, 0.3), (0, 0, 0.7071, 0.7071)))
    tree.add("base", "camera", pose_matrix((1.0, 0.0, 1.2), (0.5, -0.5, 0.5, -0.5)))
    there, back = tree.lookup("camera", "lidar"), tree.lookup("lidar", "camera")
    assert there is not None and back is not None
    np.testing.assert_allclose(there @ back, np.eye(4), atol=1e-9)


def test_frames_that_are_not_connected_have_no_transform() -> None:
    tree = TransformTree()
    tree.add("base", "lidar", np.eye(4))
    tree.add("world", "camera", np.eye(4))
    assert tree.lookup("camera", "lidar") is None
    rig = Rig.from_tree(camera(), tree)
    assert rig.transform("lidar", cloud()) is None
    np.testing.assert_array_equal(rig.transform("camera", cloud()), cloud())


def test_a_looped_tree_ends() -> None:
    tree = TransformTree()
    tree.add("a", "b", np.eye(4))
    tree.add("b", "a", np.eye(4))
    assert tree.lookup("a", "b") is not None


def test_a_transform_moves_points_as_its_matrix_says() -> None:
    tree = TransformTree()
    tree.add("camera", "lidar", pose_matrix((1, 2, 3), (0, 0, 1, 1)))
    moved = Rig.from_tree(camera(), tree).transform("/lidar", np.array([[1.0, 0, 0]], np.float32))
    np.testing.assert_allclose(moved, [[1.0, 3.0, 3.0]], atol=1e-6)
