"""Frames full of chance: tracks and LiDAR objects that crowd, hide one another and leave the picture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from edgeguard import objects

CAPACITY, WIDTH, HEIGHT, FOCAL = 32, 640.0, 360.0, 500.0
K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1]])


def boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    """(N, 4) boxes about a few places, so that many overlap; some beyond the border."""
    middle = rng.choice(rng.uniform([-20, 60], [WIDTH + 20, HEIGHT], (5, 2)), n) + rng.normal(0, 8, (n, 2))
    half = rng.uniform(4, 70, (n, 2))
    return np.concatenate([middle - half, middle + half], axis=1)


def tracks(rng: np.random.Generator) -> Any:
    """What `edgeguard.tracking.camera.Tracks` holds, made up."""
    n = int(rng.integers(0, 9))
    xyxy, matched = boxes(rng, n), rng.random(n) < 0.8
    return SimpleNamespace(
        id=np.arange(n) + 5, slot=rng.permutation(CAPACITY)[:n].astype(np.intp), xyxy=xyxy,
        width=xyxy[:, 2] - xyxy[:, 0], height=xyxy[:, 3] - xyxy[:, 1],
        velocity=rng.normal(0, 1, (n, 4)),
        residual=np.where(matched[:, None], rng.normal(0, [3, 3, 0.1, 0.1], (n, 4)), np.nan),
        residual_sigma=rng.uniform(0.5, 2, (n, 4)) * [3, 3, 0.1, 0.1],
        matched=matched, score=rng.uniform(0.1, 1, n), confidence=rng.choice([0.2, 0.4, 0.6, 0.8], n),
        label=rng.integers(0, len(objects.CLASSES), n), age_s=rng.choice([0.2, 0.7, 3.0], n),
        missed_s=np.where(matched, 0.0, rng.choice([0.2, 0.6], n)), hits=rng.integers(1, 8, n),
        held_s=rng.choice([0.1, 0.8, 2.0], n), is_new=rng.random(n) < 0.2,
    )  # fmt: skip


def scene(rng: np.random.Generator, **given: Any) -> Any:
    """What `edgeguard.scene.Scene` holds of such tracks, without LiDAR and ego motion unless given."""
    t = given.pop("tracks", None) or tracks(rng)
    n = len(t.id)
    made = {
        "tracks": t, "dt_s": 0.1, "rig": SimpleNamespace(camera=SimpleNamespace(focal=FOCAL, k=K)),
        "frame": SimpleNamespace(detections=None), "camera_motion": None, "objects": None, "pairing": None,
        "support": None, "objects_are_classified": False, "image_size": (WIDTH, HEIGHT),
        "truncated": rng.random(n) < 0.2, "asserted": rng.random(n) < 0.8, "duplicate": rng.random(n) < 0.1,
        "hidden": rng.choice([0.0, 0.1, 0.5], n), "foot_hidden": rng.choice([0.0, 0.5], n, p=[0.8, 0.2]),
        "edge_px": rng.choice([10.0, 50.0, 200.0], n), "size_range": rng.uniform(4, 60, n),
    }  # fmt: skip
    return SimpleNamespace(**(made | given))
