"""What an attacker wants the engine to say of a box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edgeguard.redteam.gradient.victim import Answer, Victim
from edgeguard.types import F64

if TYPE_CHECKING:
    from torch import Tensor


class Objective(Protocol):
    """A loss that falls as the engine says what is wanted."""

    def loss(self, victim: Victim, answer: Answer, box: F64) -> Tensor: ...


@dataclass(frozen=True, slots=True)
class Hide:
    """Nothing of some classes where the thing is.

    Attributes:
        classes: labels that are not to be found.
        count: so many of the surest cells are pressed down at a time.
    """

    classes: frozenset[str]
    count: int = 12

    def loss(self, victim: Victim, answer: Answer, box: F64) -> Tensor:
        score = answer.score[:, victim.classes(self.classes)].amax(1)
        near = (_iou(answer.xyxy, box) > 0.15) | _middle_in(answer.xyxy, box)
        # The surest speak loudest, and those next in line take their place once they are silent.
        worst = score[near].topk(min(self.count, int(near.sum()))).values
        return -(1 - worst).clamp(min=1e-7).log().sum() / 4


@dataclass(frozen=True, slots=True)
class Show:
    """A thing of a class, where none is.

    Attributes:
        label: what is to be found.
    """

    label: str

    def loss(self, victim: Victim, answer: Answer, box: F64) -> Tensor:
        import torch

        score = answer.score[:, victim.classes(frozenset({self.label}))[0]]
        size = torch.tensor(np.tile(box[2:] - box[:2], 2), dtype=torch.float32)
        off = ((answer.xyxy - torch.tensor(box, dtype=torch.float32)).abs() / size).mean(1)
        near = _middle_in(answer.xyxy, box) & (off < 1.0)
        if not bool(near.any()):
            near = off <= off.min()
        cost = -score[near].clamp(min=1e-20).log() + 4.0 * off[near]
        # Any one cell will do: a soft minimum over them.
        return -torch.logsumexp(-cost, 0)


@dataclass(frozen=True, slots=True)
class Flip:
    """A thing taken for one of another class.

    Attributes:
        classes: what it is.
        label: what it is to be taken for.
    """

    classes: frozenset[str]
    label: str

    def loss(self, victim: Victim, answer: Answer, box: F64) -> Tensor:
        return Hide(self.classes).loss(victim, answer, box) + Show(self.label).loss(victim, answer, box)


def _middle_in(xyxy: Tensor, box: F64) -> Tensor:
    x, y = (xyxy[:, 0] + xyxy[:, 2]) / 2, (xyxy[:, 1] + xyxy[:, 3]) / 2
    x0, y0, x1, y1 = (float(v) for v in box)
    return (x > x0) & (x < x1) & (y > y0) & (y < y1)


def _iou(xyxy: Tensor, box: F64) -> Tensor:
    x0, y0, x1, y1 = (float(v) for v in box)
    across = (xyxy[:, 2].clamp(max=x1) - xyxy[:, 0].clamp(min=x0)).clamp(min=0)
    down = (xyxy[:, 3].clamp(max=y1) - xyxy[:, 1].clamp(min=y0)).clamp(min=0)
    common = across * down
    area = (xyxy[:, 2:] - xyxy[:, :2]).clamp(min=0).prod(1)
    return common / (area + (x1 - x0) * (y1 - y0) - common).clamp(min=1e-6)
