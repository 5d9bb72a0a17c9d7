"""What all tests share: third-party recordings, and a ROS domain of its own for every worker."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A shared machine's speed is no property of the code.
settings.register_profile("edgeguard", deadline=None)
settings.load_profile("edgeguard")

ROOT = Path(__file__).resolve().parent.parent


def pytest_configure(config: pytest.Config) -> None:
    # Set before anything starts a node: workers, and runs side by side, must not hear each other.
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    os.environ["ROS_DOMAIN_ID"] = str(1 + (os.getppid() + worker) % 100)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of third-party recordings and models; skips where it is absent."""
    folder = Path(os.environ.get("EDGEGUARD_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"third-party data not found at {folder}; set EDGEGUARD_SHARED to their folder")
    return folder
