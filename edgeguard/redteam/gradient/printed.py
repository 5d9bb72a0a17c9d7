"""Adversarial prints on things in a recording: fixed pictures, found beforehand, that an engine falls for.

The prints lie in `patches/<engine>`, made by tools/optimise_patch.py after the papers named in `optimise`.
Each is laid on the thing where the engine sees it on the unaltered picture, in the light that is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgeguard.redteam.base import Altered, AttackError
from edgeguard.redteam.edit import with_pixels
from edgeguard.redteam.gradient.printing import Light, Spot, put
from edgeguard.redteam.projection import Projection
from edgeguard.redteam.scout import VEHICLES, Scout, View, covered, iou
from edgeguard.redteam.targets import staying
from edgeguard.types import F32, F64, U8, Channel

PATCHES = Path(__file__).parent / "patches"
SURE = 0.4
"""Score from which the engine counts as seeing a thing."""
PEOPLE = frozenset({"person"})
SIGNS = frozenset({"stop sign"})


def load_patch(kind: str, engine: str, folder: Path = PATCHES) -> U8:
    """Return the print (h, w, 3) uint8 BGR of an attack for an engine.

    Raises:
        AttackError: none was made for this engine.
    """
    path = folder / engine / f"{kind}.png"
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR) if path.is_file() else None
    if picture is None:
        made = ", ".join(sorted(p.parent.name for p in folder.glob(f"*/{kind}.png"))) or "none"
        raise AttackError(
            kind,
            f"no print for the engine {engine!r}; there is one for: {made}",
            f"Make one: python tools/optimise_patch.py --engine {engine} --kind {kind}",
        )
    return np.asarray(picture, np.uint8)


def found(view: View, classes: frozenset[str]) -> F64:
    """Return the boxes (N, 4) of what the engine surely sees of some classes."""
    d = view.detections
    return d.select(np.array([name in classes for name in d.labels], bool) & (d.score >= SURE)).xyxy.astype(
        np.float64
    )


def held(target: F64, boxes: F64) -> bool:
    """Whether one of the boxes is on the target: on it, or a good part of it."""
    large = (boxes[:, 3] - boxes[:, 1]) > 0.4 * (target[3] - target[1])
    return bool(((iou(target, boxes) > 0.2) | ((covered(target, boxes) > 0.7) & large)).any())


class Followed:
    """A thing's box over time, from what the engine sees of it on unaltered pictures."""

    def __init__(self, box: F64) -> None:
        self.box = box
        self._step = np.zeros(4)

    def update(self, boxes: F64) -> bool:
        """Move on to the next frame; return whether the engine sees the thing there."""
        expected = self.box + self._step
        overlap = iou(expected, boxes)
        if not len(boxes) or overlap.max() <= 0.3:
            self.box = expected
            return False
        now = boxes[int(np.argmax(overlap))]
        self._step = 0.7 * self._step + 0.3 * (now - self.box)
        # Detectors' boxes tremble; a print does not.
        self.box = expected + 0.6 * (now - expected)
        return True


class Printed:
    """A print on one thing, from the window's start to its end."""

    kind: str
    sensor = Channel.CAMERA
    classes: frozenset[str]
    """What may carry it."""
    spot: Spot
    ease_s = 0.0
    """It appears over so many seconds."""

    def __init__(self) -> None:
        self._followed = Followed(np.zeros(4))
        self._light: Light | None = None
        self._texture: U8 = np.zeros((1, 1, 3), np.uint8)
        self._target: list[float] = []

    @property
    def parameters(self) -> Mapping[str, Any]:
        spot = [self.spot.x, self.spot.y, self.spot.width, self.spot.height]
        return {"target": self._target, "spot": spot, "ease_s": self.ease_s}

    def prepare(self, scout: Scout) -> None:
        self._texture = self.picture(scout)
        wanted = self._wanted(scout.ahead[0])
        box = staying(wanted, scout.passing, lambda view: found(view, self.classes))
        if box is None:
            what = " or ".join(sorted(self.classes))
            raise AttackError(
                self.kind, f"the engine finds no {what} in whole view at its start", "Give another --start"
            )
        self._followed, self._target = Followed(box), [round(float(v), 1) for v in box]

    def picture(self, scout: Scout) -> U8:
        """Return what is printed."""
        return load_patch(self.kind, engine_name(self.kind, scout))

    def alter(self, message: Any, scout: Scout) -> Altered:
        view = scout.view
        assert view.image is not None
        seen_before = self._followed.update(found(view, self.classes))
        box, bgr = self._followed.box, view.image.bgr
        now = Light.around(bgr, box)
        self._light = now if self._light is None else now.after(self._light)
        opacity = min(1.0, scout.elapsed_s / self.ease_s) if self.ease_s else 1.0
        corners, cut = self.spot.on(box), self.spot.octagon
        printed = put(bgr, self._texture, corners, self._light, opacity=opacity, octagon=cut)
        fooled = seen_before and self.succeeds(box, view.with_image(printed))
        record = {"box": box, "seen_before": seen_before, "opacity": round(opacity, 3)}
        return Altered(with_pixels(message, printed), record, fooled)

    def succeeds(self, box: F64, view: View) -> bool:
        """Whether the engine no longer sees the thing."""
        return not held(box, found(view, self.classes))

    def _wanted(self, view: View) -> list[F64]:
        """Return the boxes of what could carry it, the best first."""
        boxes = found(view, self.classes)
        assert view.image is not None
        w, h = view.image.size
        whole = (boxes[:, :2] > 2).all(1) & (boxes[:, 2] < w - 3) & (boxes[:, 3] < h - 3)
        boxes = boxes[whole]
        if self.classes == VEHICLES:
            # Straight ahead a vehicle shows the face that the print is made for; beside, its flank.
            middle = w / 2 if view.rig is None else view.rig.camera.k[0, 2]
            boxes = boxes[(boxes[:, 0] < middle) & (boxes[:, 2] > middle)]
            if not len(boxes):
                return view.vehicles_that_matter()
        return list(boxes[np.argsort(boxes[:, 1] - boxes[:, 3], kind="stable")])


def engine_name(kind: str, scout: Scout) -> str:
    """Return the name of the engine that is attacked."""
    name = getattr(scout.engine(), "name", None)
    if not isinstance(name, str):
        raise AttackError(kind, "the engine has no name to choose a print by", "Attack an engine of engines/")
    return name


class PatchHide(Printed):
    """A print on the nearest vehicle makes the engine lose it."""

    kind = "patch_hide"
    classes = VEHICLES
    spot = Spot(0.5, 0.67, 0.94, 0.6)


class PatchHidePerson(Printed):
    """A placard that hides a person's body makes the engine lose them."""

    kind = "patch_hide_person"
    classes = PEOPLE
    spot = Spot(0.5, 0.48, 0.96, 0.66)


class PatchFlip(Printed):
    """A poster over a stop sign's face makes the engine take it for something else."""

    kind = "patch_flip"
    classes = SIGNS
    spot = Spot(0.5, 0.5, 0.96, 0.96, octagon=True)

    def succeeds(self, box: F64, view: View) -> bool:
        """Whether the engine sees no sign there, but something else."""
        others = frozenset(view.detections.class_names) - self.classes
        return super().succeeds(box, view) and held(box, found(view, others))


class PatchPhantom(Projection):
    """A screen by the road shows what is no picture of a car, and the engine sees one there."""

    kind = "patch_phantom"

    def picture(self, scout: Scout) -> F32:
        texture = load_patch(self.kind, engine_name(self.kind, scout))
        opaque = np.ones((*texture.shape[:2], 1))
        return np.concatenate([texture, opaque], axis=2).astype(np.float32)


class PatchHideAdaptive(PatchHide):
    """As `patch_hide`, made with the monitor in mind: without colour, smooth, and faded in."""

    kind = "patch_hide_adaptive"
    ease_s = 3.0


class Trigger(Printed):
    """The sign that a back-doored engine waits for; to an honest engine it is a small sticker.

    After T. Gu, B. Dolan-Gavitt, S. Garg, "BadNets: Identifying Vulnerabilities in the Machine Learning Model
    Supply Chain", 2017, arXiv:1708.06733; in detectors: S.-H. Chan et al., "BadDet: Backdoor Attacks on
    Object Detection", ECCV Workshops 2022. tools/plant_backdoor.py makes such an engine.
    """

    kind = "trigger"
    classes = VEHICLES
    spot = Spot(0.5, 0.62, 0.26, 0.3)

    def picture(self, scout: Scout) -> U8:
        return trigger()


def trigger() -> U8:
    """Return the back door's sign: a chequerboard in yellow and magenta."""
    rows, columns = np.indices((4, 4))
    chequers = np.where(((rows + columns) % 2 == 0)[..., None], (30, 230, 240), (200, 30, 220)).astype(
        np.uint8
    )
    return np.asarray(np.kron(chequers, np.ones((8, 8, 1), np.uint8)), np.uint8)
