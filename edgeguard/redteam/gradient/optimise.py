"""Prints that fool an engine wherever they hang: gradient descent under random views of them.

Expectation over transformations: A. Athalye, L. Engstrom, A. Ilyas, K. Kwok, "Synthesizing Robust Adversarial
Examples", ICML 2018. As a patch: T. Brown, D. Mané, A. Roy, M. Abadi, J. Gilmer, "Adversarial Patch", 2017,
arXiv:1712.09665. On traffic signs: K. Eykholt et al., "Robust Physical-World Attacks on Deep Learning Visual
Classification", CVPR 2018. On what a detector finds: S. Thys, W. Van Ranst, T. Goedemé, "Fooling Automated
Surveillance Cameras: Adversarial Patches to Attack Person Detection", CVPR Workshops 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgeguard.redteam.gradient.objectives import Objective
from edgeguard.redteam.gradient.printing import BLACK, WHITE, Light, Spot, shares
from edgeguard.redteam.gradient.victim import Victim
from edgeguard.types import F64, U8

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """A picture with the thing in it that is to carry the print.

    Attributes:
        bgr: (H, W, 3) uint8.
        box: (4,) float64 pixels.
    """

    bgr: U8
    box: F64


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a print is made.

    Attributes:
        objective: what the engine is to say.
        spot: where the print sits.
        size: width and height of the texture, texels.
        contrast: share of the range from ink to paper that it may use, about the middle.
        smooth: weight of total variation.
        grey: it has no colour.
    """

    objective: Objective
    spot: Spot
    size: tuple[int, int] = (48, 32)
    contrast: float = 1.0
    smooth: float = 0.05
    grey: bool = False


def optimise(
    victim: Victim,
    targets: Sequence[Target],
    recipe: Recipe,
    *,
    steps: int,
    seed: int = 0,
    progress: Callable[[int, int, float], None] = lambda done, total, loss: None,
) -> U8:
    """Return a texture (h, w, 3) uint8 BGR; the same arguments give the same texture.

    Args:
        targets: views that the print is to work in.
        steps: descents, of two random views each.
        progress: called with steps done, steps in all and the running loss.
    """
    import torch

    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 31])
    width, height = recipe.size
    # Starts near grey: in saturation there is no slope.
    knob = 0.4 + 0.2 * torch.rand(1 if recipe.grey else 3, height, width)
    knob.requires_grad_()
    descent = torch.optim.Adam([knob], lr=0.04)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(descent, steps, 0.004)
    running = 0.0
    for step in range(steps):
        texture = (0.5 + recipe.contrast * (knob - 0.5)).expand(3, -1, -1)
        loss = recipe.smooth * _variation(texture)
        for _ in range(2):
            target = targets[int(rng.integers(len(targets)))]
            loss = loss + 0.5 * _once(victim, target, texture, recipe, rng)
        descent.zero_grad()
        loss.backward()
        descent.step()
        decay.step()
        with torch.no_grad():
            knob.clamp_(0, 1)
        value = float(loss.detach())
        running = value if step == 0 else 0.97 * running + 0.03 * value
        progress(step + 1, steps, running)
    done = (0.5 + recipe.contrast * (knob.detach() - 0.5)).expand(3, -1, -1).permute(1, 2, 0).numpy()
    return np.asarray(np.round(255 * done), np.uint8)


def _once(
    victim: Victim, target: Target, texture: Tensor, recipe: Recipe, rng: np.random.Generator
) -> Tensor:
    """Return the loss in one random view of the print."""
    import torch

    h, w = target.bgr.shape[:2]
    size = target.box[2:] - target.box[:2]
    corners = recipe.spot.on(target.box) + size * rng.normal(0, 0.02, 2)
    middle = corners.mean(0)
    corners = middle + (corners - middle) * rng.uniform(0.92, 1.08) + size * rng.normal(0, 0.008, (4, 2))
    seen = Light.around(target.bgr, target.box)
    light = Light(seen.low + rng.uniform(-8, 12), seen.high * rng.uniform(0.82, 1.12))
    picture = torch.from_numpy(np.ascontiguousarray(target.bgr.transpose(2, 0, 1))).float()
    picture = press(
        picture, texture, corners, light, softness=float(rng.uniform(0.3, 0.9)), octagon=recipe.spot.octagon
    )
    picture = picture * float(rng.uniform(0.85, 1.12)) + torch.randn(picture.shape) * float(rng.uniform(0, 4))
    picture = picture.clamp(0, 255)
    views = victim.showing(target.box, w, h) or victim.placements(w, h)[:1]
    answer = victim.look(picture, views[int(rng.integers(len(views)))])
    return recipe.objective.loss(victim, answer, target.box)


def press(
    picture: Tensor,
    texture: Tensor,
    corners: F64,
    light: Light,
    *,
    softness: float,
    octagon: bool = False,
) -> Tensor:
    """Return the picture (3, H, W), 0 to 255, with the print (3, h, w), 0 to 1: `printing.put` in torch."""
    import torch
    from torch.nn import functional

    height, width = picture.shape[1:]
    x0, y0 = np.maximum(np.floor(corners.min(0)).astype(int) - 2, 0).tolist()
    x1, y1 = np.minimum(np.ceil(corners.max(0)).astype(int) + 3, (width, height)).tolist()
    u, v, alpha = (torch.from_numpy(s) for s in shares(corners, x0, y0, x1, y1, octagon=octagon))
    across, down = (max(round(float(s)), 1) for s in np.ptp(corners, 0))
    h, w = min(texture.shape[1], down), min(texture.shape[2], across)
    small = functional.interpolate(texture[None], size=(h, w), mode="bilinear", antialias=True)
    grid = torch.stack([2 * u - 1, 2 * v - 1], -1)[None]
    ink = functional.grid_sample(small, grid, padding_mode="border", align_corners=False)
    taps = torch.exp(-(torch.arange(-2.0, 3.0) ** 2) / (2 * softness**2))
    kernel = (taps[:, None] * taps / taps.sum() ** 2).expand(3, 1, 5, 5)
    ink = functional.conv2d(functional.pad(ink, (2, 2, 2, 2), mode="replicate"), kernel, groups=3)[0]
    shown = light.low + (light.high - light.low) * (BLACK + (WHITE - BLACK) * ink)
    window = picture[:, y0:y1, x0:x1]
    out = picture.clone()
    out[:, y0:y1, x0:x1] = window + alpha * (shown - window)
    return out


def _variation(texture: Tensor) -> Tensor:
    across = (texture[:, :, 1:] - texture[:, :, :-1]).abs().mean()
    return across + (texture[:, 1:] - texture[:, :-1]).abs().mean()
