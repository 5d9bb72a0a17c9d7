"""Engines on disk: real ones from the shared folder, and tiny ONNX files with known outputs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from host_cuda import HostKernels

from edgeguard.types import Image


@pytest.fixture(scope="session")
def kitti(shared: Path) -> list[Image]:
    """The 39 real images of kitti_a."""
    from rosbags.highlevel import AnyReader

    images = []
    with AnyReader([shared / "data" / "kitti_a"]) as reader:
        camera = [c for c in reader.connections if c.topic == "/camera/image/compressed"]
        for connection, stamp, raw in reader.messages(camera):
            message: Any = reader.deserialize(raw, connection.msgtype)
            bgr = cv2.imdecode(np.asarray(message.data), cv2.IMREAD_COLOR)
            images.append(Image(stamp, "camera_optical", bgr))
    return images


@pytest.fixture(scope="session")
def host_kernels(tmp_path_factory: pytest.TempPathFactory) -> HostKernels:
    """The GPU kernels' source, compiled for the CPU."""
    return HostKernels(tmp_path_factory.mktemp("kernels"))


@pytest.fixture
def yolox_weights(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with YOLOX-nano's weights, in EDGEGUARD_MODELS."""
    folder = shared / "models"
    if not (folder / "yolox_nano_416x416.onnx").is_file():
        pytest.skip(f"yolox_nano_416x416.onnx is not in {folder}")
    monkeypatch.setenv("EDGEGUARD_MODELS", str(folder))
    return folder


MakeEngine = Callable[..., Path]


@pytest.fixture
def make_engine(tmp_path: Path) -> MakeEngine:
    """Write an ONNX file that answers any image with given arrays, and an engine.yaml beside it.

    Without `outputs` the network answers with its own input, or with what `nodes` make of it.
    """
    onnx = pytest.importorskip("onnx", reason="onnx builds the networks of these tests")

    def make(
        outputs: Mapping[str, np.ndarray] | None = None,
        *,
        name: str = "made",
        size: tuple[int, int] = (64, 32),
        inputs: Mapping[str, tuple[int, ...]] | None = None,
        batch: int | str = 1,
        nodes: list[Any] | None = None,
        **keys: Any,
    ) -> Path:
        width, height = size
        helper, kinds = onnx.helper, onnx.TensorProto
        shape = [batch, 3, height, width]
        ins = [helper.make_tensor_value_info("images", kinds.FLOAT, shape)]
        ins += [helper.make_tensor_value_info(n, kinds.INT64, s) for n, s in (inputs or {}).items()]
        if nodes is not None:
            outs = [helper.make_tensor_value_info("seen", kinds.FLOAT, shape)]
        elif outputs is None:
            nodes = [helper.make_node("Identity", ["images"], ["seen"])]
            outs = [helper.make_tensor_value_info("seen", kinds.FLOAT, shape)]
        else:
            nodes = [
                helper.make_node("Constant", [], [n], value=onnx.numpy_helper.from_array(a))
                for n, a in outputs.items()
            ]
            outs = [
                helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
                for n, a in outputs.items()
            ]
        graph = helper.make_graph(nodes, "made", ins, outs)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        folder = tmp_path / name
        folder.mkdir()
        onnx.save(model, str(folder / "model.onnx"))
        spec: dict[str, Any] = {
            "weights": {
                "file": "model.onnx",
                "sha256": hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest(),
            },
            "input": {"width": width, "height": height},
            "decoder": "yolo",
            "classes": ["Car", "Person"],
        }
        for key, value in keys.items():
            spec[key] = {**spec[key], **value} if isinstance(spec.get(key), dict) else value
        (folder / "engine.yaml").write_text(yaml.safe_dump(spec))
        return folder / "engine.yaml"

    return make
