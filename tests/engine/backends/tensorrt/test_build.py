"""Real builds by TensorRT-RTX, which needs no GPU for them."""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import sys
from pathlib import Path
from typing import Any

import pytest

from edgeguard.engine import open_engine
from edgeguard.engine.backends.tensorrt import plans
from edgeguard.engine.backends.tensorrt.api import load_api
from edgeguard.engine.backends.tensorrt.build import build
from edgeguard.engine.backends.tensorrt.network import count_precision
from edgeguard.engine.spec import load_spec
from edgeguard.errors import EngineError

needs_rtx = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx_bindings") is None
    or importlib.util.find_spec("tensorrt") is not None,
    reason="builds without a GPU need pip's tensorrt-rtx-cu13-bindings and tensorrt-rtx-cu13-libs",
)
FP32 = {"tensorrt": {"precision": "fp32"}}


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("EDGEGUARD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def files(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.suffix != ".cache")


@needs_rtx
@pytest.mark.usefixtures("yolox_weights")
def test_yolox_nano_becomes_an_fp16_plan_with_progress(cache: Path) -> None:
    pytest.importorskip("onnx", reason="onnx makes the FP16 file")
    phases: list[tuple[str, int, int]] = []
    built = build("yolox_nano", on_progress=lambda *p: phases.append(p))
    assert built.fresh
    # Half the size of FP32 weights (3.7 MB) and some code.
    assert 1e6 < built.path.stat().st_size < 6e6
    assert {p[0] for p in phases} >= {"Converting to FP16", "Building engine"}
    assert built.manifest["key"]["options"]["precision"] == "fp16"
    assert list(cache.glob("timing-*.cache"))
    again = build("yolox_nano")
    assert not again.fresh
    assert again.path == built.path


@needs_rtx
def test_what_does_not_match_is_built_anew(make_engine: Any) -> None:
    path = make_engine(**FP32)
    built = build(path)
    built.path.write_bytes(b"damaged")
    assert build(path).fresh
    assert not build(path).fresh
    path.write_text(path.read_text().replace("fp32", "fp32\n  workspace_mib: 64"))
    other = build(path)
    assert other.fresh
    assert other.path != built.path


@needs_rtx
def test_a_free_batch_becomes_a_profile(make_engine: Any) -> None:
    assert build(make_engine(batch="n", **FP32)).fresh


@needs_rtx
def test_out_of_time_leaves_no_plan(make_engine: Any, cache: Path) -> None:
    with pytest.raises(EngineError, match="within the time limit"):
        build(make_engine(**FP32), time_limit_s=0)
    assert files(cache) == []


@needs_rtx
def test_an_interrupt_leaves_no_plan_and_no_process(make_engine: Any, cache: Path) -> None:
    def interrupted(phase: str, done: int, of: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(make_engine(**FP32), on_progress=interrupted)
    assert files(cache) == []
    assert multiprocessing.active_children() == []


@needs_rtx
def test_every_refused_node_is_named(make_engine: Any) -> None:
    from onnx import helper

    nodes = [
        helper.make_node("NoSuchThing", ["images"], ["a"], name="first_bad"),
        helper.make_node("Relu", ["a"], ["b"], name="good"),
        helper.make_node("NorThis", ["b"], ["seen"], name="second_bad"),
    ]
    with pytest.raises(EngineError) as e:
        build(make_engine(nodes=nodes, **FP32))
    assert "first_bad (NoSuchThing)" in str(e.value)
    assert "second_bad (NorThis)" in str(e.value)
    assert "good" not in str(e.value)


@needs_rtx
def test_a_shape_that_does_not_fit_is_named(make_engine: Any) -> None:
    path = make_engine(size=(64, 32), **FP32)
    path.write_text(path.read_text().replace("width: 64", "width: 96"))
    with pytest.raises(EngineError, match=r"\(1, 3, 32, 64\).*N x 3 x 32 x 96"):
        build(path)


@needs_rtx
def test_rtx_has_no_dla(make_engine: Any) -> None:
    with pytest.raises(EngineError, match=r"no DLA.*dla_core"):
        build(make_engine(tensorrt={"precision": "fp32", "dla_core": 0}))


@needs_rtx
def test_an_engine_that_is_not_built_is_not_built_on_the_drive(make_engine: Any) -> None:
    path = make_engine(**FP32)
    with pytest.raises(EngineError, match="is not built for tensorrt_rtx .*edgeguard engine build"):
        open_engine(path, backend="tensorrt")


@needs_rtx
def test_without_a_gpu_nothing_is_served_from_the_cpu(make_engine: Any) -> None:
    pycuda = importlib.util.find_spec("pycuda")
    path = make_engine(**FP32)
    build(path)
    if pycuda is not None:
        pytest.skip("pycuda is installed: there may be a GPU")
    with pytest.raises(EngineError, match="pycuda is not installed"):
        open_engine(path, backend="tensorrt")


def test_without_any_tensorrt_both_reasons_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("tensorrt", "tensorrt_rtx_bindings"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EngineError, match=r"not installed \(tensorrt: .*tensorrt_rtx_bindings: .*JetPack"):
        load_api("any")


def test_the_precision_that_layers_got_is_counted() -> None:
    # As TensorRT 8.6 and 10 word it.
    layers = [
        {"Outputs": [{"Format/Datatype": "Row major linear FP32"}]},
        {"Outputs": [{"Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}]},
        {"Outputs": [{"Format/Datatype": "Half"}]},
        {"Outputs": [{"Format/Datatype": "Thirty-two wide channel vectorized row major Int8 format"}]},
        "a name only",
    ]
    text = json.dumps({"Layers": layers})
    assert count_precision(text) == {"FP16": 2, "FP32": 1, "INT8": 1}


def test_plans_of_different_engines_do_not_share_a_file(make_engine: Any) -> None:
    key = plans.PlanKey("0" * 64, "t", "g", "1.0", {})
    paths = {plans.plan_path(load_spec(make_engine(name=n)), key) for n in ("a", "b")}
    assert len(paths) == 2
