"""perception_node or edgeguard_node with the simulated world's detector in place of a network.

`python -m tests.ros_nodes.breaking NODE FILE …`: while FILE exists, the engine fails as a real one does, with
an `EngineError`. A stand-in: a real network cannot be made to fail on demand.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from edgeguard.errors import EngineError
from edgeguard.types import Detections, Image
from tests.sim.stand_in import SimDetector


class Breaking:
    """Detects until it is told to fail."""

    name = SimDetector.name

    def __init__(self, fails: Path) -> None:
        self._detector = SimDetector()
        self._fails = fails

    def detect(self, image: Image) -> Detections:
        if self._fails.exists():
            raise EngineError(self.name, "out of memory", "Use a smaller one.")
        return self._detector.detect(image)

    def close(self) -> None:
        self._detector.close()


if __name__ == "__main__":
    node: Any = importlib.import_module(f"ros_nodes.{sys.argv.pop(1)}")
    file = Path(sys.argv.pop(1))
    node.open_engine = lambda _: Breaking(file)
    node.main()
