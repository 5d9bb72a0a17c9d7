"""What a check is: it measures how strange a subject is, and says when it could not have told."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgeguard.scene import Scene
from edgeguard.types import F64, I64, Channel
from edgeguard.verdict import Cause, SubjectKind


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What one check measured on one frame, as parallel arrays over its subjects.

    Attributes:
        kind: what the subjects are.
        ids: (N,) int64 track or object numbers; for streams, positions in `list(Channel)`.
        score: (N,) float64 surprisal in nats, −ln of how often a benign world is at least this strange;
            larger is stranger, NaN is unobservable, infinite is a fact and no matter of chance.
        cause: suspected cause of each subject, should it fail.
        detail: the measured values behind the score, by name with unit, (N,) float64 each.
    """

    kind: SubjectKind
    ids: I64
    score: F64
    cause: Sequence[Cause]
    detail: Mapping[str, F64] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.ids)
        if {n}.issuperset(map(len, (self.score, self.cause, *self.detail.values()))):
            return
        arrays = {"score": self.score, "cause": self.cause, **self.detail}
        wrong = {k: len(v) for k, v in arrays.items() if len(v) != n}
        raise ValueError(f"Scores: expected {n} entries, got {wrong}")

    @classmethod
    def none(cls, kind: SubjectKind) -> Scores:
        """Return scores of no subject: there was nothing to look at."""
        return cls(kind, np.zeros(0, np.int64), np.zeros(0), ())

    @classmethod
    def unobservable(cls, kind: SubjectKind, ids: I64) -> Scores:
        """Return that nothing could be told of these subjects."""
        return cls(kind, ids, *_dark(len(ids)))

    @property
    def is_dark(self) -> bool:
        """Whether these are `unobservable` ones; others may hold nothing else all the same."""
        return self.score is _dark(len(self.ids))[0]


@functools.lru_cache(maxsize=512)
def _dark(n: int) -> tuple[F64, tuple[Cause, ...]]:
    """Return scores and causes of `n` subjects of which nothing can be told; shared, so read-only."""
    score = np.full(n, np.nan)
    score.flags.writeable = False
    return score, (Cause.UNKNOWN,) * n


def camera_or_lidar(lidar: NDArray[np.bool_]) -> tuple[Cause, ...]:
    """Return per subject whom to suspect: the LiDAR where told so, else the camera."""
    return tuple([_CAMERA_OR_LIDAR[flag] for flag in lidar.tobytes()])


_CAMERA_OR_LIDAR = (Cause.CAMERA, Cause.LIDAR)


class Check(Protocol):
    """One measurement. Holds no thresholds; its parameters are physical. Checks do not import each other.

    Attributes:
        name: as in parameters, verdicts and docs.
        needs: what a frame must hold for it to observe anything.
        sees: the attacks of `edgeguard.redteam.catalogue` that it can tell, given its sensors.
    """

    name: str
    needs: frozenset[Channel]
    sees: frozenset[str]

    def score(self, scene: Scene) -> Sequence[Scores]:
        """Measure a frame: one `Scores` per kind of subject."""
        ...

    def reason(self, cause: Cause, measured: Mapping[str, float]) -> str:
        """Say in one clause what a failed subject's `detail` values mean."""
        ...

    def reset(self) -> None:
        """Forget everything seen: a new drive begins."""
        ...
