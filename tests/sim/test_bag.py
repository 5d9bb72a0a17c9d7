"""A scene's recording reads as a vehicle's would."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pytest
from worlds import built

from edgeguard.bags import BagReader
from edgeguard.errors import BagError
from edgeguard.rig import Rig, TransformTree
from edgeguard.sim.bag import write_bag
from edgeguard.sim.radar import Radar
from edgeguard.sim.scenes import build_scene
from edgeguard.sim.world import Scene
from edgeguard.types import Channel
from tests.sim.stand_in import SimDetector


@pytest.fixture(scope="module")
def scene() -> Scene:
    return dataclasses.replace(built("car_following", 3), duration_s=0.5)


@pytest.fixture(scope="module")
def bag(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bag(tmp_path_factory.mktemp("sim") / "clean", scene)


def test_channels_are_found_and_truth_is_not_among_them(bag: Path) -> None:
    with BagReader(bag) as reader:
        topics = {getattr(k, "value", k): v for k, v in reader.topics.items()}
        recorded = {c.topic for c in reader.connections}
    assert topics == {
        "camera": "/camera/image/compressed",
        "camera_info": "/camera/camera_info",
        "lidar": "/lidar/points",
        "radar": "/radar/points",
        "ego": "/odometry",
        "tf_static": "/tf_static",
    }
    assert {"/ground_truth/detections", "/ground_truth/objects"} <= recorded


def test_points_on_the_lead_project_into_its_true_box(bag: Path, scene: Scene) -> None:
    tree, camera, points = TransformTree(), None, None
    truth = None
    with BagReader(bag, topics={Channel.DETECTIONS: "/ground_truth/detections"}) as reader:
        for item in reader.messages():
            if item.channel == "camera_info":
                camera = item.value
            elif item.channel == "tf_static":
                for parent, child, pose in item.value:
                    tree.add(parent, child, pose)
            elif item.channel == Channel.LIDAR:
                points = points or item.value
            elif item.channel == Channel.DETECTIONS:
                truth = truth or item.value
    rig = Rig.from_tree(camera, tree)
    optical = rig.transform(points.frame_id, points.xyz)
    uv, inside = rig.camera.project(optical)
    box = truth.xyxy[0]
    in_box = inside & (uv >= box[:2]).all(1) & (uv <= box[2:]).all(1)
    t = scene.time(0)
    gap = scene.actors[0].trajectory.pose(t)[0] - scene.ego.pose(t)[0]
    rear = gap - scene.actors[0].size[0] / 2 - scene.camera_xyz[0]
    assert abs(np.median(optical[in_box, 2]) - rear) < 0.5


def test_odometry_tells_the_speed(bag: Path, scene: Scene) -> None:
    with BagReader(bag) as reader:
        speeds = [item.value.speed for item in reader.messages() if item.channel == Channel.EGO]
    assert len(speeds) == 25
    assert abs(np.mean(speeds) - scene.ego.speed(0.25)) < 0.1


def test_same_scene_same_bytes(bag: Path, scene: Scene, tmp_path: Path) -> None:
    again = write_bag(tmp_path / "clean", scene)
    one, two = (hashlib.sha256(next(p.glob("*.mcap")).read_bytes()).digest() for p in (bag, again))
    assert one == two


def test_radar_is_read_with_its_range_rates(bag: Path, scene: Scene) -> None:
    with BagReader(bag) as reader:
        cycles = [item.value for item in reader.messages() if item.channel == Channel.RADAR]
    true = Radar(scene).cycle(0)
    assert len(cycles) == 5 and cycles[0].frame_id == "radar"
    assert np.array_equal(cycles[0].xyz, true.xyz)
    assert np.array_equal(cycles[0].range_rate, true.range_rate)
    assert np.array_equal(cycles[0].snr, true.snr)


def test_several_processes_write_the_same_bytes(scene: Scene, tmp_path: Path) -> None:
    short = dataclasses.replace(build_scene("tunnel", 0, duration_s=0.5), duration_s=0.3)
    one, two = (write_bag(tmp_path / f"{n}" / "bag", short, workers=n) for n in (1, 2))
    assert (one / "bag.mcap").read_bytes() == (two / "bag.mcap").read_bytes()


def test_a_given_detector_is_recorded(scene: Scene, tmp_path: Path) -> None:
    short = dataclasses.replace(scene, duration_s=0.2)
    with BagReader(write_bag(tmp_path / "seen", short, detector=SimDetector())) as reader:
        found = [item.value for item in reader.messages() if item.channel == Channel.DETECTIONS]
    assert len(found) == 2
    assert "car" in found[0].labels


def test_an_existing_folder_is_not_overwritten(bag: Path, scene: Scene) -> None:
    with pytest.raises(BagError, match="exists"):
        write_bag(bag, scene)
