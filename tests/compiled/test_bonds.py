"""The compiled memory of pairs says what NumPy's formulas say, for tracks new, unknown and long not held."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgeguard import objects
from edgeguard.compiled import loops
from edgeguard.pairing import SURE_OVERLAP
from edgeguard.types import F64, I64

PARTNER, PARTNER_NS, RANGE_NS = range(loops.BONDS)
RANGE_M, RATE_MPS, SIZE = range(loops.BOND_RANGES)
OWNER, OWNER_NS = range(loops.OWNERS)
NOW_NS = 100_000_000_000
KINDS = len(objects.CLASSES)


class World:
    """Tracks and objects with a past, drawn at random; identities are few, so that they meet."""

    def __init__(self, seed: int, whole: bool) -> None:
        rng = np.random.default_rng(seed)
        self.n, self.m, self.whole = n, m, whole = int(rng.integers(0, 6)), int(rng.integers(0, 6)), whole
        lately = NOW_NS - rng.choice([1, 2 * 10**8, 9 * 10**8, 5 * 10**9], (2, 8))
        self.bonds: I64 = np.stack([rng.integers(-1, 8, 8), *lately])
        self.bonds[RANGE_NS, rng.random(8) < 0.3] = 0
        self.ranges: F64 = rng.uniform(0.5, 40, (3, 8))
        self.ranges[RATE_MPS] -= 20
        self.ranges[SIZE] = rng.choice([np.nan, 0.8, 1.3], 8)
        self.owners: I64 = np.stack([rng.integers(-1, 8, 8), NOW_NS - rng.choice([1, 10**9], 8)])
        detection = np.where(rng.random(n) < 0.6, rng.permutation(n), -1)
        self.t: Any = SimpleNamespace(
            id=np.sort(rng.permutation(8)[:n]), slot=rng.permutation(8)[:n], detection=detection,
            label=rng.integers(0, KINDS, n), age_s=rng.choice([0.0, 0.2, 0.25, 3.0], n),
            is_new=rng.random(n) < 0.3,
        )  # fmt: skip
        self.seen: Any = SimpleNamespace(
            id=np.sort(rng.permutation(8)[:m]), slot=rng.permutation(8)[:m],
            label=rng.integers(-1, KINDS, m), age_s=rng.choice([0.0, 0.2, 0.25, 3.0], m),
            is_new=rng.random(m) < 0.3, center=rng.uniform(1, 40, (m, 3)), hits=rng.integers(1, 5, m),
            velocity=rng.uniform(-90, 90, (m, 2)),
        )  # fmt: skip
        self.size_range: F64 = np.where(rng.random(n) < 0.3, np.nan, rng.uniform(1, 40, n))
        partner = np.full(n, -1)
        paired = min(n, m)
        partner[rng.permutation(n)[:paired]] = rng.permutation(m)[:paired]
        self.pairing: Any = SimpleNamespace(
            object_of=partner, object_overlap=rng.choice([0.3, SURE_OVERLAP, 0.9], n)
        )
        self.memory = self.bonds, self.ranges, self.owners


def range_of(w: World, slot: I64) -> tuple[F64, F64]:
    """Where LiDAR lately held tracks, and how long ago."""
    ago = (NOW_NS - w.bonds[RANGE_NS, slot]) * 1e-9
    now = np.maximum(w.ranges[RANGE_M, slot] + w.ranges[RATE_MPS, slot] * np.minimum(ago, 1.0), 1.0)
    return np.where((w.bonds[RANGE_NS, slot] > 0) & (ago < 1.0), now, np.nan), ago


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_what_the_past_says_is_what_the_formulas_say(seed: int, whole: bool) -> None:
    w, plain = World(seed, whole), World(seed, whole)
    t, seen, slot = plain.t, plain.seen, plain.t.slot
    plain.bonds[PARTNER, slot[t.is_new]] = -1
    plain.bonds[RANGE_NS, slot[t.is_new]] = 0
    plain.ranges[SIZE, slot[t.is_new]] = np.nan
    plain.owners[OWNER, seen.slot[seen.is_new]] = -1
    last, ago = range_of(plain, slot)
    known = np.isfinite(last)
    gate = np.minimum(0.15, 2.0 / last if whole else 0.15) + (6.0 if whole else 30.0) * ago / last
    wanted = [
        np.where(known, last, plain.size_range),
        np.where(known, gate, 0.35 if whole else 0.4),
        np.where(known, gate, 0.8 if whole else 0.4),
        plain.ranges[SIZE, slot] * plain.size_range,
    ]
    partner, owner = plain.bonds[PARTNER, slot], plain.owners[OWNER, seen.slot]
    began = NOW_NS - np.round(t.age_s * 1e9).astype(np.int64)
    stood = NOW_NS - np.round(seen.age_s * 1e9).astype(np.int64)
    two = ((partner < 0) & (t.age_s >= 0.25))[:, None] & (seen.age_s >= 0.25)
    two |= ((partner >= 0)[:, None] & (seen.id != partner[:, None])) & (
        stood < plain.bonds[PARTNER_NS, slot][:, None]
    )
    two |= (owner >= 0) & (t.id[:, None] != owner) & (began[:, None] < plain.owners[OWNER_NS, seen.slot])
    person = np.array([c.group == "person" for c in objects.CLASSES])[seen.label] & (seen.label >= 0)
    two |= objects.RIGID[t.label][:, None] & person

    track_of, table, loyal, rivals = loops.expected(NOW_NS, w.n, w.t, w.size_range, w.seen, whole, *w.memory)
    np.testing.assert_allclose(table, np.reshape(wanted, (4, w.n)), rtol=1e-12)
    np.testing.assert_array_equal(rivals.astype(bool), two)
    matched = np.flatnonzero(t.detection >= 0)
    assert track_of[t.detection[matched]].tolist() == matched.tolist()
    assert np.count_nonzero(track_of >= 0) == len(matched)
    rows = {int(i): row for row, i in enumerate(seen.id)}
    assert loyal.tolist() == [rows.get(int(p), -1) for p in partner]
    for now, then in zip(w.memory, plain.memory):
        np.testing.assert_array_equal(now, then)


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_sure_pairs_are_remembered_with_their_range_and_how_fast_it_grew(seed: int, whole: bool) -> None:
    w, plain = World(seed, whole), World(seed, whole)
    t, seen = plain.t, plain.seen
    for i, j in enumerate(plain.pairing.object_of):
        if j < 0:
            continue
        s, z = t.slot[i], seen.center[j, 2]
        plain.bonds[PARTNER, s] = seen.id[j]
        if plain.pairing.object_overlap[i] < SURE_OVERLAP:
            continue
        since_s = (NOW_NS - plain.bonds[RANGE_NS, s]) * 1e-9
        fresh = plain.bonds[RANGE_NS, s] > 0 and since_s < 0.25
        own = (z - plain.ranges[RANGE_M, s]) / max(since_s, 1e-3) if fresh else 0.0
        rate = seen.velocity[j, 1] if seen.hits[j] >= 3 else own
        plain.ranges[RATE_MPS, s] = np.clip(rate, -70, 70) if whole else 0.0
        plain.ranges[RANGE_M, s] = z
        plain.bonds[RANGE_NS, s] = plain.bonds[PARTNER_NS, s] = NOW_NS
        size, last = z / plain.size_range[i], plain.ranges[SIZE, s]
        both = np.isfinite(size) and np.isfinite(last)
        plain.ranges[SIZE, s] = 0.8 * last + 0.2 * size if both else size
        plain.owners[:, seen.slot[j]] = t.id[i], NOW_NS
    loops.bond(NOW_NS, w.t, w.size_range, w.seen, w.pairing, whole, *w.memory)
    for now, then in zip(w.memory, plain.memory):
        np.testing.assert_allclose(now, then, rtol=1e-12)
    slots = np.arange(8)
    np.testing.assert_array_equal(
        loops.held_range(w.bonds, w.ranges, slots, NOW_NS), range_of(plain, slots)[0]
    )
