from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeguard.engine.spec import known_engines, load_spec
from edgeguard.errors import EngineError, ParameterError


def test_every_engine_that_ships_is_valid() -> None:
    assert {"yolox_nano", "ssd_mobilenet_v2"} <= set(known_engines())
    for name in known_engines():
        assert load_spec(name).name == name


def test_ssd_numbers_are_cocos_own_with_gaps() -> None:
    labels = load_spec("ssd_mobilenet_v2").labels
    assert (labels[0], labels[1], labels[3], labels[12], labels[13]) == ("", "person", "car", "", "stop sign")
    assert labels[90] == "toothbrush"
    assert len([label for label in labels if label]) == 80


def test_an_unknown_engine_names_the_known_ones() -> None:
    with pytest.raises(EngineError, match=r"yolov99.*known engines: .*ssd_mobilenet_v2.*yolox_nano"):
        load_spec("yolov99")


def test_found_by_yaml_by_folder_and_by_model(make_engine: Any) -> None:
    path: Path = make_engine()
    assert (
        load_spec(path).path
        == load_spec(path.parent).path
        == load_spec(path.parent / "model.onnx").path
        == path
    )


def test_class_names_become_lower_case(make_engine: Any) -> None:
    assert load_spec(make_engine()).labels == ("car", "person")


def test_a_model_without_a_specification_says_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "lonely.onnx").write_bytes(b"")
    with pytest.raises(EngineError, match=r"no engine.yaml lies beside .*lonely.onnx.*docs/engines.md"):
        load_spec(tmp_path / "lonely.onnx")


def test_a_model_that_the_specification_does_not_mean_is_refused(make_engine: Any) -> None:
    other = make_engine().parent / "other.onnx"
    other.write_bytes(b"")
    with pytest.raises(EngineError, match="describes model.onnx"):
        load_spec(other)


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not exist"):
        load_spec(tmp_path / "engine.yaml")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"decoder": "yolo9000"}, "decoder"),
        ({"treshold": {}}, "did you mean thresholds"),
        ({"input": {"std": [1, 0, 1]}}, "std must be positive"),
        ({"input": {"width": 0}}, "input.width"),
        ({"weights": {"sha256": "abc"}}, "weights.sha256"),
        ({"thresholds": {"score": 1.5}}, "thresholds.score"),
        ({"decoder": "yolox", "input": {"width": 100}}, "multiple of 32"),
    ],
)
def test_a_wrong_key_is_named(make_engine: Any, keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError) as e:
        load_spec(make_engine(**keys))
    assert words in str(e.value)
    assert "engine.yaml" in str(e.value)


@pytest.mark.parametrize("text", ["", "- a\n", "a: [", "\x00"])
def test_a_file_that_is_no_specification(tmp_path: Path, text: str) -> None:
    (tmp_path / "engine.yaml").write_text(text)
    with pytest.raises(ParameterError, match=r"engine\.yaml"):
        load_spec(tmp_path)


@pytest.mark.parametrize(
    ("classes", "words"),
    [("gone.txt", "gone.txt cannot be read"), ([], "no classes"), (["a", "A"], "named twice: a")],
)
def test_classes_that_cannot_be(make_engine: Any, classes: Any, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        load_spec(make_engine(classes=classes))
