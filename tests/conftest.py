"""What all tests share: third-party recordings, and a ROS domain of its own for every worker."""

from __future__ import annotations

import faulthandler
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# A shared machine's speed is no property of the code.
settings.register_profile("edgeguard", deadline=None)
settings.load_profile("edgeguard")

ROOT = Path(__file__).resolve().parent.parent
GRACE_S = 15.0
"""What a time-out's signal has for being heard."""


def pytest_configure(config: pytest.Config) -> None:
    # Set before anything starts a node: workers, and runs side by side, must not hear each other.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    os.environ["ROS_DOMAIN_ID"] = str(1 + (os.getppid() + worker) % 100)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    _watch(item)


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(node: pytest.Item | pytest.Collector) -> None:
    _watch(node)


def _watch(node: pytest.Item | pytest.Collector) -> None:
    """Ends this worker if it hangs where no time-out's signal is heard; another takes the test up.

    pytest's own watch covers a test's first attempt until it fails: neither what is taken down after it, nor
    the next attempt.
    """
    marker = node.get_closest_marker("timeout")
    timeout_s = float(marker.args[0] if marker else node.config.getini("timeout"))
    faulthandler.dump_traceback_later(timeout_s + GRACE_S, exit=True, file=sys.__stderr__)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of third-party recordings and models; skips where it is absent."""
    folder = Path(os.environ.get("EDGEGUARD_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"third-party data not found at {folder}; set EDGEGUARD_SHARED to their folder")
    return folder
