"""The SSD that gradients are taken through is the one that OpenCV runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeguard.bags import BagReader
from edgeguard.engine import Engine, open_engine
from edgeguard.errors import EngineError
from edgeguard.types import U8, Channel, Image

torch = pytest.importorskip("torch", reason="no torch: pip install 'edgeguard[redteam]'")
torch.set_num_threads(1)

from edgeguard.redteam.gradient.tensorflow import SsdGraph, anchors  # noqa: E402
from edgeguard.redteam.gradient.victim import Victim  # noqa: E402


@pytest.fixture(scope="module")
def engine() -> Engine:
    try:
        return open_engine("ssd_mobilenet_v2")
    except EngineError as e:
        pytest.skip(f"SSD-MobileNetV2 is not here: {e}")


@pytest.fixture(scope="module")
def crop(shared: Path) -> U8:
    """A square of `kitti_a` with a car in it: one region, not tiled."""
    with BagReader(shared / "data" / "kitti_a") as reader:
        bgr = next(m.value.bgr for m in reader.messages() if m.channel == Channel.CAMERA)
    return np.ascontiguousarray(bgr[:, 400:775])


def test_boxes_and_scores_are_the_engines_and_have_a_slope(engine: Engine, crop: U8) -> None:
    found = engine.detect(Image(0, "", crop))
    assert len(found) >= 2
    victim = Victim(engine.loaded)
    [placement] = victim.placements(crop.shape[1], crop.shape[0])
    knob = torch.from_numpy(crop.transpose(2, 0, 1).copy()).float().requires_grad_()
    answer = victim.look(knob, placement)
    for box, sure, label in zip(found.xyxy, found.score, found.labels):
        score = answer.score[:, victim.classes(frozenset({label}))].amax(1)
        off = (answer.xyxy.clamp(0, 375) - torch.from_numpy(box)).abs().amax(1)
        assert bool(((off < 2.0) & ((score - float(sure)).abs() < 0.02)).any())
    [slope] = torch.autograd.grad(answer.score.amax(), knob)
    assert float(slope.abs().sum()) > 0


def test_anchors_are_the_apis() -> None:
    found = anchors(((19, 19), (10, 10), (5, 5), (3, 3), (2, 2), (1, 1)))
    assert found.shape == (1917, 4)
    assert found[0] == pytest.approx([0.5 / 19, 0.5 / 19, 0.1, 0.1])
    assert found[1] == pytest.approx([0.5 / 19, 0.5 / 19, 0.2 / 2**0.5, 0.2 * 2**0.5])
    assert found[-1] == pytest.approx([0.5, 0.5, 0.95**0.5, 0.95**0.5])


@pytest.mark.parametrize("content", [b"", b"\xff\xff\xff no graph"])
def test_what_is_no_ssd_graph_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "odd.pb").write_bytes(content)
    with pytest.raises(EngineError, match=r"odd\.pb.*(no frozen TensorFlow graph|no SSD)"):
        SsdGraph(tmp_path / "odd.pb")
