"""What the compiled loops say of rays that pass is what NumPy's formulas say, over frames."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeguard import objects
from edgeguard.checks.free_space import FreeSpaceSettings
from edgeguard.compiled import loops
from edgeguard.rig import CameraModel
from edgeguard.sweep import Cloud
from edgeguard.types import F64
from tests.compiled import crowds

CAMERA = CameraModel("camera", 640, 360, np.array([[500.0, 0, 320], [0, 500.0, 180], [0, 0, 1]]))
SETTINGS = FreeSpaceSettings(min_rays=5.0)
DT_S = 0.1
SOLID = np.flatnonzero(objects.SOLID)


def cloud_of(rng: np.random.Generator) -> Cloud:
    z = rng.uniform(5, 60, 4000).astype(np.float32)
    places = rng.uniform((-0.6, -0.3), (0.6, 0.3), (4000, 2)).astype(np.float32)
    xyz, u, v, z, start = CAMERA.view(np.column_stack([places * z[:, None], z]), np.eye(4), 0.5)
    return Cloud(xyz, u, v, z, rng.uniform(-0.1, 2, len(z)).astype(np.float32), None, start)


def scene_of(rng: np.random.Generator, ids: int, with_size: bool) -> Any:
    """One frame: tracks on the same places as before, with ranges and returns at random."""
    n = ids
    low = np.column_stack([np.arange(n) * 90.0 + 10, rng.uniform(1, 60, n)])
    box = np.hstack([low, low + rng.uniform(60, 290, (n, 2))])
    # Of those that stand side by side, some have one foot.
    box[:, 3] = np.where(rng.random(n) < 0.3, box[:1, 3].sum() + rng.normal(0, 10, n), box[:, 3])
    t = SimpleNamespace(
        slot=np.arange(n), label=rng.choice(SOLID, n), matched=rng.random(n) < 0.9,
        is_new=rng.random(n) < 0.1, xyxy=box, velocity=rng.choice([0.0, 900.0], (n, 4), p=[0.8, 0.2]),
        confidence=rng.uniform(0.3, 0.8, n), score=rng.uniform(0.3, 0.9, n),
    )  # fmt: skip
    total = rng.choice([2.0, 4.0, 60.0], n, p=[0.1, 0.2, 0.7])
    support = SimpleNamespace(
        total=total, expected=rng.choice([5.0, 60.0], n),
        before=total * rng.choice([0.1, 0.7], n, p=[0.9, 0.1]),
        foreground=rng.choice([np.nan, 14.0, 15.0, 22.0], n),
    )  # fmt: skip
    return SimpleNamespace(
        tracks=t, support=support, dt_s=DT_S, asserted=rng.random(n) < 0.9, truncated=rng.random(n) < 0.3,
        supported=rng.random(n) < 0.8, image_size=(640.0, 360.0) if with_size else None,
        foot_range=rng.choice([np.inf, np.nan, 15.0, 16.0, 22.0], n),
        size_range=rng.choice([np.nan, 14.0, 15.0], n),
        frame=SimpleNamespace(points=SimpleNamespace(stamp_ns=0), stamp_ns=10_000_000),
        settings=SimpleNamespace(lidar=SimpleNamespace(ground_tolerance_m=0.25, ground_slope=0.01)),
    )  # fmt: skip


def clamp(x: float, low: float, high: float) -> float:
    return float(np.minimum(np.maximum(x, low), high))


def look(cloud: Cloud, box: F64, beyond: float, label: int) -> tuple[float, float, float]:
    """Which rays pass through the inner part of one box."""
    assert cloud.height is not None
    x0, y0, x1, y1 = box.tolist()
    w, h = x1 - x0, y1 - y0
    return loops.seen_through(
        cloud.u, cloud.v, cloud.z, cloud.height, cloud.start, x0 + 0.05 * w, y0 + 0.1 * h, x1 - 0.05 * w,
        y1 - 0.1 * h, beyond, float(objects.LENGTH[label]), 0.25, 0.01, 600, SETTINGS.min_column_rays,
        SETTINGS.seen_through, 4, 12, np.empty(len(cloud.u), np.intp),
    )  # fmt: skip


def anothers_foot(scene: Any, i: int) -> bool:
    t, low = scene.tracks, scene.tracks.xyxy[i].copy()
    height = low[3] - low[1]
    low[1] = low[3] - 0.5 * height
    for j in range(len(t.slot)):
        both = np.clip(np.minimum(low[2:], t.xyxy[j, 2:]) - np.maximum(low[:2], t.xyxy[j, :2]), 0, None)
        surer = j != i and t.matched[j] and scene.supported[j] and t.confidence[j] > t.confidence[i]
        fills = both.prod() >= 0.6 * (low[2:] - low[:2]).prod()
        if surer and fills and abs(low[3] - t.xyxy[j, 3]) <= 0.1 * height:
            return True
    return False


def plain(scene: Any, cloud: Cloud, held: dict[int, dict[str, float]]) -> F64:
    """The same, a track at a time, in words of the check's docstring."""
    t, p, s = scene.tracks, scene.support, SETTINGS
    out = np.full((5, len(t.slot)), np.nan)
    for i in range(len(t.slot)):
        h = held.setdefault(i, {"m": np.nan, "stood": np.nan, "ago": 0.0, "calm": 0.0})
        x0, y0, x1, y1 = t.xyxy[i]
        stands = np.fmax(scene.foot_range[i], scene.size_range[i])
        footed = y0 >= 5 and y1 <= 355 if scene.image_size else not scene.truncated[i]
        told = bool(
            t.matched[i] and scene.asserted[i] and footed and stands <= s.max_range_m
            and p.total[i] >= max(0.5 * s.min_rays, 0.4 * p.expected[i]) and p.before[i] <= 0.6 * p.total[i]
            and abs(t.velocity[i, 0]) * 0.01 <= s.max_slip * (x1 - x0) and not anothers_foot(scene, i)
        )  # fmt: skip

        measured: tuple[float, float, float] = (np.nan,) * 3
        if told and p.total[i] >= s.min_rays:
            measured = look(cloud, t.xyxy[i], stands * (1 + s.range_margin), int(t.label[i]))
        if t.is_new[i]:
            h["m"], h["calm"] = np.nan, 0.0
        h["ago"] += DT_S
        if not stands <= 1.15 * h["stood"] or h["ago"] > 1.0:
            h["m"], h["calm"] = np.nan, 0.0
        found = p.foreground[i]
        ours = (
            t.matched[i]
            and scene.supported[i]
            and np.maximum(found, stands) <= 1.4 * np.minimum(found, stands)
        )
        if ours and not found > h["m"] + 8.0 * h["ago"] + 1.0:
            if h["ago"] > 1.5 * DT_S:
                h["calm"] = 0.0
            h["m"], h["stood"], h["ago"] = found, stands, 0.0
        least = s.min_rays
        if told and stands >= 12 and np.isfinite(h["m"]):
            anew = look(cloud, t.xyxy[i], h["m"] + 1.0, int(t.label[i]))
            if h["ago"] == 0.0:
                h["calm"] = h["calm"] + DT_S if anew[1] <= 0.35 else 0.0
            if h["calm"] >= 0.4 and not anew[1] <= measured[1]:
                measured, stands, least = anew, h["m"], 0.5 * s.min_rays
        if told and measured[2] >= least:
            nats = clamp(25 * max(measured[0] - 0.15, measured[1] - 0.35), 0, 8)
            out[0, i] = nats * clamp((min(t.confidence[i], t.score[i]) - 0.4) / (0.6 - 0.4), 0, 1)
        out[1:, i] = *measured, stands
    return out


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_over_a_drive_rays_pass_as_the_formulas_say(seed: int, with_size: bool) -> None:
    rng = np.random.default_rng(seed)
    held, known = np.zeros((loops.BODIES_HELD, crowds.CAPACITY)), dict[int, dict[str, float]]()
    held[:2] = np.nan
    cloud, n = cloud_of(rng), int(rng.integers(0, 6))
    for _ in range(8):
        scene = scene_of(rng, n, with_size)
        wanted = plain(scene, cloud, known)
        found = loops.passed_through(scene, cloud, held, SETTINGS)
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
