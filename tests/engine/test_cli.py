from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from edgeguard.cli.engine import app
from edgeguard.engine import open_engine
from edgeguard.engine.mixed import Mixture
from edgeguard.errors import EdgeGuardError, EngineError


def run(*arguments: object) -> Result:
    done = CliRunner().invoke(app, [str(a) for a in arguments])
    if isinstance(done.exception, EdgeGuardError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def test_list_names_engines_and_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEGUARD_MODELS", "/no/such/folder")
    said = run("list").output
    assert "yolox_nano" in said
    assert "ssd_mobilenet_v2" in said
    assert "/no/such/folder" in said


def test_bench_measures_stages_and_ratios(make_engine: Any) -> None:
    path = make_engine({"out": np.zeros((1, 6, 3), np.float32)})
    said = json.loads(run("bench", path, "--frames", 5, "--json", "--backend", "opencv").output)
    assert said["backend"] == "opencv"
    assert set(said["stages"]) == {"preprocess", "inference", "postprocess"}
    assert said["image"] == [1242, 375]
    assert said["ratios"]["onnxruntime"] > 0
    t = said["detection"]
    assert 0 < t["p50"] <= t["p99"] <= t["p999"] <= t["max"]
    table = run("bench", path, "--frames", 5).output
    assert "p99.9" in table
    assert "detections a second" in table


@pytest.mark.usefixtures("yolox_weights")
def test_quantize_writes_an_engine_that_runs_and_builds_and_says_what_it_cost(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx", reason="quantising needs onnx")
    out = tmp_path / "int8"
    bag = shared / "data" / "kitti_a"
    said = run("quantize", "yolox_nano", "--bag", bag, "--out", out, "--frames", 4, "--method", "minmax",
               "--max-loss", 1).output  # fmt: skip
    assert "on 4 frames that were not used" in said
    assert "INT8: 73 layers, 78.4% of the multiply-accumulates; 0 left in floating point" in said
    assert "IoU" in said
    assert open_engine(out / "engine.yaml").class_names[2] == "car"
    assert (out / "yolox_nano.int8.onnx").stat().st_size > 1e6
    with pytest.raises(EngineError, match="exists"):
        run("quantize", "yolox_nano", "--bag", bag, "--out", out)
    if find_spec("tensorrt_rtx_bindings") is not None and find_spec("tensorrt") is None:
        monkeypatch.setenv("EDGEGUARD_CACHE", str(tmp_path / "cache"))
        assert "int8 asked for; layers got: unknown until a GPU opens it" in run("build", out).output
        assert "was there" in run("build", out).output


@pytest.mark.usefixtures("yolox_weights")
def test_quantize_refuses_to_lose_more_than_allowed_and_writes_nothing(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx", reason="quantising needs onnx")
    # Every layer in INT8: test_mixed tries which to leave out, in a network of two.
    monkeypatch.setattr("edgeguard.engine.quantize.settle", lambda *_: Mixture((), (), 1.0))
    with pytest.raises(EngineError, match=r"loses .* of FP32's detections .*nothing was written"):
        run("quantize", "yolox_nano", "--bag", shared / "data" / "kitti_a", "--out", tmp_path / "int8",
            "--frames", 2, "--method", "minmax", "--max-loss", 0)  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_recording_without_a_camera_is_one_clear_error(shared: Path, make_engine: Any) -> None:
    bag = next((shared / "data" / "kitti_tracking").glob("kitti_*"))
    with pytest.raises(EdgeGuardError, match="has no camera images"):
        run("bench", make_engine(), "--bag", bag)
