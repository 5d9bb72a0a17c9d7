"""What a monitor knows of a drive so far, as bytes: with it a recording replays as the vehicle went on.

A recording comes from who knows where, so that what is read back may only be what a monitor consists of:
plain data, arrays, and the library's own classes below the monitor, never a function.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeguard import __version__
from edgeguard.errors import EdgeGuardError
from edgeguard.monitor import Monitor, MonitorSettings

SCHEMA = "edgeguard/snapshot/1"

MAGIC = b'{"schema": "edgeguard/snapshot/'
"""What every snapshot begins with."""

MAX_TABLE_BYTES = 2**20
"""Arrays that are windows into larger ones are kept as copies: those are pictures and sweeps."""

_PACKAGE = Path(__file__).parent
_MODULES = (
    "appearances", "attribution", "bonds", "checks", "evidence", "lidar", "monitor", "objects", "radar",
    "rig", "scene", "sight", "tracking", "types", "vanishing", "verdict",
)  # fmt: skip
"""Of `edgeguard`: what a monitor's parts are defined in."""

_CODE = ("", "checks", "compiled", "evidence", "tracking")
"""Folders of `edgeguard` on whose code verdicts depend."""

_FOREIGN = frozenset({
    ("collections", "deque"), ("numpy", "dtype"), ("numpy", "ndarray"),
    ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar"),
    ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"), ("numpy._core.numeric", "_frombuffer"),
})  # fmt: skip


def dump(monitor: Monitor, stamp_ns: int) -> bytes:
    """Return what a monitor knows after the frame of that stamp; settings, engines and observer stay behind.

    Some 2 MB in 4 ms on KITTI.

    Raises:
        EdgeGuardError: a part of the monitor cannot be put into bytes.
    """
    head = {"schema": SCHEMA, "by": _by(monitor), "stamp_ns": stamp_ns}
    data = io.BytesIO()
    data.write(json.dumps(head).encode() + b"\n")
    try:
        _Pickler(data, _outside(monitor)).dump(monitor)
    except (pickle.PicklingError, TypeError, AttributeError) as e:
        raise EdgeGuardError(f"the monitor cannot be recorded: {type(e).__name__}: {e}") from e
    return data.getvalue()


def stamp_ns(data: bytes, like: Monitor) -> int | None:
    """Return the stamp of the frame that a snapshot was taken after; None where other code or settings did.

    Raises:
        EdgeGuardError: it is no snapshot.
    """
    head = _head(data)
    return int(head["stamp_ns"]) if head["by"] == _by(like) else None


def restore(data: bytes, like: Monitor) -> Monitor:
    """Return the monitor of a snapshot, with the settings, the engines and the observer of another.

    Raises:
        EdgeGuardError: it is no snapshot, or holds what no monitor does.
    """
    _head(data)
    try:
        monitor = _Unpickler(io.BytesIO(data[data.index(b"\n") + 1 :]), _outside(like)).load()
    except Exception as e:  # A pickle raises whatever it meets.
        raise EdgeGuardError(f"a recorded snapshot cannot be read: {type(e).__name__}: {e}") from e
    if not isinstance(monitor, Monitor):
        raise EdgeGuardError("a recorded snapshot cannot be read: it holds no monitor")
    return monitor


def _head(data: bytes) -> dict[str, Any]:
    try:
        head = json.loads(data[: data.index(b"\n")])
        if head["schema"] != SCHEMA or not isinstance(head["stamp_ns"], int):
            raise ValueError(f"schema {head['schema']!r} is not {SCHEMA!r}")
        return dict(head) | {"by": str(head["by"])}
    except (ValueError, KeyError, TypeError) as e:
        raise EdgeGuardError(f"a recorded snapshot cannot be read: {e}") from e


def _outside(monitor: Monitor) -> dict[str, Any]:
    # A node's settings hold more than the monitor's, and are of a class that a replay does not know.
    return {"settings": monitor.settings, **monitor.outside}


def _by(monitor: Monitor) -> str:
    """Name code and settings: with any other, equal verdicts cannot be promised."""
    settings = monitor.settings.model_dump_json(include=set(MonitorSettings.model_fields))
    return hashlib.sha256((_code() + settings).encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def _code() -> str:
    digest = hashlib.sha256(__version__.encode())
    for folder in _CODE:
        for file in sorted((_PACKAGE / folder).glob("*.p[yx]*")):
            digest.update(file.read_bytes())
    return digest.hexdigest()


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, outside: Mapping[str, Any]) -> None:
        super().__init__(file, protocol=5)
        self._names = {id(value): name for name, value in outside.items() if value is not None}

    def persistent_id(self, value: Any) -> str | None:
        return self._names.get(id(value))

    def reducer_override(self, value: Any) -> Any:
        # Rows of a table that are held by name must stay rows of that table, not become copies.
        if type(value) is np.ndarray and (table := _table(value)) is not None:
            offset = value.ctypes.data - table.ctypes.data
            return _window, (table, value.dtype, offset, value.shape, value.strides)
        return NotImplemented


def _table(array: NDArray[Any]) -> NDArray[Any] | None:
    """The array that another is a window into, where both are to be kept as such."""
    base = array.base
    if not isinstance(base, np.ndarray) or base.nbytes > MAX_TABLE_BYTES or base.dtype.hasobject:
        return None
    return base if array.flags.writeable and base.flags.owndata and base.flags.c_contiguous else None


def _window(
    base: NDArray[Any], dtype: np.dtype[Any], offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> NDArray[Any]:
    return np.ndarray(shape, dtype, base, offset, strides)


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, outside: Mapping[str, Any]) -> None:
        super().__init__(file)
        self._outside = outside

    def persistent_load(self, name: str) -> Any:
        return self._outside[name]

    def find_class(self, module: str, name: str) -> Any:
        package, _, rest = module.partition(".")
        if (module, name) in _FOREIGN:
            return super().find_class(module, name)
        if (module, name) == (__name__, _window.__name__):
            return _window
        # A dotted name would reach what a module has imported.
        if package == "edgeguard" and rest.split(".")[0] in _MODULES and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a monitor")
