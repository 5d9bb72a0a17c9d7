"""Pictures of the world with their truth: what the small detector is trained on and judged by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeguard.sim.camera import Renderer
from edgeguard.sim.scenes import build_scene
from edgeguard.sim.shots import JPEG_QUALITY
from edgeguard.tracking import boxes as areas
from edgeguard.types import F64, U8, Detections


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A frame and what is in it.

    Attributes:
        jpeg: the picture as it would have been recorded.
        labels: of the objects, nearest last.
        xyxy: (N, 4) their outlines inside the picture, pixels, as if nothing stood before them.
        visible: (N,) share of the outline that is seen.
        range_m: (N,) from the vehicle's origin to theirs, over ground.
    """

    jpeg: U8
    labels: tuple[str, ...]
    xyxy: F64
    visible: F64
    range_m: F64

    @property
    def bgr(self) -> U8:
        return np.asarray(cv2.imdecode(self.jpeg, cv2.IMREAD_COLOR), np.uint8)


def sample_scene(name: str, seed: int, frames: int) -> Iterator[Sample]:
    """Yield `frames` frames of a scene, spread over it; the same arguments give the same samples."""
    scene = build_scene(name, seed)
    renderer = Renderer(scene)
    offset = np.random.default_rng([seed, 71]).uniform(0, 1)
    for index in ((np.arange(frames) + offset) * scene.n_frames / frames).astype(int).tolist():
        bgr, visible = renderer.render(index)
        ok, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        assert ok
        here = np.array(scene.ego.pose(scene.time(index))[:2])
        there = [np.array(scene.actors[i].trajectory.pose(scene.time(index))[:2]) for i in visible]
        away = np.array([float(np.linalg.norm(p - here)) for p in there])
        order = np.argsort(-away)
        ids = [list(visible)[i] for i in order]
        yield Sample(
            np.asarray(jpeg, np.uint8).ravel(),
            tuple(scene.actors[i].label for i in ids),
            np.array([visible[i].xyxy for i in ids], np.float64).reshape(-1, 4),
            np.array([1.0 - visible[i].occlusion for i in ids], np.float64),
            away[order],
        )


def average_precision(
    found: Sequence[Detections],
    truth: Sequence[Sample],
    labels: frozenset[str],
    *,
    within_m: float,
    visible: float,
    iou: float = 0.5,
) -> float:
    """Return the area under the precision-recall curve, all points, over frames.

    To be found are objects of `labels` within `within_m` that show at least `visible` of their outline. Those
    of `labels` that are farther or more hidden may be found or not: boxes on them count neither way. All
    classes of `labels` are one class here.

    Args:
        found: per frame, what the detector says.
        truth: per frame, what is there.

    Source: M. Everingham et al., "The PASCAL Visual Object Classes Challenge", IJCV 2015.
    """
    scores: list[float] = []
    hits: list[bool] = []
    wanted = 0
    for detections, sample in zip(found, truth):
        mine = np.array([label in labels for label in sample.labels], bool)
        must = mine & (sample.range_m <= within_m) & (sample.visible >= visible)
        wanted += int(must.sum())
        ours = np.flatnonzero([name in labels for name in detections.labels])
        ours = ours[np.argsort(-detections.score[ours], kind="stable")]
        boxes = detections.xyxy[ours].astype(np.float64)
        taken = _assign(boxes, sample.xyxy, must, iou)
        neither = _on_any(boxes, sample.xyxy[mine & ~must])
        for i, k in enumerate(ours):
            if taken[i] or not neither[i]:
                scores.append(float(detections.score[k]))
                hits.append(bool(taken[i]))
    if not wanted:
        return float("nan")
    hit = np.array(hits, bool)[np.argsort(-np.array(scores), kind="stable")]
    recall = np.cumsum(hit) / wanted
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * envelope))


def _assign(boxes: F64, truth: F64, must: NDArray[np.bool_], least: float) -> NDArray[np.bool_]:
    """Return which boxes, by falling score, are the first on one of the objects to be found."""
    taken = np.zeros(len(boxes), bool)
    overlap = areas.iou(boxes, truth)
    overlap = np.where(must[None, :], overlap, 0.0)
    for i in range(len(boxes)):
        if overlap.shape[1] and overlap[i].max() >= least:
            best = int(overlap[i].argmax())
            taken[i] = True
            overlap[:, best] = 0.0
    return taken


def _on_any(boxes: F64, others: F64) -> NDArray[np.bool_]:
    """Return which boxes lie for the better half on one of `others`, or the other way round."""
    common = areas.intersection(boxes, others)
    smaller = np.minimum(areas.area(boxes)[:, None], areas.area(others))
    return np.asarray((common > 0.5 * smaller).any(1))
