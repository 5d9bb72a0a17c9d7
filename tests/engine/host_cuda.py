"""The GPU kernels' own source, compiled for the CPU: a stand-in where there is no GPU.

It runs the same arithmetic, thread after thread. It cannot show what only a GPU does: how the driver
compiles the PTX, races, speed.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeguard.engine.backends.tensorrt.ptx import SOURCE

SHIM = """
#include <cmath>
#include <cstddef>
#define __global__
#define __device__
struct Three { int x, y, z; };
static Three blockIdx, threadIdx, blockDim, gridDim;
static int atomicAdd(int *at, int more) { const int was = *at; *at += more; return was; }
#include "KERNELS"
template <class F> static void launch(const int *grid, const int *block, F kernel) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    for (blockIdx.z = 0; blockIdx.z < grid[2]; ++blockIdx.z)
    for (blockIdx.y = 0; blockIdx.y < grid[1]; ++blockIdx.y)
    for (blockIdx.x = 0; blockIdx.x < grid[0]; ++blockIdx.x)
    for (threadIdx.z = 0; threadIdx.z < block[2]; ++threadIdx.z)
    for (threadIdx.y = 0; threadIdx.y < block[1]; ++threadIdx.y)
    for (threadIdx.x = 0; threadIdx.x < block[0]; ++threadIdx.x)
        kernel();
}
typedef unsigned char u8;
extern "C" void host_preprocess(const int *grid, const int *block, const u8 *a, float *b, const Tap *c,
                                const int *d, const float *e, int f, int g, int h, int i, int j, int k, int l,
                                int m) {
    launch(grid, block, [=] { preprocess(a, b, c, d, e, f, g, h, i, j, k, l, m); });
}
extern "C" void host_decode_yolox(const int *grid, const int *block, const float *a, float *b, float *c,
                                  int *d, int e, int f, int g, int h, int i, float j) {
    launch(grid, block, [=] { decode_yolox(a, b, c, d, e, f, g, h, i, j); });
}
extern "C" void host_decode_yolo(const int *grid, const int *block, const float *a, float *b, float *c,
                                 int *d, int e, int f, int g, float h, float i, float j) {
    launch(grid, block, [=] { decode_yolo(a, b, c, d, e, f, g, h, i, j); });
}
"""


class HostKernels:
    """The kernels as functions of NumPy arrays and numbers."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("g++") or shutil.which("c++")
        if compiler is None:
            pytest.skip("no C++ compiler: the kernels' source is compiled for the CPU here")
        source = folder / "kernels.cpp"
        source.write_text(SHIM.replace("KERNELS", str(SOURCE)))
        library = folder / "kernels.so"
        options = ["-O2", "-ffp-contract=off", "-w", "-shared", "-fPIC", "-xc++"]
        subprocess.run([compiler, *options, "-o", str(library), str(source)], check=True)
        self._library = ctypes.CDLL(str(library))

    def launch(self, name: str, grid: tuple[int, ...], block: tuple[int, ...], *arguments: Any) -> None:
        """Run a kernel over a whole grid."""
        three = ctypes.c_int * 3
        packed = [
            ctypes.c_void_p(a.ctypes.data)
            if isinstance(a, np.ndarray)
            else (ctypes.c_float(a) if isinstance(a, float) else ctypes.c_int(a))
            for a in arguments
        ]
        getattr(self._library, f"host_{name}")(three(*grid), three(*block), *packed)
