"""The kernels against the CPU path, their source compiled for the CPU: a stand-in for a GPU."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from edgeguard.engine.backends.tensorrt.pipeline import ENCODINGS
from edgeguard.engine.backends.tensorrt.taps import taps
from edgeguard.engine.decode import candidates, yolo, yolox
from edgeguard.engine.preprocess import gain_and_shift, place, to_tensor
from edgeguard.engine.raw import RawImage
from edgeguard.engine.spec import EngineSpec, InputSpec
from edgeguard.engine.tiles import Region

HEAD = 4


def picture(width: int, height: int) -> np.ndarray:
    """A picture with edges, gradients and noise."""
    rng = np.random.default_rng(5)
    coarse = cv2.resize(rng.integers(0, 256, (6, 9, 3), np.uint8), (width, height))
    return np.asarray(np.clip(coarse.astype(int) + rng.integers(-20, 20, coarse.shape), 0, 255), np.uint8)


def encoded(bgr: np.ndarray, encoding: str) -> RawImage:
    height, width = bgr.shape[:2]
    if encoding == "mono8":
        data = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
    elif encoding in ("bgr8", "rgb8"):
        data = (bgr if encoding == "bgr8" else bgr[:, :, ::-1]).reshape(height, width * 3)
    else:
        y = cv2.cvtColor(bgr, cv2.COLOR_BGR2YUV_I420)
        u, v = (c.reshape(height // 2, width // 2) for c in np.split(y[height:].reshape(2, -1), 2))
        if encoding == "nv12":
            data = np.concatenate([y[:height], np.stack([u, v], -1).reshape(height // 2, width)])
        else:
            chroma = np.repeat(np.stack([u, v], -1).reshape(height // 2, width), 2, axis=0)
            data = np.stack([y[:height], chroma], -1).reshape(height, width * 2)
    return RawImage(0, "camera", encoding, width, height, np.ascontiguousarray(data))  # type: ignore[arg-type]


def on_kernel(kernels: Any, image: RawImage, regions: list[Region], spec: InputSpec) -> np.ndarray:
    table = np.stack([taps(place(r, spec), spec) for r in regions])
    tensor = np.full((len(regions), 3, spec.height, spec.width), np.nan, np.float32)
    rows, pitch = image.data.shape
    kernels.launch(
        "preprocess",
        (-(-spec.width // 32), -(-spec.height // 8), len(regions)),
        (32, 8, 1),
        image.data,
        tensor,
        table,
        np.zeros(len(regions), np.int32),
        np.concatenate(gain_and_shift(spec)),
        ENCODINGS.index(image.encoding),
        rows * pitch,
        pitch,
        image.height,
        spec.width,
        spec.height,
        int(spec.colour == "rgb"),
        spec.resize.pad,
    )
    return tensor


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("rule", ["letterbox", "stretch"])
@pytest.mark.parametrize("colour", ["bgr", "rgb"])
def test_preprocessing_is_within_a_level_of_the_cpu_path(
    host_kernels: Any, encoding: str, rule: str, colour: str
) -> None:
    image = encoded(picture(620, 188), encoding)
    regions = [Region(0, 0, 620, 188), Region(17, 3, 201, 170), Region(500, 100, 120, 88)]
    spec = InputSpec(width=160, height=128, colour=colour, resize={"rule": rule})  # type: ignore[arg-type]
    got = on_kernel(host_kernels, image, regions, spec)
    wanted = to_tensor(image.to_bgr(), [place(r, spec) for r in regions], spec)
    assert np.abs(got - wanted).max() <= 1.0
    assert np.mean(got != wanted) < 0.01


def test_preprocessing_normalises_as_the_cpu_path_does(host_kernels: Any) -> None:
    image = encoded(picture(200, 200), "bgr8")
    spec = InputSpec(width=96, height=64, scale=1 / 255, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    regions = [Region(0, 0, 200, 200)]
    got = on_kernel(host_kernels, image, regions, spec)
    wanted = to_tensor(image.to_bgr(), [place(r, spec) for r in regions], spec)
    assert np.abs(got - wanted).max() <= 1 / 255 / 0.2 + 1e-5


def engine(decoder: str, classes: int) -> EngineSpec:
    return EngineSpec.model_validate(
        {
            "weights": {"file": "m.onnx", "sha256": "0" * 64},
            "input": {"width": 96, "height": 64},
            "decoder": decoder,
            "classes": [f"c{i}" for i in range(classes)],
        }
    )


@pytest.mark.parametrize("share", [0.02, 0.9])
def test_decoding_gives_what_the_cpu_path_gives(host_kernels: Any, share: float) -> None:
    rng = np.random.default_rng(3)
    anchors, classes = 12 * 8 + 6 * 4 + 3 * 2, 5
    raw = rng.normal(0, 1, (2, anchors, 5 + classes)).astype(np.float32)
    raw[..., 4] = rng.random((2, anchors)) < share
    raw[..., 5:] = rng.random((2, anchors, classes))
    spec = engine("yolox", classes)
    for name, data, cpu, sizes in (
        ("decode_yolox", raw, yolox, (96, 64)),
        ("decode_yolo", np.ascontiguousarray(np.delete(raw, 4, 2).transpose(0, 2, 1)), yolo, (1.0, 1.0)),
    ):
        first = np.zeros((2, HEAD, 7), np.float32)
        rest = np.zeros((2, anchors, 7), np.float32)
        count = np.zeros(2, np.int32)
        host_kernels.launch(
            name, (1, 2, 1), (256, 1, 1), data, first, rest, count, HEAD, anchors, classes, *sizes, 0.3
        )
        wanted = cpu([data], ["out"], spec, classes)
        for i in range(2):
            overflow = max(0, count[i] - HEAD)
            rows = np.concatenate([first[i, : min(HEAD, count[i])], rest[i, :overflow]])
            rows = rows[np.argsort(rows[:, 6], kind="stable")]
            got = candidates(rows[:, :4], rows[:, 4], rows[:, 5])
            np.testing.assert_allclose(got.xyxy, wanted[i].xyxy, rtol=1e-4, atol=1e-3)
            np.testing.assert_allclose(got.score, wanted[i].score, rtol=1e-5)
            assert np.array_equal(got.class_id, wanted[i].class_id)
            assert len(got.score) > (HEAD if share > 0.5 else 0)
