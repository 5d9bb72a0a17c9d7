"""The attacks on a real recording fool a real network."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeguard.engine import Engine, open_engine
from edgeguard.redteam import attack_bag


@pytest.fixture(scope="module")
def yolox(shared: Path) -> Engine:
    pytest.importorskip("onnxruntime")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEGUARD_MODELS", str(shared / "models"))
        return open_engine("yolox_nano")


@pytest.mark.parametrize("kind", ["phantom", "hide", "blind"])
def test_yolox_is_fooled_on_most_frames(kind: str, shared: Path, yolox: Engine, tmp_path: Path) -> None:
    bag = shared / "data" / "kitti_a"
    outcome = attack_bag(bag, tmp_path / kind, kind, engine=lambda: yolox, start_s=2.0, duration_s=0.6)
    assert outcome.frames == 7
    assert outcome.fooled is not None
    assert outcome.fooled >= 6
