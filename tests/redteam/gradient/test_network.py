"""Gradients are only worth something if they are those of the engine that is to be fooled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeguard.engine import Engine, open_engine
from edgeguard.engine.spec import LoadedSpec, load_spec
from edgeguard.engine.weights import weights_path
from edgeguard.errors import EngineError
from edgeguard.types import Image

torch = pytest.importorskip("torch", reason="no torch: pip install 'edgeguard[redteam]'")
torch.set_num_threads(1)
pytest.importorskip("onnxruntime")

from edgeguard.redteam.gradient.network import Network  # noqa: E402
from edgeguard.redteam.gradient.victim import Victim  # noqa: E402


@pytest.fixture(scope="module")
def engine() -> Engine:
    return open_engine("sim_detector")


def picture() -> np.ndarray:
    from edgeguard.sim.samples import sample_scene

    return next(sample_scene("car_following", 902, 1)).bgr


def test_boxes_and_scores_are_the_engines(engine: Engine) -> None:
    bgr = picture()
    found = engine.detect(Image(0, "", bgr))
    assert len(found)
    h, w = bgr.shape[:2]
    victim = Victim(engine.loaded)
    [placement] = victim.placements(w, h)
    answer = victim.look(torch.from_numpy(bgr.transpose(2, 0, 1).copy()).float(), placement)
    score = answer.score.amax(1)
    for box, sure in zip(found.xyxy, found.score):
        off = (answer.xyxy.clamp(min=0) - torch.from_numpy(box)).abs()
        off = torch.minimum(off, (answer.xyxy.clamp(max=w) - torch.from_numpy(box)).abs()).amax(1)
        same = (off < 2.0) & ((score - float(sure)).abs() < 0.02)
        assert bool(same.any())


def test_a_step_against_the_gradient_does_what_it_says(engine: Engine) -> None:
    victim, bgr = Victim(engine.loaded), picture()
    [placement] = victim.placements(bgr.shape[1], bgr.shape[0])
    knob = torch.from_numpy(bgr.transpose(2, 0, 1).copy()).float().requires_grad_()
    before = victim.look(knob, placement).score.sum()
    before.backward()
    with torch.no_grad():
        after = victim.look(knob - 1.0 * knob.grad.sign(), placement).score.sum()
    assert float(after) < 0.9 * float(before.detach())


def test_an_unknown_operator_is_named(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("Erf", ["x"], ["y"])],
        "g",
        [value("x", TensorProto.FLOAT, [1])],
        [value("y", TensorProto.FLOAT, [1])],
    )
    onnx.save(helper.make_model(graph), tmp_path / "odd.onnx")
    with pytest.raises(EngineError, match=r"odd\.onnx.*Erf"):
        Network(tmp_path / "odd.onnx")


def test_a_head_that_no_gradient_is_taken_through_is_named() -> None:
    loaded = load_spec("sim_detector")
    other = LoadedSpec(loaded.path, loaded.spec.model_copy(update={"decoder": "rtdetr"}))
    with pytest.raises(EngineError, match=r"rtdetr.*`decoder: ssd`"):
        Victim(other)


def test_pictures_of_any_size_have_their_own_cells(engine: Engine) -> None:
    network = Network(weights_path(engine.loaded))
    for width, height in ((512, 288), (320, 192)):
        cells = sum((width // stride) * (height // stride) for stride in (8, 16, 32))
        assert network(torch.zeros(2, 3, height, width)).shape == (2, cells, 8)
