"""Where the data that ships with EdgeGuard lies: engines, calibration, parameters, launch files."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import edgeguard
from edgeguard.errors import EdgeGuardError

_INSTALLED = ("site-packages", "dist-packages")


def data_dir(kind: str) -> Path:
    """Return the folder of one kind of data: `engines`, `config`, `calibration` or `launch`.

    A source checkout's own folder comes first, then `share/edgeguard` of the prefix that the package was
    installed into (pip or colcon), of each entry of `AMENT_PREFIX_PATH`, and of the running Python.

    Raises:
        EdgeGuardError: no such folder; names every place looked at.
    """
    looked: list[Path] = []
    for folder in _candidates(kind):
        if folder.is_dir():
            return folder
        if folder not in looked:
            looked.append(folder)
    places = "".join(f"\n  {p}" for p in looked)
    raise EdgeGuardError(
        f"EdgeGuard's own {kind}/ folder was not found; reinstall edgeguard. Looked at:{places}"
    )


def _candidates(kind: str) -> Iterator[Path]:
    package = Path(edgeguard.__file__).resolve().parent
    # A stray top-level `config/` in site-packages belongs to some other distribution.
    if package.parent.name not in _INSTALLED:
        yield package.parent / kind
    prefixes = list(package.parents)[1:5]
    prefixes += [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    for prefix in [*prefixes, Path(sys.prefix)]:
        yield prefix / "share" / "edgeguard" / kind
