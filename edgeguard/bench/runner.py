"""Runs the matrix over processes; what is done is kept, and not done again while nothing has changed."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import edgeguard
from edgeguard.bench import cell as cells
from edgeguard.bench.matrix import Cell, Drive
from edgeguard.errors import EdgeGuardError
from edgeguard.locate import data_dir
from edgeguard.monitor import MonitorSettings

Progress = Callable[[int, int, str], None]
"""Told how many of how many cells are done, and which was the last."""
_DECIDING = frozenset({".py", ".pyx", ".pxi", ".yaml", ".onnx", ".npz", ".pb", ".txt", ".png"})


def run(
    matrix: Sequence[Cell],
    out: Path,
    *,
    jobs: int,
    progress: Progress = lambda done, total, name: None,
) -> list[dict[str, Any]]:
    """Return the results of all cells, in the order of the matrix.

    Each result lies in `out/cells` as soon as it is there, under the cell's name, with a fingerprint of the
    code, the default parameters, the engines and the cell; a run that was stopped goes on where it was.

    Args:
        jobs: processes.
        progress: called after each cell.

    Raises:
        EdgeGuardError: the folder cannot be written to, or a drive cannot be made.
    """
    for folder in (out / "cells", out / "drives"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise EdgeGuardError(f"{folder}: cannot be written to: {e.strerror}. Use --out") from e
    code = fingerprint()
    results: dict[Cell, dict[str, Any]] = {}
    for cell in matrix:
        kept = _kept(_path(out, cell), _key(cell, code))
        if kept is not None:
            results[cell] = kept
    progress(len(results), len(matrix), "")
    todo = [c for c in matrix if c not in results]
    if todo:
        _drives(out, code)
        _run(todo, out, code, jobs, results, len(matrix), progress)
    return [results[c] for c in matrix]


def _run(
    todo: Sequence[Cell],
    out: Path,
    code: str,
    jobs: int,
    results: dict[Cell, dict[str, Any]],
    total: int,
    progress: Progress,
) -> None:
    # Forking a process that has threads can deadlock; OpenCV has some.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin) as pool:
        try:
            drives = list(dict.fromkeys(c.drive for c in todo))
            rendering: dict[Future[Path], Drive] = {
                pool.submit(cells.make_drive, d, out / "drives"): d for d in drives
            }
            running: dict[Future[dict[str, Any]], Cell] = {}
            while rendering or running:
                pending: list[Future[Any]] = [*rendering, *running]
                wait(pending, return_when=FIRST_COMPLETED)
                for made in [f for f in rendering if f.done()]:
                    drive, bag = rendering.pop(made), made.result()
                    running |= {pool.submit(_one, c, bag): c for c in todo if c.drive == drive}
                for future in [f for f in running if f.done()]:
                    cell = running.pop(future)
                    results[cell] = future.result()
                    _keep(_path(out, cell), _key(cell, code), results[cell])
                    progress(len(results), total, cell.name)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin() -> None:
    """Keep a worker to one core: the cells are what runs in parallel."""
    import cv2

    cv2.setNumThreads(1)


def _one(cell: Cell, bag: Path) -> dict[str, Any]:
    try:
        return cells.run(cell, bag)
    except EdgeGuardError as e:
        return cells.failed(cell, str(e))


def fingerprint() -> str:
    """Return a short name of all that a result depends on beside its cell: code, parameters, engines."""
    digest = hashlib.sha256()
    for folder in (Path(edgeguard.__file__).parent, data_dir("engines")):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix in _DECIDING:
                digest.update(path.relative_to(folder).as_posix().encode())
                digest.update(path.read_bytes())
    digest.update(json.dumps(MonitorSettings().model_dump(mode="json"), sort_keys=True).encode())
    return digest.hexdigest()[:16]


def _drives(out: Path, code: str) -> None:
    """Drop drives of another code's world."""
    stamp = out / "drives" / "made_by"
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != code:
        shutil.rmtree(out / "drives")
        (out / "drives").mkdir()
        _write(stamp, code)


def _key(cell: Cell, code: str) -> str:
    text = json.dumps(cell.to_dict(), sort_keys=True)
    return hashlib.sha256(f"{code} {text}".encode()).hexdigest()[:16]


def _path(out: Path, cell: Cell) -> Path:
    return out / "cells" / f"{cell.name}.json"


def _kept(path: Path, key: str) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(document, dict) or document.get("key") != key:
        return None
    result = document.get("result")
    return result if isinstance(result, dict) else None


def _keep(path: Path, key: str, result: dict[str, Any]) -> None:
    _write(path, json.dumps({"key": key, "result": result}, indent=1) + "\n")


def _write(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
