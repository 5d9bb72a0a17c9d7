"""The solver that is loaded alone is SciPy's."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import scipy.optimize

from edgeguard.tracking.assignment import linear_sum_assignment


def test_it_solves_as_scipy_does() -> None:
    rng = np.random.default_rng(1)
    for shape in ((0, 0), (0, 3), (1, 1), (5, 3), (3, 5), (40, 40)):
        cost = rng.normal(size=shape)
        for ours, theirs in zip(linear_sum_assignment(cost), scipy.optimize.linear_sum_assignment(cost)):
            assert np.array_equal(ours, theirs)


def test_it_does_not_load_the_rest_of_scipy() -> None:
    code = "import sys, edgeguard.tracking.assignment; print('scipy.optimize' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
