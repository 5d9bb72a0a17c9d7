"""An engine seen from the attacker's side: pictures in, every cell's box and class scores out, in torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeguard.engine.decode import yolox_grid
from edgeguard.engine.preprocess import Placement, gain_and_shift, place
from edgeguard.engine.spec import LoadedSpec
from edgeguard.engine.tiles import Region, layout
from edgeguard.engine.weights import weights_path
from edgeguard.errors import EngineError
from edgeguard.redteam.gradient.network import Network
from edgeguard.redteam.gradient.tensorflow import SsdGraph
from edgeguard.types import F64

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What the network says of one region.

    Attributes:
        xyxy: (cells, 4) boxes, pixels of the original picture.
        score: (cells, classes) of each class, 0 to 1.
    """

    xyxy: Tensor
    score: Tensor


class Victim:
    """An engine with YOLOX's or SSD's head, differentiable from its picture to its answers.

    Args:
        loaded: the engine's specification.

    Raises:
        EngineError: its head or network is of a kind that no gradient is taken through here.
    """

    def __init__(self, loaded: LoadedSpec) -> None:
        import torch

        self.loaded, self.spec = loaded, loaded.spec
        if loaded.spec.decoder not in ("yolox", "ssd"):
            raise EngineError(
                loaded.name,
                f"has a head of the kind {loaded.spec.decoder}, for which no gradient attack is made",
                "Attack an engine with `decoder: yolox` or `decoder: ssd`.",
            )
        self._head = self._yolox() if loaded.spec.decoder == "yolox" else self._ssd()
        gain, shift = (torch.from_numpy(v).view(1, 3, 1, 1) for v in gain_and_shift(self.spec.input))
        self._gain, self._shift = gain, shift

    def classes(self, names: frozenset[str]) -> list[int]:
        """Return the numbers of those classes that the engine has."""
        return [i for i, label in enumerate(self.loaded.labels) if label in names]

    def placements(self, width: int, height: int) -> list[Placement]:
        """Return the regions in which the engine looks at a picture of this size."""
        regions = layout(width, height, self.spec.tiles, self.spec.input)
        return [place(region, self.spec.input) for region in regions]

    def showing(self, box: F64, width: int, height: int) -> list[Placement]:
        """Return those of them that show a box as a whole."""
        return [p for p in self.placements(width, height) if _holds(p.region, box)]

    def look(self, picture: Tensor, placement: Placement) -> Answer:
        """Return the answers for one region of a picture (3, H, W), BGR, 0 to 255."""
        import torch
        from torch.nn import functional

        r, p, size = placement.region, placement, self.spec.input
        crop = picture[None, :, r.y : r.y + r.height, r.x : r.x + r.width]
        # Bilinear without anti-aliasing, as cv2.resize does it in the engine.
        crop = functional.interpolate(crop, size=(p.height, p.width), mode="bilinear", align_corners=False)
        margin = (p.x, size.width - p.x - p.width, p.y, size.height - p.y - p.height)
        batch = functional.pad(crop, margin, value=float(size.resize.pad))
        batch = batch if size.colour == "bgr" else batch.flip(1)
        xyxy, score = self._head(batch * self._gain - self._shift)
        corner = torch.tensor([p.x, p.y] * 2, dtype=torch.float32)
        scale = torch.tensor([r.width / p.width, r.height / p.height] * 2)
        offset = torch.tensor([r.x, r.y] * 2, dtype=torch.float32)
        return Answer((xyxy - corner) * scale + offset, score)

    def _yolox(self) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        import torch

        network = Network(weights_path(self.loaded))
        cells, stride = (
            torch.from_numpy(v) for v in yolox_grid(self.spec.input.width, self.spec.input.height)
        )

        def head(batch: Tensor) -> tuple[Tensor, Tensor]:
            raw = network(batch)[0]
            middle, half = (raw[:, :2] + cells) * stride, raw[:, 2:4].clamp(max=8).exp() * stride / 2
            return torch.cat([middle - half, middle + half], 1), raw[:, 5:] * raw[:, 4:5]

        return head

    def _ssd(self) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        import torch

        graph = SsdGraph(weights_path(self.loaded))
        size = torch.tensor([self.spec.input.width, self.spec.input.height] * 2)

        def head(batch: Tensor) -> tuple[Tensor, Tensor]:
            boxes, score = graph(batch)
            return boxes[0] * size, score[0]

        return head


def _holds(region: Region, box: F64) -> bool:
    low = np.array([region.x, region.y]) - 2
    high = np.array([region.x + region.width, region.y + region.height]) + 2
    return bool((box[:2] >= low).all() and (box[2:] <= high).all())
