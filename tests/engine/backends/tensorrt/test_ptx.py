from __future__ import annotations

import shutil

import pytest

from edgeguard.engine.backends.tensorrt.ptx import PTX, compile_source, hash_in, source_hash

REMEDY = "run `python -m edgeguard.engine.backends.tensorrt.ptx` with nvcc on PATH"


def test_the_shipped_ptx_was_made_from_the_shipped_source() -> None:
    assert hash_in(PTX.read_text()) == source_hash(), REMEDY


def test_the_oldest_driver_in_the_field_can_read_it() -> None:
    # JetPack 5 is CUDA 11.4: PTX 7.4. Orin is sm_87.
    text = PTX.read_text()
    assert ".version 6.3" in text
    assert ".target sm_75" in text
    for kernel in ("preprocess", "decode_yolox", "decode_yolo"):
        assert f".entry {kernel}(" in text


def test_it_is_what_the_compiler_makes_of_the_source() -> None:
    if shutil.which("nvcc") is None or shutil.which("ptxas") is None:
        pytest.skip("no nvcc: the PTX is held to its source by hash only")
    # Another release of nvcc may order registers otherwise; that it compiles and assembles is the point then.
    made = compile_source()
    assert hash_in(made) == source_hash()
    assert made.count(".entry") == PTX.read_text().count(".entry")
