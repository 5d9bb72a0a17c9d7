"""What can go wrong, as types. A user's mistake is an `EdgeGuardError`; anything else is a bug of ours."""

from __future__ import annotations

from pathlib import Path


class EdgeGuardError(Exception):
    """A mistake that its reader can mend: says what is wrong, where, and what to do.

    The command line prints it without a traceback and exits with 2.
    """


class ParameterError(EdgeGuardError):
    """A parameter file or value that is not valid.

    Args:
        where: the file, or the node and parameter, that holds the value.
        problems: one line each: key, value, bound, nearest known key.
    """

    def __init__(self, where: str | Path, problems: list[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n  ".join([f"{where}: {len(problems)} invalid parameter(s)", *problems]))


class BagError(EdgeGuardError):
    """A recording that cannot be read, or not to its end."""

    def __init__(self, path: str | Path, problem: str, remedy: str) -> None:
        self.path = Path(path)
        super().__init__(f"{path}: {problem}. {remedy}")


class EngineError(EdgeGuardError):
    """A perception engine that cannot be found, verified, built or run."""

    def __init__(self, engine: str, problem: str, remedy: str) -> None:
        self.engine = engine
        super().__init__(f"engine {engine}: {problem}. {remedy}")


class MessageError(EdgeGuardError):
    """A ROS message whose content contradicts its own description."""

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(f"{kind}: {problem}")
