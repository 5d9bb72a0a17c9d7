"""Evidence over time: one e-process per check and subject, restarted whenever it turns against an attack.

A score is surprisal s = −ln p. The calibrator e = κ·p^(κ−1) turns a p-value into an e-value, of mean
at most 1 in a benign world (Vovk & Wang, E-values, Annals of Statistics 2021). Their running product,
never below 1, is the CUSUM form of an e-detector (Shin, Ramdas & Rinaldo, arXiv 2203.03532): with
threshold e^h, false
alarms come at most once in e^h steps. Frames closer than the step are dependent, so each enters with the
power dt/step ≤ 1, which keeps its mean at most 1 (Jensen). What that guarantees, and what is only measured,
is in docs/evidence.md.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from edgeguard.checks.base import Scores
from edgeguard.compiled import loops
from edgeguard.config import Settings
from edgeguard.evidence import succession
from edgeguard.scene import Scene
from edgeguard.types import F64, I64
from edgeguard.verdict import SubjectKind

_KAPPA = 0.1
_QUIET = -math.log(_KAPPA) / (1.0 - _KAPPA) - 1e-9  # surprisal that gains nothing
SPARE_SHARE = 0.01
"""Share of the budget that a check without a measured threshold keeps, where others have one."""

NEUTRAL_SCORE = -math.log(_KAPPA) / (1.0 - _KAPPA)
"""The surprisal, nats, above which a score accuses and below which it clears."""

_FADE_S = 1.0
_FORGET_S = 2.0


class EvidenceSettings(Settings):
    """Parameters of the evidence."""

    false_alarms_per_hour: float = Field(
        1.0, gt=0, le=3600, description="budget of false alarms in a benign world, all checks together, 1/h"
    )
    step_s: float = Field(
        0.1, gt=0, le=1, description="frames closer than this count in part, as they repeat each other, s"
    )
    max_step_evidence: float = Field(
        5.0, gt=0, le=50, description="evidence that one step may add, nats: no single frame alarms"
    )
    subjects: float = Field(
        10.0, gt=0, description="subjects usually watched at once, over which the budget is spread"
    )


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Evidence about the subjects of one `Scores`, parallel to it.

    Attributes:
        evidence: (N,) log of the e-process, nats, 0 or more.
        threshold: the evidence at which an alarm is raised.
        raised: (N,) whether it is.
        alarms: how many are.
        onset_ns: (N,) when the evidence last began to rise.
        dark: how many could not be observed.
    """

    evidence: F64
    threshold: float
    raised: NDArray[np.bool_]
    alarms: int
    onset_ns: I64
    dark: int


class _Book:
    """Evidence of one check about subjects of one kind, by identity.

    Written for a dozen subjects that are mostly those of the frame before: at that size a dictionary is many
    times faster than set operations on arrays, and every check pays for it on every frame.
    """

    def __init__(self) -> None:
        self.quiet = True  # all evidence is 0: who had none need not be remembered
        self.evidence: F64 = np.zeros(16)
        self.onset_ns: I64 = np.zeros(16, np.int64)
        self.seen_ns: I64 = np.zeros(16, np.int64)
        self.known_ns: I64 = np.zeros(16, np.int64)  # last observed
        self.box: F64 = np.zeros((16, 4))  # where it was then
        # Rows of those who wait for an heir, and where they should be.
        self.heirless: list[tuple[int, F64]] = []
        self._passed_on: set[int] = set()
        self._row: dict[int, int] = {}
        self._free = list(range(16))
        self._ids = b""
        self._rows: NDArray[np.intp] = np.zeros(0, np.intp)
        self._stamp_ns = 0

    def rows(self, ids: I64, stamp_ns: int) -> NDArray[np.intp]:
        """Return the row of each identity; new ones begin at 0, those not seen for long are dropped."""
        key = ids.tobytes()
        if key != self._ids or (stamp_ns - self._stamp_ns) * 1e-9 >= _FORGET_S:
            self._forget(stamp_ns)
            self._rows = np.array([self._find(i) for i in ids.tolist()], np.intp)
            self._ids = key
        self._stamp_ns = stamp_ns
        self.seen_ns[self._rows] = stamp_ns
        return self._rows

    def _forget(self, stamp_ns: int) -> None:
        seen_ns = self.seen_ns.tolist()
        for i in [i for i, r in self._row.items() if (stamp_ns - seen_ns[r]) * 1e-9 >= _FORGET_S]:
            row = self._row.pop(i)
            self.evidence[row] = 0.0
            self._free.append(row)

    def _find(self, ident: int) -> int:
        row = self._row.get(ident)
        if row is None:
            if not self._free:
                self._grow()
            row = self._row[ident] = self._free.pop()
            self.onset_ns[row] = self.known_ns[row] = 0
        return row

    def _grow(self) -> None:
        n = len(self.evidence)
        self.evidence, self.onset_ns, self.seen_ns, self.known_ns, self.box = (
            np.concatenate([a, np.zeros_like(a)])
            for a in (self.evidence, self.onset_ns, self.seen_ns, self.known_ns, self.box)
        )
        self._free.extend(range(n, 2 * n))

    def follow(self, rows: NDArray[np.intp], surprisal: F64, at: succession.Places, stamp_ns: int) -> None:
        """Note where subjects are that can be observed, and who of the others waits for an heir."""
        dark = np.isnan(surprisal)
        seen = ~dark
        now = rows[seen]
        self.box[now], self.known_ns[now] = at.box[seen], stamp_ns
        if self._passed_on:
            self._passed_on.difference_update(now.tolist())
        lost = dark & at.gone & (self.evidence[rows] > 0.0)
        if not lost.any():
            self.heirless = []
            return
        lost &= stamp_ns - self.known_ns[rows] <= succession.HEIRLESS_NS
        self.heirless = [
            (int(rows[i]), at.box[i]) for i in np.flatnonzero(lost) if int(rows[i]) not in self._passed_on
        ]

    def inherit(
        self, book: _Book, rows: NDArray[np.intp], surprisal: F64, at: succession.Places, most: float
    ) -> None:
        """Go on with what the heirless of a book left, of `most` nats: an alarm takes a frame of its own."""
        able = np.flatnonzero(~np.isnan(surprisal) & ~at.gone)
        waiting = []
        for row, box in book.heirless:
            i = succession.heir(book.box[row], box, at.box[able])
            if i < 0:
                waiting.append((row, box))
                continue
            mine, left = rows[able[i]], min(float(book.evidence[row]), most)
            if left > self.evidence[mine]:
                self.evidence[mine], self.onset_ns[mine] = left, book.onset_ns[row]
            book._passed_on.add(row)
        book.heirless = waiting


class Evidence:
    """Accumulates the scores of all checks; the same input gives the same evidence."""

    def __init__(
        self,
        settings: EvidenceSettings,
        checks: int,
        thresholds: Mapping[tuple[str, SubjectKind], float] | None = None,
    ) -> None:
        self.apply(settings, checks, thresholds)
        self.reset()

    def apply(
        self,
        settings: EvidenceSettings,
        checks: int,
        thresholds: Mapping[tuple[str, SubjectKind], float] | None = None,
    ) -> None:
        """Take a new budget; what was gathered stays, so that no standing alarm is forgotten."""
        self.settings = settings
        self._thresholds = dict(thresholds or {})
        steps_per_hour = 3600.0 / settings.step_s
        # Ville's inequality per step, subject and check; a union bound needs no independence between them.
        share = SPARE_SHARE if thresholds else 1.0 / checks
        rate = settings.false_alarms_per_hour * share / (steps_per_hour * settings.subjects)
        self.threshold = -math.log(rate)

    def reset(self) -> None:
        """Forget all evidence: a new drive begins."""
        self._books: dict[tuple[str, SubjectKind], _Book] = {}

    def is_quiet(self, check: str, kind: SubjectKind) -> bool:
        """Whether there is no evidence about any subject of a check."""
        book = self._books.get((check, kind))
        return book is None or book.quiet

    def update(
        self, check: str, scores: Scores, stamp_ns: int, dt_s: float, scene: Scene | None = None
    ) -> Standing:
        """Add one frame's scores.

        Args:
            check: name of the check.
            scores: what it measured.
            stamp_ns: the frame's stamp.
            dt_s: time since the frame before, s.
            scene: where subjects are, so that evidence can go on with who takes another's place.
        """
        key = check, scores.kind
        book = self._books.get(key)
        if book is None:
            book = self._books[key] = _Book()
        threshold = self._thresholds.get(key, self.threshold)
        surprisal = scores.score
        strongest, dark = loops.outline(surprisal)
        # What the camera lost and LiDAR still shows goes on as its LiDAR object.
        tracks = (
            self._books.get((check, SubjectKind.TRACK)) if scores.kind is SubjectKind.LIDAR_OBJECT else None
        )
        bereft = tracks is not None and bool(tracks.heirless)
        if book.quiet and threshold > 0 and not strongest > _QUIET and not bereft:
            return _nothing(len(surprisal), threshold, dark)  # as nearly always: all stays at 0
        rows = book.rows(scores.ids, stamp_ns)
        at = None if scene is None else succession.places(scene, scores.kind, scores.ids)
        if at is not None:
            book.follow(rows, surprisal, at, stamp_ns)
            for other in (book, tracks):
                if other is not None and other.heirless:
                    book.inherit(other, rows, surprisal, at, threshold)
        evidence, onset_ns, raised_now, alarms = loops.gather(
            book.evidence,
            book.onset_ns,
            rows,
            surprisal,
            stamp_ns,
            math.log(_KAPPA),
            1.0 - _KAPPA,
            self.settings.max_step_evidence,
            min(1.0, dt_s / self.settings.step_s),
            # What can no longer be observed neither clears nor accuses: it fades.
            math.exp(-dt_s / _FADE_S),
            # Bounded above, so that an alarm ends soon after its cause does.
            threshold + self.settings.max_step_evidence,
            threshold,
        )
        book.quiet = not book.evidence.any()
        if book.quiet:
            book.heirless = []
        return Standing(evidence, threshold, raised_now.view(bool), alarms, onset_ns, dark)


@functools.lru_cache(maxsize=4096)
def _nothing(n: int, threshold: float, dark: int) -> Standing:
    """Return how `n` subjects without evidence stand; shared, so read-only."""
    evidence, raised, onset_ns = np.zeros(n), np.zeros(n, bool), np.zeros(n, np.int64)
    for a in (evidence, raised, onset_ns):
        a.flags.writeable = False
    return Standing(evidence, threshold, raised, 0, onset_ns, dark)
