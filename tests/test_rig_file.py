"""A rig file says what camera_info and /tf_static would; what it gets wrong is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeguard.errors import ParameterError
from edgeguard.rig import Rig, TransformTree
from edgeguard.rig_file import load_rig

RIG = """
camera:
  {frame_id: camera, width: 1242, height: 375, fx: 720.0, fy: 721.0, cx: 610.0, cy: 173.0}
transforms:
  - {parent: base_link, child: camera, xyz: [1.0, 0.0, 1.5], quaternion: [-0.5, 0.5, -0.5, 0.5]}
  - {parent: base_link, child: lidar, xyz: [1.0, 0.0, 1.5], quaternion: [0, 0, 0, 1]}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rig.yaml"


def test_a_rig_file_projects_as_the_vehicle_would(path: Path) -> None:
    path.write_text(RIG)
    camera, transforms = load_rig(path)
    tree = TransformTree()
    for transform in transforms:
        tree.add(*transform)
    ahead = Rig.from_tree(camera, tree).transform("lidar", np.array([[10.0, -1.0, 0.5]], np.float32))
    np.testing.assert_allclose(ahead, [[1.0, -0.5, 10.0]], atol=1e-6)
    uv, seen = camera.project(ahead)
    assert seen.all()
    np.testing.assert_allclose(uv, [[610 + 72.0, 173 - 36.05]], atol=1e-3)


@pytest.mark.parametrize(
    "change, told",
    [
        (("fx: 720.0", "fx: -1"), "camera.fx = -1"),
        (("width: 1242, ", ""), "camera.width"),
        (("width", "widht"), "did you mean camera.width"),
        (("cy: 173.0", "cy: .nan"), "camera.cy"),
        (("cy: 173.0", "cy: 173.0, distortion: [0.1]"), "0 or 4 or 5 coefficients"),
        (("[0, 0, 0, 1]", "[0, 0, 0, 0]"), "no rotation"),
        (("camera:\n", "camera: [\n"), "is not YAML"),
    ],
)
def test_what_is_wrong_is_named(path: Path, change: tuple[str, str], told: str) -> None:
    path.write_text(RIG.replace(*change))
    with pytest.raises(ParameterError, match=str(path)) as caught:
        load_rig(path)
    assert told in str(caught.value)


def test_a_file_that_is_empty_or_missing_is_named(path: Path) -> None:
    with pytest.raises(ParameterError, match="cannot be read"):
        load_rig(path)
    path.write_text("")
    with pytest.raises(ParameterError, match="camera"):
        load_rig(path)
