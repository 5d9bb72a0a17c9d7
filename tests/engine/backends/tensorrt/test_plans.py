from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgeguard.engine.backends.tensorrt import plans
from edgeguard.engine.spec import LoadedSpec, load_spec
from edgeguard.errors import EngineError

KEY = plans.PlanKey("ab" * 32, "tensorrt 10.3.0", "Orin", "8.7", {"precision": "fp16"})
OTHERS = [
    replace(KEY, onnx_sha256="cd" * 32),
    replace(KEY, tensorrt="tensorrt 10.4.0"),
    replace(KEY, gpu="Thor"),
    replace(KEY, compute_capability="11.0"),
    replace(KEY, options={"precision": "fp32"}),
]


@pytest.fixture
def loaded(make_engine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LoadedSpec:
    monkeypatch.setenv("EDGEGUARD_CACHE", str(tmp_path / "cache"))
    return load_spec(make_engine())


def store(loaded: LoadedSpec, key: plans.PlanKey = KEY) -> Path:
    path = plans.plan_path(loaded, key)
    plans.store_plan(path, b"a plan", key, {"seconds": 1})
    return path


def test_a_plan_comes_back_for_its_key(loaded: LoadedSpec) -> None:
    store(loaded)
    assert plans.load_plan(loaded, KEY) == b"a plan"


@pytest.mark.parametrize("other", OTHERS)
def test_a_plan_for_anything_else_is_never_loaded(loaded: LoadedSpec, other: plans.PlanKey) -> None:
    built = store(loaded)
    with pytest.raises(
        EngineError, match=r"not built for .*a plan that differs is there.*edgeguard engine build"
    ):
        plans.load_plan(loaded, other)
    # Nor when it is copied to where the other one would lie.
    there = plans.plan_path(loaded, other)
    there.write_bytes(built.read_bytes())
    there.with_suffix(".json").write_bytes(built.with_suffix(".json").read_bytes())
    with pytest.raises(EngineError, match="was built for something else"):
        plans.load_plan(loaded, other)


def test_an_unbuilt_engine_names_the_command(loaded: LoadedSpec) -> None:
    with pytest.raises(EngineError, match=rf"is not built.*`edgeguard engine build {loaded.path}`"):
        plans.load_plan(loaded, KEY)


def test_a_damaged_plan_is_never_loaded(loaded: LoadedSpec) -> None:
    store(loaded).write_bytes(b"a plam")
    with pytest.raises(EngineError, match="is damaged"):
        plans.load_plan(loaded, KEY)


@pytest.mark.parametrize("manifest", [None, "", "[]", "{}", '{"schema": 99}'])
def test_a_plan_without_its_manifest_is_no_plan(loaded: LoadedSpec, manifest: str | None) -> None:
    beside = store(loaded).with_suffix(".json")
    if manifest is None:
        beside.unlink()
    else:
        beside.write_text(manifest)
    with pytest.raises(EngineError, match="no readable manifest"):
        plans.load_plan(loaded, KEY)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.plan"
    plans.write_atomically(path, b"old")

    def full(fd: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        plans.write_atomically(path, b"new")
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


def test_an_interrupted_store_is_not_taken_for_a_plan(
    loaded: LoadedSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = store(loaded)
    real = plans.write_atomically

    def killed(target: Path, data: bytes) -> None:
        if target.suffix == ".json":
            raise KeyboardInterrupt
        real(target, data)

    monkeypatch.setattr(plans, "write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        plans.store_plan(path, b"another plan", KEY, {})
    with pytest.raises(EngineError, match="no readable manifest"):
        plans.load_plan(loaded, KEY)


def test_the_manifest_tells_all_that_the_key_holds(loaded: LoadedSpec) -> None:
    manifest = json.loads(store(loaded).with_suffix(".json").read_text())
    assert manifest["key"]["gpu"] == "Orin"
    assert manifest["seconds"] == 1
