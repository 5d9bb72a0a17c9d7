"""Noise that no one notices over the whole picture, and vehicles are gone from it.

Per frame by projected gradient descent: A. Madry et al., "Towards Deep Learning Models Resistant to
Adversarial Attacks", ICLR 2018; to make a detector's objects vanish: K. Chow et al., "Adversarial Objectness
Gradient Attacks in Real-time Object Detection Systems", TPS 2020. One noise for all frames: S.
Moosavi-Dezfooli et al., "Universal Adversarial Perturbations", CVPR 2017. Both presume an attacker on the
link between camera and network.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from edgeguard.redteam.base import Altered, AttackError, require_vehicle
from edgeguard.redteam.edit import with_pixels
from edgeguard.redteam.gradient.objectives import Hide
from edgeguard.redteam.gradient.printed import Followed, found, held
from edgeguard.redteam.scout import VEHICLES, Scout
from edgeguard.types import F32, F64, U8, Channel

if TYPE_CHECKING:
    from edgeguard.redteam.gradient.victim import Victim

_OBJECTIVE = Hide(VEHICLES, count=60)


class _Noise:
    """What both have in common: the victim, the vehicle that is to be lost, and the bound."""

    kind: str
    sensor = Channel.CAMERA
    strength: float
    """Most that a pixel changes, grey values."""
    steps: int

    def __init__(self) -> None:
        self._victim: Victim | None = None
        self._followed = Followed(np.zeros(4))

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"strength": self.strength, "steps": self.steps}

    def prepare(self, scout: Scout) -> None:
        self._victim = open_victim(self.kind, scout)
        self._followed = Followed(require_vehicle(self.kind, scout))

    def _altered(self, message: Any, scout: Scout, noise: F32) -> Altered:
        view = scout.view
        assert view.image is not None
        seen_before = self._followed.update(found(view, VEHICLES))
        box = self._followed.box
        bgr = np.clip(np.round(view.image.bgr + noise), 0, 255).astype(np.uint8)
        fooled = seen_before and not held(box, found(view.with_image(bgr), VEHICLES))
        return Altered(with_pixels(message, bgr), {"box": box, "seen_before": seen_before}, fooled)


class Pgd(_Noise):
    """New noise on every frame."""

    kind = "pgd"
    strength = 6.0
    steps = 8

    def alter(self, message: Any, scout: Scout) -> Altered:
        assert scout.image is not None and self._victim is not None
        bgr = scout.image.bgr
        noise = np.zeros(bgr.shape, np.float32)
        for _ in range(self.steps):
            noise -= 2.0 * self.strength / self.steps * np.sign(_slope(self._victim, bgr, noise))
            noise = np.clip(noise, -self.strength, self.strength)
        return self._altered(message, scout, noise)


class Universal(_Noise):
    """One noise, found on a few moments of the window and then left as it is."""

    kind = "universal"
    strength = 10.0
    steps = 12

    def __init__(self) -> None:
        super().__init__()
        self._noise: F32 = np.zeros((1, 1, 3), np.float32)

    def prepare(self, scout: Scout) -> None:
        super().prepare(scout)
        assert self._victim is not None
        pictures = [view.image.bgr for view in scout.ahead if view.image is not None]
        self._noise = np.zeros(pictures[0].shape, np.float32)
        for step in range(self.steps):
            size = 3.0 * self.strength / self.steps * (1 - step / self.steps)
            slope = sum(_slope(self._victim, bgr, self._noise) for bgr in pictures)
            self._noise = np.clip(self._noise - size * np.sign(slope), -self.strength, self.strength)

    def alter(self, message: Any, scout: Scout) -> Altered:
        return self._altered(message, scout, self._noise)


def _slope(victim: Victim, bgr: U8, noise: F32) -> F32:
    """Return how the loss over all regions grows with each value of the noise (H, W, 3)."""
    import torch

    h, w = bgr.shape[:2]
    everywhere: F64 = np.array([0.0, 0.0, w, h])
    knob = torch.from_numpy(noise.transpose(2, 0, 1).copy()).requires_grad_()
    picture = (torch.from_numpy(bgr.transpose(2, 0, 1).copy()).float() + knob).clamp(0, 255)
    for placement in victim.placements(w, h):
        # One region at a time: memory stays that of one.
        _OBJECTIVE.loss(victim, victim.look(picture, placement), everywhere).backward(retain_graph=True)
    assert knob.grad is not None
    return np.asarray(knob.grad.permute(1, 2, 0).numpy(), np.float32)


def open_victim(kind: str, scout: Scout) -> Victim:
    """Return the attacked engine as a differentiable function.

    Raises:
        AttackError: torch is not installed, or the engine is none of a specification.
        EngineError: no gradient can be taken through the engine.
    """
    try:
        import torch
    except ImportError as e:
        raise AttackError(kind, "needs torch", "pip install edgeguard[redteam]") from e
    from edgeguard.engine import Engine
    from edgeguard.redteam.gradient.victim import Victim

    torch.set_num_threads(1)
    engine = scout.engine()
    if not isinstance(engine, Engine):
        raise AttackError(kind, "the engine has no network to look into", "Attack an engine of engines/")
    return Victim(engine.loaded)
