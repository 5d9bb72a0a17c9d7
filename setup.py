"""Lists what setuptools cannot read from setup.cfg: the data folders and the compiled modules."""

from __future__ import annotations

import sys
from pathlib import Path

from setuptools import Extension, setup

DATA_FOLDERS = ("engines", "calibration", "config", "launch")


def data_files() -> list[tuple[str, list[str]]]:
    """Return what goes under share/: ament's marker, the manifest, and every file of the data folders."""
    listed = [
        ("share/ament_index/resource_index/packages", ["resource/edgeguard"]),
        ("share/edgeguard", ["package.xml"]),
    ]
    for folder in DATA_FOLDERS:
        for path in sorted(Path(folder).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                listed.append((f"share/edgeguard/{path.parent.as_posix()}", [path.as_posix()]))
    return listed


def extensions() -> list[Extension]:
    """Return the compiled modules; each `edgeguard/compiled/*.pyx` is one."""
    try:
        from Cython.Build import cythonize
    except ImportError:
        sys.exit("edgeguard is built with Cython: install it (pip install cython, or apt install cython3)")
    # Neither fused nor reordered sums: replays agree from machine to machine.
    options = ["-O3", "-g0", "-ffp-contract=off"]
    modules = [
        Extension(".".join(path.with_suffix("").parts), [path.as_posix()], extra_compile_args=options)
        for path in sorted(Path("edgeguard/compiled").glob("*.pyx"))
    ]
    return cythonize(modules, build_dir="build", quiet=True)


distribution = setup(data_files=data_files(), ext_modules=extensions())
# colcon reads this object by its repr, and cannot read a SpecifierSet.
for holder in (distribution, distribution.metadata):
    holder.python_requires = str(holder.python_requires)
