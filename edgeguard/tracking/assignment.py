"""The assignment problem, from SciPy's compiled solver alone.

Importing `scipy.optimize` for it loads hundreds of modules, which takes as long as the rest of EdgeGuard does
to start, and memory that a vehicle has better use for. The solver is a file of its own that needs NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeguard.types import F64

Solver = Callable[[F64], tuple[NDArray[np.intp], NDArray[np.intp]]]


def _load() -> Solver:
    scipy = find_spec("scipy")
    for folder in (scipy.submodule_search_locations if scipy is not None else None) or ():
        finder = FileFinder(str(Path(folder) / "optimize"), (ExtensionFileLoader, EXTENSION_SUFFIXES))
        spec = finder.find_spec("_lsap")
        if spec is not None and spec.loader is not None:
            module = module_from_spec(spec)
            spec.loader.exec_module(module)
            if solver := getattr(module, "linear_sum_assignment", None):
                found: Solver = solver
                return found
    # Another SciPy may keep it elsewhere: then by its public name, slowly.
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment


linear_sum_assignment = _load()
"""Pairs of row and column of least total cost of an (N, M) matrix, as SciPy's function of that name."""
