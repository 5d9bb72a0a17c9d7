"""Network outputs to candidate boxes: one vectorised function a family of heads.

Each takes the outputs of one batch and returns, per image, boxes in pixels of the network's input with
scores of at least the threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeguard.engine.spec import EngineSpec
from edgeguard.engine.tiles import Candidates
from edgeguard.errors import EngineError
from edgeguard.types import F32

Array = NDArray[Any]
Decoder = Callable[[Sequence[Array], Sequence[str], EngineSpec, int], list[Candidates]]

YOLOX_STRIDES = (8, 16, 32)

_MAX_CANDIDATES = 1000
"""Best candidates of a region that go on to suppression: bounds its work however noisy the network."""


def yolox(outputs: Sequence[Array], names: Sequence[str], spec: EngineSpec, classes: int) -> list[Candidates]:
    """Decode YOLOX's raw head, (B, cells, 5 + classes): x, y, log w, log h in strides, objectness, classes.

    Source: Ge et al., YOLOX: Exceeding YOLO Series in 2021, arXiv:2107.08430.
    """
    cells, stride = yolox_grid(spec.input.width, spec.input.height)
    raw = _one(outputs, (None, len(cells), 5 + classes), "yolox")
    decoded = []
    for image in raw:
        rows = np.flatnonzero(image[:, 4] >= spec.thresholds.score)
        kept, class_id, score = _best_class(image[rows, 5:] * image[rows, 4:5], spec.thresholds.score)
        rows = rows[kept]
        center = (image[rows, :2] + cells[rows]) * stride[rows]
        size = np.exp(image[rows, 2:4]) * stride[rows]
        decoded.append(
            candidates(np.concatenate([center - size / 2, center + size / 2], axis=1), score, class_id)
        )
    return decoded


def yolo(outputs: Sequence[Array], names: Sequence[str], spec: EngineSpec, classes: int) -> list[Candidates]:
    """Decode the head of YOLOv8 and YOLO11, (B, 4 + classes, anchors): centre, size, class scores."""
    raw = _one(outputs, (None, 4 + classes, None), "yolo")
    decoded = []
    for image in raw:
        kept, class_id, score = _best_class(image[4:].T, spec.thresholds.score)
        decoded.append(candidates(_corners(image[:4, kept].T, spec, shares=False), score, class_id))
    return decoded


def yolo_end2end(
    outputs: Sequence[Array], names: Sequence[str], spec: EngineSpec, classes: int
) -> list[Candidates]:
    """Decode a YOLO exported with its own suppression, (B, N, 6): corners, score, class."""
    raw = _one(outputs, (None, None, 6), "yolo_end2end")
    decoded = []
    for image in raw:
        kept = image[:, 4] >= spec.thresholds.score
        xyxy = image[kept, :4] * _box_unit(spec, shares=False)
        decoded.append(candidates(xyxy, image[kept, 4], image[kept, 5]))
    return decoded


def rtdetr(
    outputs: Sequence[Array], names: Sequence[str], spec: EngineSpec, classes: int
) -> list[Candidates]:
    """Decode RT-DETR, raw or as exported by its authors.

    Raw is logits (B, Q, classes) and boxes (B, Q, 4) as centre and size, shares of the input. Exported is
    labels (B, Q), boxes (B, Q, 4) as corners in pixels, scores (B, Q), for `orig_target_sizes` set to the
    input's size. Source: Zhao et al., DETRs Beat YOLOs on Real-time Object Detection, arXiv:2304.08069.
    """
    if len(outputs) == 3:
        return _rtdetr_exported(outputs, spec)
    boxes, logits = _boxes_and_logits(outputs, names, classes)
    decoded = []
    for box, logit in zip(boxes, logits):
        score = 1 / (1 + np.exp(-logit.astype(np.float32)))
        query, class_id = np.nonzero(score >= spec.thresholds.score)
        decoded.append(candidates(_corners(box[query], spec, shares=True), score[query, class_id], class_id))
    return decoded


def ssd(outputs: Sequence[Array], names: Sequence[str], spec: EngineSpec, classes: int) -> list[Candidates]:
    """Decode OpenCV's DetectionOutput of a TensorFlow SSD, (1, 1, N, 7).

    Columns: image, class (0 is background), score, corners as shares of the input.
    """
    raw = _one(outputs, (1, 1, None, 7), "ssd")[0, 0]
    decoded = []
    for image in range(max(1, int(raw[:, 0].max(initial=0)) + 1)):
        rows = raw[(raw[:, 0] == image) & (raw[:, 2] >= spec.thresholds.score)]
        decoded.append(candidates(rows[:, 3:7] * _box_unit(spec, shares=True), rows[:, 2], rows[:, 1]))
    return decoded


DECODERS: dict[str, Decoder] = {
    "yolox": yolox,
    "yolo": yolo,
    "yolo_end2end": yolo_end2end,
    "rtdetr": rtdetr,
    "ssd": ssd,
}


def candidates(xyxy: Array, score: Array, class_id: Array) -> Candidates:
    """Order by score and drop what is not finite or has no area."""
    finite = np.isfinite(xyxy).all(axis=1) & np.isfinite(score)
    finite &= (xyxy[:, 2] > xyxy[:, 0]) & (xyxy[:, 3] > xyxy[:, 1])
    best = np.flatnonzero(finite)
    best = best[np.argsort(-score[best], kind="stable")][:_MAX_CANDIDATES]
    return Candidates(
        np.ascontiguousarray(xyxy[best], np.float32),
        score[best].astype(np.float32),
        class_id[best].astype(np.int32),
    )


def _best_class(scores: Array, least: float) -> tuple[Array, Array, Array]:
    """Return the rows whose best class scores enough, that class, and its score."""
    best = scores.argmax(axis=1)
    score = scores[np.arange(len(best)), best]
    kept = np.flatnonzero(score >= least)
    return kept, best[kept], score[kept]


def _corners(cxcywh: Array, spec: EngineSpec, *, shares: bool) -> Array:
    center, half = cxcywh[:, :2], cxcywh[:, 2:] / 2
    return np.concatenate([center - half, center + half], axis=1) * _box_unit(spec, shares=shares)


def _box_unit(spec: EngineSpec, *, shares: bool) -> F32:
    shares = shares if spec.normalised_boxes is None else spec.normalised_boxes
    return np.array([spec.input.width, spec.input.height] * 2 if shares else [1] * 4, np.float32)


@lru_cache(maxsize=8)
def yolox_grid(width: int, height: int) -> tuple[F32, F32]:
    """Return (cells, 2) and (cells, 1): each cell's column and row, and its stride in pixels of the input."""
    cells, strides = [], []
    for stride in YOLOX_STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], axis=1))
        strides.append(np.full((x.size, 1), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def _rtdetr_exported(outputs: Sequence[Array], spec: EngineSpec) -> list[Candidates]:
    boxes = next((o for o in outputs if o.ndim == 3 and o.shape[2] == 4), None)
    flat = [o for o in outputs if o.ndim == 2]
    labels = next((o for o in flat if np.issubdtype(o.dtype, np.integer)), None)
    scores = next((o for o in flat if np.issubdtype(o.dtype, np.floating)), None)
    if boxes is None or labels is None or scores is None:
        raise _mismatch("rtdetr", "labels (B, Q) int, boxes (B, Q, 4), scores (B, Q)", outputs)
    decoded = []
    for box, label, score in zip(boxes, labels, scores):
        kept = score >= spec.thresholds.score
        decoded.append(candidates(box[kept] * _box_unit(spec, shares=False), score[kept], label[kept]))
    return decoded


def _boxes_and_logits(outputs: Sequence[Array], names: Sequence[str], classes: int) -> tuple[Array, Array]:
    named = [i for i, name in enumerate(names) if "box" in name.lower()]
    shaped = [i for i, o in enumerate(outputs) if o.ndim == 3 and o.shape[2] == 4]
    if len(outputs) == 2 and (found := [i for i in named if i in shaped] or shaped):
        boxes, logits = outputs[found[0]], outputs[1 - found[0]]
        if logits.ndim == 3 and logits.shape[1:] == (boxes.shape[1], classes):
            return boxes, logits
    raise _mismatch("rtdetr", f"logits (B, Q, {classes}) and boxes (B, Q, 4)", outputs)


def _one(outputs: Sequence[Array], shape: tuple[int | None, ...], decoder: str) -> Array:
    fits = len(outputs) == 1 and outputs[0].ndim == len(shape)
    if not fits or any(want not in (None, got) for want, got in zip(shape, outputs[0].shape)):
        wanted = "one output (" + ", ".join("any" if s is None else str(s) for s in shape) + ")"
        raise _mismatch(decoder, wanted, outputs)
    return outputs[0]


def _mismatch(decoder: str, wanted: str, outputs: Sequence[Array]) -> EngineError:
    got = ", ".join(str(o.shape) for o in outputs)
    return EngineError(
        f"decoder {decoder}",
        f"expects {wanted}, the network gives {got}",
        "Check `decoder`, `classes` and `input` in engine.yaml against the model.",
    )
