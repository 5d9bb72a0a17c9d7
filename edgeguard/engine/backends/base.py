"""What runs a network. Heavy libraries are imported when a backend is opened, never before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from numpy.typing import NDArray

from edgeguard.engine.preprocess import Placement
from edgeguard.engine.raw import RawImage
from edgeguard.engine.tiles import Candidates
from edgeguard.types import F32


class Backend(Protocol):
    """A network that is ready to run.

    Attributes:
        name: as asked for: `onnxruntime`, `opencv`, `tensorrt`.
        output_names: of the network, in the order in which `infer` returns them.
        max_batch: most images that one call takes.
    """

    @property
    def name(self) -> str: ...

    @property
    def output_names(self) -> Sequence[str]: ...

    @property
    def max_batch(self) -> int: ...

    def infer(self, batch: F32) -> list[NDArray[Any]]:
        """Run the network.

        Args:
            batch: (B, 3, height, width) float32 with B of at most `max_batch`.

        Returns:
            The outputs, valid until the next call.

        Raises:
            EngineError: the network cannot be run, or its input does not fit.
        """
        ...

    def close(self) -> None:
        """Free what the backend holds; it cannot run after that."""
        ...


class Runner(Protocol):
    """All between images and candidate boxes, wherever it runs."""

    @property
    def backend(self) -> str: ...

    def candidates(
        self, images: Sequence[RawImage], placements: Sequence[Sequence[Placement]]
    ) -> list[list[Candidates]]:
        """Run the network on regions of images.

        Args:
            images: one or several, of one call.
            placements: per image, the regions to look at.

        Returns:
            Per image and region, boxes in pixels of the network's input, best first.

        Raises:
            EngineError: the network cannot be run, or its outputs do not fit the decoder.
        """
        ...

    def stage_times(
        self, images: Sequence[RawImage], placements: Sequence[Sequence[Placement]]
    ) -> tuple[list[list[Candidates]], dict[str, float]]:
        """Do the same stage by stage, for measuring; return milliseconds per stage too."""
        ...

    def close(self) -> None:
        """Free what the runner holds; it cannot run after that."""
        ...
