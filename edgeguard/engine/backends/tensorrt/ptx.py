"""The GPU kernels as PTX: shipped beside their source, so that a vehicle needs no compiler.

`python -m edgeguard.engine.backends.tensorrt.ptx` makes them anew with the `nvcc` on PATH.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("kernels.cu")
PTX = Path(__file__).with_name("kernels.ptx")

ARCHITECTURE = "compute_75"
"""The oldest virtual architecture that CUDA 13 knows; drivers compile it for newer GPUs (Orin is 8.7)."""

ISA = "6.3"
"""The PTX version that introduced sm_75, CUDA 10's. A driver refuses PTX newer than itself (JetPack 5's stops
at 7.4), and nvcc stamps its own version whatever the code uses. ptxas rejects code newer than its stamp."""

VERIFIED = ("sm_75", "sm_80", "sm_86", "sm_87", "sm_89", "sm_90", "sm_100", "sm_120")


def source_hash() -> str:
    """Return the SHA-256 of the kernels' source, as hex."""
    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()


def hash_in(ptx: str) -> str:
    """Return the SHA-256 of the source that a PTX text says it was made from; empty where it says none."""
    found = re.search(r"^// source-sha256: ([0-9a-f]{64})$", ptx, re.MULTILINE)
    return found[1] if found else ""


def compile_source() -> str:
    """Return the PTX of the kernels, proven to assemble for every architecture of `VERIFIED`.

    Raises:
        OSError: no `nvcc` on PATH.
        subprocess.CalledProcessError: the source, or the PTX under the older version, is refused.
    """
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "kernels.ptx"
        subprocess.run(
            ["nvcc", "-ptx", f"-arch={ARCHITECTURE}", "--fmad=false", "-o", str(raw), str(SOURCE)], check=True
        )
        # nvcc's comments name its build and its day: without them the same source gives the same text.
        code = re.sub(r"^//.*\n|^\s*\n", "", raw.read_text(), flags=re.MULTILINE)
        text = re.sub(r"^\.version .*$", f".version {ISA}", code, count=1, flags=re.MULTILINE)
        text = f"// source-sha256: {source_hash()}\n{text}"
        raw.write_text(text)
        for arch in VERIFIED:
            subprocess.run(["ptxas", f"-arch={arch}", "-o", os.devnull, str(raw)], check=True)
    return text


if __name__ == "__main__":
    PTX.write_text(compile_source())
